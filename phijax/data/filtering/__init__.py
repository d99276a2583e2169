"""Which documents are kept: labels, features, forests, duplicates and benchmarks."""
