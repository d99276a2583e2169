"""From files to batches: documents, a tokenizer, token shards, windows and a mixture of them.

Source: docs/design and `phijax.data.tokenize`; nothing here imports jax or the models.
"""
