"""Leaks as stages: what is common speech in the documents, then what of a benchmark is in them."""
