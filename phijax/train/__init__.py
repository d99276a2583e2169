"""Training: the loop, its step, its optimizer, its numbers."""
