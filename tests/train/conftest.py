"""Tokens, batches and programs that the tests of training share."""

import os

# The programs here are tiny and many: compiling them costs more than running them.
QUICK = '--xla_backend_optimization_level=0'
os.environ['XLA_FLAGS'] = f'{os.environ.get("XLA_FLAGS", "")} {QUICK}'
