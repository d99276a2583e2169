"""Which documents are worth training on: filters that drop the others, and say why."""
