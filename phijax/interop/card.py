"""The README.md of a Hugging Face directory: what the files say about the model, and no more."""

import phijax
from phijax import models
from phijax.models import arithmetic

_CARD = """\
---
library_name: transformers
pipeline_tag: text-generation
tags:
- {family}
- phijax
---

# {title}

A decoder of the {family} family with {parameters:,} parameters, written by phijax {version}.

| | |
|---|---|
| layers | {c.num_layers} |
| width | {c.embed_dim} |
| heads (query, key/value) of features | {c.num_heads}, {c.num_kv_heads} of {c.head_dim} |
| rotated features of a head | {c.rotary_dim} |
| width inside the MLP | {c.mlp_dim} |
| rows of the vocabulary | {c.vocab_size} |
| longest context, in tokens | {c.max_length} |
| weights stored as | {dtype} |

```python
from transformers import AutoModelForCausalLM

model = AutoModelForCausalLM.from_pretrained('{title}')
```

phijax opens the same directory: `phijax.interop.open('{title}')`.
"""


def write(title: str, config: models.Config, dtype: str) -> str:
    """The text of a model card, with the YAML header that the Hugging Face hub reads."""
    return _CARD.format(
        title=title,
        family=config.family,
        parameters=arithmetic.count_parameters(config),
        version=phijax.__version__,
        c=config,
        dtype=dtype,
    )
