"""Hugging Face directories, both ways: config.json and safetensors <-> a configuration and params.

Strict: a tensor that is unknown, missing or of the wrong shape is an error that lists them all, and
so is a setting that the models here do not compute. Nothing is unpickled, and code that a
directory brings along (`auto_map`) is not looked at.
"""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import jax.numpy as jnp

from phijax import models
from phijax.errors import InputError
from phijax.interop import card, codegen, layout, phi, phi3, phi3_small, shards
from phijax.interop.directory import appearing
from phijax.interop.fields import Fields, read_json
from phijax.models import configs

if TYPE_CHECKING:
    from phijax.data.tokenizer import Tokenizer

FAMILIES: dict[str, layout.Family] = {
    'codegen': codegen.FAMILY,
    'phi': phi.FAMILY,
    'phi3': phi3.FAMILY,
    'phi3_small': phi3_small.FAMILY,
}
MAX_SHARD_BYTES = 5e9
_STORED = {'F32': 'float32', 'BF16': 'bfloat16', 'F16': 'float16'}


def load(directory: str | os.PathLike[str]) -> tuple[models.Config, models.Params]:
    """The configuration and the parameters in a directory, as float32 arrays of the host.

    One tensor at a time is read, so that little more memory is needed than for the result. What a
    config.json does not hold (compute dtype, rematerialisation, ...) has its default.

    Raises:
        MissingFileError: config.json or the weights are not there.
        InputError: a model, a setting or a file that cannot be used, or tensors that are not
            exactly those of the model; the message lists them.
    """
    directory = Path(directory)
    family, config = _read_config(directory / 'config.json')
    with shards.opened(directory) as stored:
        tensors = {name: x for name, x in stored.items() if not name.endswith(family.ignored)}
        found = {name: tensor.shape for name, tensor in tensors.items()}
        plan = layout.fit(directory, config, family.names, found, _wrong_dtypes(tensors))
        params = layout.empty(config)
        for name, pieces in plan.items():
            layout.unpack(pieces, tensors[name].read(), params)
    return config, layout.unflatten(params)


def save(
    config: models.Config,
    params: models.Params,
    directory: str | os.PathLike[str],
    *,
    tokenizer: 'Tokenizer | None' = None,
    dtype: str = 'float32',
    max_shard_bytes: float = MAX_SHARD_BYTES,
) -> None:
    """Writes a directory that transformers and `load` read: settings, weights and a model card.

    It appears under its name when it is complete, and not at all otherwise.

    Args:
        tokenizer: is written too, and its end of text becomes the model's.
        dtype: what the weights are rounded to.
        max_shard_bytes: largest file of weights, as far as single tensors allow.

    Raises:
        InputError: there is something at `directory`, or transformers has no such model, or the
            parameters are not those of `config`, or the tokenizer has more ids than the model, or
            `dtype` cannot hold a weight.
    """
    family = FAMILIES[config.family]
    if dtype not in configs.DTYPES:
        raise InputError(f'dtype {dtype!r} is not one of {", ".join(configs.DTYPES)}')
    fields = (
        family.write(config) | {'dtype': dtype, 'torch_dtype': dtype} | _ends(config, tokenizer)
    )
    leaves = layout.flatten(params)
    layout.check(config, leaves)
    plan = layout.plan(config, family.names[0])
    width = jnp.dtype(dtype).itemsize
    sizes = {name: width * math.prod(layout.shape(pieces)) for name, pieces in plan.items()}
    with appearing(Path(directory)) as target:
        shards.write(
            target,
            sizes,
            lambda name: layout.rounded(name, layout.pack(plan[name], leaves), dtype),
            max_shard_bytes,
        )
        if tokenizer is not None:
            tokenizer.save(target)
        title = Path(directory).resolve().name
        (target / 'README.md').write_text(card.write(title, config, dtype), encoding='utf-8')
        text = json.dumps(fields, indent=2, allow_nan=False)
        (target / 'config.json').write_text(text + '\n', encoding='utf-8')


def _read_config(path: Path) -> tuple[layout.Family, models.Config]:
    fields = Fields(read_json(path))
    readers = {
        model_type: (family, read)
        for family in FAMILIES.values()
        for model_type, read in family.readers.items()
    }
    model_type = fields.values.get('model_type')
    if not isinstance(model_type, str) or model_type not in readers:
        raise InputError(
            f'{path}: model_type {model_type!r} is not supported (supported: {", ".join(readers)})'
        )
    family, read = readers[model_type]
    try:
        fields.only('quantization_config')
        return family, read(fields)
    except (ValueError, OverflowError) as error:
        raise InputError(f'{path}: {error}') from error


def _wrong_dtypes(tensors: Mapping[str, shards.Tensor]) -> dict[str, str]:
    return {
        name: f'dtype: {name} is {tensor.dtype}, not one of {", ".join(_STORED)}'
        for name, tensor in tensors.items()
        if tensor.dtype not in _STORED
    }


def _ends(config: models.Config, tokenizer: 'Tokenizer | None') -> dict[str, int | None]:
    """The ids that begin, end and pad a text; transformers' own defaults are not phi's."""
    end = None
    if tokenizer is not None:
        if tokenizer.vocab_size > config.vocab_size:
            raise InputError(
                f'the tokenizer has {tokenizer.vocab_size} ids, the model has only '
                f'{config.vocab_size} rows'
            )
        end = tokenizer.end_of_text
    return {'bos_token_id': end, 'eos_token_id': end, 'pad_token_id': None}
