"""Parts that several benchmarks use: stacks, grids, ways to train, other packages, the record."""
