"""Benchmarks of this project; each command's docstring says how to run it and what it writes."""
