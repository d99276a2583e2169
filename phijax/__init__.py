"""phijax: Microsoft's phi series, trained, grown and run in JAX."""

__version__ = '0.1.0'
