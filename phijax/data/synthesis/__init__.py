"""Synthesis: documents that a language model writes, told apart by what it is asked."""
