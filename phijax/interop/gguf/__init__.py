"""GGUF files, both ways: those of llama.cpp <-> a configuration, params and a tokenizer.

Read are the architectures `llama`, `phi3` and `phi2`, in every quantised form that the library
turns into float32. Strict as `huggingface` is: a tensor that is unknown, missing or of the wrong
shape is an error that lists them all, and so is a setting that the models here do not compute.
"""

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from phijax import models
from phijax.errors import InputError
from phijax.interop import layout
from phijax.interop.directory import appearing_file
from phijax.interop.fields import Fields
from phijax.interop.gguf import families, reading, vocabulary, writing
from phijax.models import configs

if TYPE_CHECKING:
    from phijax.data.tokenizer import Tokenizer

SUFFIX = '.gguf'
_MOST_FACTORS = 1 << 12


def load(
    path: str | os.PathLike[str],
) -> 'tuple[models.Config, models.Params, Tokenizer | None]':
    """The model in a file: configuration, float32 parameters on the host, and its tokenizer.

    One tensor at a time is read, so that little more memory is needed than for the result.

    Raises:
        MissingFileError: there is no such file.
        InputError: it is not a GGUF file, damaged, or of a model, a setting or a tokenizer that
            cannot be used, or its tensors are not exactly those of the model.
    """
    path = Path(path)
    content = reading.read(path)
    try:
        architecture, config = _read_config(content)
        tokenizer = vocabulary.read(config, content.settings)
    except (ValueError, OverflowError) as error:
        raise InputError(f'{path}: {error}') from error
    return config, _read_params(path, architecture, config, content.tensors), tokenizer


def save(
    config: models.Config,
    params: models.Params,
    path: str | os.PathLike[str],
    *,
    tokenizer: 'Tokenizer | None' = None,
    dtype: str = 'float32',
) -> None:
    """Writes a file that llama.cpp and `load` read; it is there whole or not at all.

    llama.cpp has no window in phi-3: beyond a window's length its answers are others. A chat
    template is not written, as models here have none.

    Args:
        dtype: what matrices are rounded to; norms and biases stay float32, as llama.cpp needs.

    Raises:
        InputError: there is something at `path`, or llama.cpp has no such model, or the parameters
            are not those of `config`, or the tokenizer does not fit, or `dtype` cannot hold a
            weight.
    """
    _check_options(config, dtype)
    path = Path(path)
    settings = families.WRITERS[config.family](config) | vocabulary.write(config, tokenizer)
    architecture = settings['general.architecture']
    about = {'general.name': path.stem, 'general.file_type': int(writing.FILE_TYPES[dtype])}
    leaves = layout.flatten(params)
    layout.check(config, leaves)
    plan = layout.plan(config, families.ARCHITECTURES[architecture].names[0])
    factors = families.factors(config)
    shapes = {name: x.shape for name, x in factors.items()}
    shapes |= {name: layout.shape(pieces) for name, pieces in plan.items()}
    dtypes = {name: dtype if len(shape) > 1 else 'float32' for name, shape in shapes.items()}

    def make(name: str) -> np.ndarray:
        tensor = factors[name] if name in factors else layout.pack(plan[name], leaves)
        return layout.rounded(name, tensor, dtypes[name])

    with appearing_file(path) as target:
        writing.write(target, settings | about, shapes, dtypes, make)


def _check_options(config: models.Config, dtype: str) -> None:
    if config.family not in families.WRITERS:
        raise InputError(
            f'GGUF has no models of the family {config.family!r} (those that it has: '
            f'{", ".join(families.WRITERS)})'
        )
    if dtype not in configs.DTYPES:
        raise InputError(f'dtype {dtype!r} is not one of {", ".join(configs.DTYPES)}')


def _read_params(
    path: Path, architecture: str, config: models.Config, stored: dict[str, reading.Tensor]
) -> models.Params:
    family = families.ARCHITECTURES[architecture]
    tensors = {name: x for name, x in stored.items() if name not in family.ignored}
    found = {name: tensor.shape for name, tensor in tensors.items()}
    plan = layout.fit(path, config, family.names, found, {})
    params = layout.empty(config)
    for name, pieces in plan.items():
        layout.unpack(pieces, tensors[name].read(), params)
    return layout.unflatten(params)


def _read_config(content: reading.Content) -> tuple[str, models.Config]:
    """The architecture of a file, and the configuration in its settings."""
    fields = Fields(content.settings)
    architecture = fields.values.get('general.architecture')
    if architecture not in list(families.ARCHITECTURES):
        raise InputError(
            f'general.architecture {architecture!r} is not supported (supported: '
            f'{", ".join(families.ARCHITECTURES)})'
        )
    fields.only('split.count', 0, 1)
    prefix = f'{architecture}.'
    own = {k.removeprefix(prefix): v for k, v in fields.values.items() if k.startswith(prefix)}
    return architecture, families.ARCHITECTURES[architecture].readers[architecture](
        Fields(own | _told_by_tensors(content.tensors))
    )


def _told_by_tensors(tensors: dict[str, reading.Tensor]) -> dict[str, Any]:
    """What the settings leave to the tensors."""
    told: dict[str, Any] = {families.TIED: 'output.weight' not in tensors}
    if 'token_embd.weight' in tensors:
        told[families.ROWS] = tensors['token_embd.weight'].shape[0]
    for name in (families.SHORT, families.LONG):
        if name in tensors:
            if math.prod(tensors[name].shape) > _MOST_FACTORS:
                raise InputError(f'{name} has the shape {tensors[name].shape}')
            told[name] = families.decimals(tensors[name].read())
    return told
