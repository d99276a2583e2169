"""Twins of test sets: items of the same kind, sizes and lengths that nobody has published.

`arithmetic` renumbers the word problems of GSM8K, `code` renames the problems of HumanEval, and
`questions` and `functions` make as many items of our own as one wishes, from a seed.
"""
