"""Writes a GGUF file, one tensor at a time. llama.cpp and `reading` read it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np

KINDS = {
    'float32': gguf.GGMLQuantizationType.F32,
    'float16': gguf.GGMLQuantizationType.F16,
    'bfloat16': gguf.GGMLQuantizationType.BF16,
}
FILE_TYPES = {
    'float32': gguf.LlamaFileType.ALL_F32,
    'float16': gguf.LlamaFileType.MOSTLY_F16,
    'bfloat16': gguf.LlamaFileType.MOSTLY_BF16,
}


def write(
    path: Path,
    settings: Mapping[str, Any],
    tensors: Mapping[str, tuple[tuple[int, ...], str]],
    make: Callable[[str], np.ndarray],
) -> None:
    """Writes the file.

    Args:
        settings: by key; `general.architecture` must be among them.
        tensors: shape and dtype of each, by name.
        make: a tensor by its name, in its dtype.
    """
    writer = gguf.GGUFWriter(path, settings['general.architecture'])
    for key, value in settings.items():
        if key != 'general.architecture':
            _add(writer, key, value)
    for name, (shape, dtype) in tensors.items():
        kind = KINDS[dtype]
        size = gguf.GGML_QUANT_SIZES[kind][1] * int(np.prod(shape))
        writer.add_tensor_info(name, shape, np.dtype(np.float32), size, raw_dtype=kind)
    try:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for name in tensors:
            writer.write_tensor_data(np.ascontiguousarray(make(name)))
    finally:
        writer.close()


def _add(writer: gguf.GGUFWriter, key: str, value: Any) -> None:
    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        writer.add_uint32(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    elif isinstance(value, str):
        writer.add_string(key, value)
    else:
        writer.add_array(key, value)
