"""Prompts out of files and bytes. Pure Python: a mistake is answered before jax loads."""

import json
import os
from pathlib import Path

from phijax.errors import InputError


def prompts_of(prompt: str | None, file: str | None) -> list[str]:
    """The one prompt that is given, or those of the file that is.

    Raises:
        InputError: as `read_prompts`.
    """
    return read_prompts(file) if file is not None else [prompt or '']


def read_prompts(path: str | os.PathLike[str]) -> list[str]:
    """The prompts of a file: one a line, or in a `.jsonl` a string or `{"prompt": "…"}` a line.

    Raises:
        InputError: the file cannot be read, has no line, or has one that is no prompt; an empty
            prompt, which starts a new document, can be written in a `.jsonl` only.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f'prompts file {path} cannot be read: {error.strerror}') from error
    lines = data.removesuffix(b'\n').split(b'\n') if data else []
    if not lines:
        raise InputError(f'prompts file {path} is empty; it needs a prompt in each line')
    read = _from_json if Path(path).suffix == '.jsonl' else _from_line
    return [read(line, f'{path}, line {number}') for number, line in enumerate(lines, 1)]


def text(line: bytes, where: str) -> str:
    """A line without its end.

    Raises:
        InputError: it is not UTF-8.
    """
    try:
        return line.removesuffix(b'\n').removesuffix(b'\r').decode()
    except UnicodeDecodeError as error:
        raise InputError(f'{where}: byte {error.start + 1} is not UTF-8') from error


def _from_line(line: bytes, where: str) -> str:
    prompt = text(line, where)
    if not prompt:
        raise InputError(f'{where}: the prompt is empty')
    return prompt


def _from_json(line: bytes, where: str) -> str:
    try:
        value = json.loads(text(line, where))
    except json.JSONDecodeError as error:
        raise InputError(f'{where}: {error.msg} at character {error.pos + 1}') from error
    prompt = value.get('prompt') if isinstance(value, dict) else value
    if not isinstance(prompt, str):
        raise InputError(f'{where}: it must be a string or {{"prompt": "…"}}, got {value!r:.60}')
    return prompt
