"""Text from a model: one pass over the prompts, then one compiled loop over the new tokens."""

from phijax.generate.sampler import complete, complete_with, generate

__all__ = ['complete', 'complete_with', 'generate']
