"""Models in files: `open` for every command, `huggingface` and `gguf` for what others read.

A path is a workdir of phijax, one checkpoint in it, a Hugging Face directory, or a GGUF file.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phijax.errors import InputError

if TYPE_CHECKING:
    from phijax import models
    from phijax.data.tokenizer import Tokenizer

__all__ = ['carried_moments', 'moments', 'open']

_ACCEPTED = (
    'a workdir of phijax (config.json with `model`, and checkpoints/), one of its checkpoints '
    '(WORKDIR/checkpoints/00000100), a Hugging Face directory (config.json with `model_type`, '
    'and safetensors), or a GGUF file'
)


def open(  # noqa: A001
    path: str | os.PathLike[str],
) -> 'tuple[models.Config, models.Params, Tokenizer | None]':
    """The model at `path`: configuration, parameters, and its tokenizer if it has one.

    The parameters are float32 arrays of the host; `jax.device_put` puts them where they are to be
    used, which should be done once and not at every call.

    Raises:
        FileNotFoundError: there is nothing at `path`, or a part of the model is not there.
        ValueError: it is not a model, or one that cannot be used; the message says why.
    """
    from phijax.interop import huggingface, workdir
    from phijax.interop.fields import MissingFileError, read_json

    if _is_gguf(Path(path)):
        from phijax.interop import gguf

        return gguf.load(path)
    place, step = _split(Path(path))
    if not (place / 'config.json').is_file():
        raise MissingFileError(f'{path} is not a model. {_hint(place)}It must be {_ACCEPTED}')
    fields = read_json(place / 'config.json')
    if isinstance(fields.get('model'), dict):
        config, params = workdir.load(place, step)
        return config, params, _tokenizer(place / workdir.TOKENIZER, config)
    if 'model_type' in fields and step is None:
        config, params = huggingface.load(place)
        return config, params, _tokenizer(place, config)
    raise MissingFileError(
        f'{path} is not a model: config.json is of neither kind. It must be {_ACCEPTED}'
    )


def moments(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """Adam's `mu`, `nu` and `count` of the run at `path`, on the host; None if it has none.

    Raises:
        FileNotFoundError: there is no such checkpoint.
        CheckpointError: it is damaged.
    """
    from phijax.interop import workdir

    place, step = _split(Path(path))
    return workdir.moments(place, step) if (place / workdir.CHECKPOINTS).is_dir() else None


def carried_moments(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """The moments that growth left at `path` for a new run to start with; None if it left none."""
    from phijax.interop import workdir

    place, _ = _split(Path(path))
    return workdir.carried_moments(place)


def _split(path: Path) -> tuple[Path, int | None]:
    """The directory of the model, and the step if `path` is that of one checkpoint."""
    if path.parent.name == 'checkpoints' and path.name.isdecimal():
        return path.parent.parent, int(path.name)
    return path, None


def _is_gguf(path: Path) -> bool:
    """Whether a file says that it is GGUF, by its name or by its first bytes."""
    if not path.is_file():
        return False
    with path.open('rb') as file:
        return path.suffix == '.gguf' or file.read(4) == b'GGUF'


def _hint(path: Path) -> str:
    if path.is_dir():
        return 'It has no config.json. '
    if path.is_file():
        return "It is a file that does not begin with 'GGUF'. "
    return (
        f'There is no such file or directory (`hf download {path} --local-dir DIR` gets a '
        'published one). '
    )


def _tokenizer(directory: Path, config: 'models.Config') -> 'Tokenizer | None':
    from phijax.data import tokenizer

    try:
        found = tokenizer.load(directory) if directory.is_dir() else None
    except FileNotFoundError:
        return None
    if found is not None and found.vocab_size > config.vocab_size:
        raise InputError(
            f'{directory}: the tokenizer has {found.vocab_size} ids, the model only '
            f'{config.vocab_size} rows; it is the tokenizer of another model'
        )
    return found
