"""What several benchmarks use: stacks and grids, ways to train, other packages, the record."""
