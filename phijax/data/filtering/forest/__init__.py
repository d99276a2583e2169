"""The random forest that tells valuable texts by their embeddings.

Source: arXiv:2306.11644, sec. 2.1: a random forest on the output embedding of a CodeGen model,
trained on files that GPT-4 had judged. Fitted by scikit-learn; kept and evaluated as plain arrays.
"""

from phijax.data.filtering.forest.fitting import Settings, fit, split
from phijax.data.filtering.forest.model import Forest

__all__ = ['Forest', 'Settings', 'fit', 'split']
