"""Files that others wrote, in many spellings: directories to load, and ways to spoil them."""

import json
import pathlib
import shutil
from collections.abc import Callable

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

GOLDEN = pathlib.Path(__file__).parents[1] / 'golden'


def read_weights(directory: pathlib.Path) -> dict[str, np.ndarray]:
    """The tensors of a directory, from all its files."""
    files = directory.glob('*.safetensors')
    return {name: x for file in files for name, x in load_file(file).items()}


def edit_json(path: pathlib.Path, **changes: object) -> None:
    """Sets some keys of a JSON file; those set to `...` are removed."""
    values = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: x for key, x in values.items() if x is not ...}))


@pytest.fixture
def copy_of(tmp_path: pathlib.Path) -> Callable[[str], pathlib.Path]:
    """`copy_of(case)`: a golden directory, copied, to be changed."""

    def copy(case: str) -> pathlib.Path:
        target = tmp_path / 'source' / case
        shutil.copytree(GOLDEN / case, target)
        (target / 'expected.safetensors').unlink()
        shutil.rmtree(target / 'gradients', ignore_errors=True)
        return target

    return copy


@pytest.fixture
def rewrite() -> Callable[..., None]:
    """`rewrite(directory, change)`: replaces the weights by `change` of them."""

    def run(directory: pathlib.Path, change: Callable[[dict], dict]) -> None:
        tensors = change(read_weights(directory))
        contiguous = {name: np.ascontiguousarray(x) for name, x in tensors.items()}
        save_file(contiguous, directory / 'model.safetensors', metadata={'format': 'pt'})

    return run
