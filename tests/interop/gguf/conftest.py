"""phi-3's real tokenizer."""

from tests.data.tokenizer.conftest import phi3, phi3_directory

__all__ = ['phi3', 'phi3_directory']
