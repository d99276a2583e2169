"""Overfitting and contamination: whether a score is due to what the model has seen of the test."""
