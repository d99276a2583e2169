"""How good a model is, how sure that is, and how much of it was seen in training."""
