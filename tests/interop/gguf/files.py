"""GGUF files byte by byte, as the format is described, and small models to put in them."""

import pathlib
import struct
from typing import Any

import numpy as np

from phijax import models
from phijax.interop import gguf
from tests.models import tiny

F32 = 0
KINDS = {bool: (7, '?'), int: (4, 'I'), float: (6, 'f')}
# Heads add up to the width, which llama.cpp needs of phi-2 and phi-3.
SIZES = tiny.SIZES | {'embed_dim': 60}
LONGROPE = {
    'short_factors': (1.05, 1.1),
    'long_factors': (1.0, 4.3),
    'original_length': 64,
    'max_length': 1024,
}


def text(value: str | bytes) -> bytes:
    """A text with its length before it."""
    data = value if isinstance(value, bytes) else value.encode()
    return struct.pack('<Q', len(data)) + data


def kind_and_value(value: Any) -> bytes:
    """A setting's value after its kind; bytes stand for themselves."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return struct.pack('<I', 8) + text(value)
    if isinstance(value, list):
        items = [kind_and_value(item) for item in value]
        body = b''.join(item[4:] for item in items)
        return struct.pack('<I', 9) + items[0][:4] + struct.pack('<Q', len(items)) + body
    kind, code = KINDS[type(value)]
    return struct.pack(f'<I{code}', kind, value)


def described(name: str | bytes, axes: list[int], kind: int, offset: int) -> bytes:
    """A tensor's entry in the header; the axes are those of the file, rows last."""
    numbers = struct.pack(f'<I{len(axes)}QIQ', len(axes), *axes, kind, offset)
    return text(name) + numbers


def header(
    settings: dict[str, Any], entries: list[bytes], counts: tuple[int, int] | None = None
) -> bytes:
    """The header of version 3, with other counts than are true if wanted."""
    num_tensors, num_settings = counts or (len(entries), len(settings))
    pairs = b''.join(text(key) + kind_and_value(value) for key, value in settings.items())
    start = b'GGUF' + struct.pack('<IQQ', 3, num_tensors, num_settings)
    return start + pairs + b''.join(entries)


def packed(settings: dict[str, Any], tensors: dict[str, np.ndarray]) -> bytes:
    """A whole file of float32 tensors."""
    entries, data = [], b''
    for name, tensor in tensors.items():
        entries.append(described(name, list(tensor.shape[::-1]), F32, len(data)))
        data += padded(tensor.astype('<f4').tobytes())
    return padded(header(settings, entries)) + data


def padded(data: bytes) -> bytes:
    """The bytes, filled up to a multiple of 32."""
    return data + bytes(-len(data) % 32)


def unpacked(path: pathlib.Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Settings and tensors of a good file, to be changed and packed again."""
    content = gguf.reading.read(path)
    return content.settings, {name: tensor.read() for name, tensor in content.tensors.items()}


def small(family: str = 'phi3', **overrides: Any) -> models.Config:
    """A configuration that llama.cpp has too, with all that its files leave open as it is read."""
    base = {'phi3': 'phi3_mini', 'phi': 'phi1'}[family]
    rest = {'residual_dropout': 0.0} | ({'window': 0} if family == 'phi3' else {})
    return models.config(base, **SIZES | rest | overrides)


def written(path: pathlib.Path, config: models.Config, **options: Any) -> models.Params:
    """Random parameters of a configuration, that are in the file `path` afterwards."""
    params = tiny.randomised(config)
    gguf.save(config, params, path, **options)
    return params
