"""Finds what kind of tokenizer is at a path, or on the hub, and reads it."""

from __future__ import annotations

import json
import os
import re
import socket
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import tokenizers

from phijax.data.errors import MissingDataError
from phijax.data.tokenizer.byte_pairs import BytePairTokenizer, with_added
from phijax.data.tokenizer.codec import END_OF_TEXT, Tokenizer, parsed
from phijax.data.tokenizer.pieces import ADDED_FILE, MODEL_FILE, SPACE, SentencePieceTokenizer
from phijax.data.tokenizer.ranks import cl100k
from phijax.errors import InputError

WHOLE_FILES = (MODEL_FILE, 'tokenizer.json', 'cl100k_base.tiktoken')
VOCABULARY_FILES = (('vocab.json', 'merges.txt'), ('encoder.json', 'vocab.bpe'))
CONFIG_FILE = 'tokenizer_config.json'

# What sentencepiece does to a text, in the terms of tokenizer.json.
FIRST_SPACE = {
    'pre_tokenizer': None,
    'normalizer': {
        'type': 'Sequence',
        'normalizers': [
            {'type': 'Prepend', 'prepend': SPACE},
            {'type': 'Replace', 'pattern': {'String': ' '}, 'content': SPACE},
        ],
    },
}


def load(path: str | os.PathLike[str]) -> Tokenizer:
    """The tokenizer at a path, or of a hub name such as `microsoft/phi-2` when online.

    A path is a directory of a Hugging Face model or one that `save` wrote, with the first of these
    that it has: tokenizer.model of sentencepiece, and perhaps added_tokens.json; tokenizer.json;
    cl100k_base.tiktoken; GPT-2's vocab.json and merges.txt, and perhaps added_tokens.json. It may
    also be a tokenizer.json, a .model or a .tiktoken itself.

    The end of a text is `<|endoftext|>`, and where there is none the eos_token of the
    tokenizer_config.json beside the file.

    Raises:
        MissingDataError: if there is neither such a path nor a hub that has the name.
        InputError: if the files cannot be read as a tokenizer.
    """
    local = Path(path)
    if local.is_dir():
        return _load_directory(local)
    if local.is_file():
        return _load_file(local)
    if re.fullmatch(r'[\w.-]+(/[\w.-]+)?', str(path)):
        return _load_file(_from_hub(str(path)))
    raise MissingDataError(f'There is no tokenizer at {path}: no such file or directory.')


def _load_directory(directory: Path) -> Tokenizer:
    for name in WHOLE_FILES:
        if (directory / name).is_file():
            return _load_file(directory / name)
    for vocab, merges in VOCABULARY_FILES:
        if (directory / vocab).is_file() and (directory / merges).is_file():
            added = _added_tokens(directory / ADDED_FILE)
            return with_added(directory / vocab, directory / merges, added)
    raise MissingDataError(
        f'{directory} has no tokenizer: neither '
        + ' nor '.join((*WHOLE_FILES, *map(' with '.join, VOCABULARY_FILES)))
        + '.'
    )


def _load_file(path: Path) -> Tokenizer:
    if path.suffix == '.tiktoken':
        return cl100k(path)
    stated = _read_json(path.parent / CONFIG_FILE)
    end = stated.get('eos_token')
    end = end.get('content') if isinstance(end, dict) else end
    if path.suffix == '.model':
        added = _added_tokens(path.parent / ADDED_FILE) or _stated(stated, path)
        return _sentencepiece(path, added, end)
    definition = parsed(lambda: _mended(json.loads(path.read_text('utf-8')), end), path)
    inner = parsed(lambda: tokenizers.Tokenizer.from_str(json.dumps(definition)), path)
    return BytePairTokenizer(inner, end)


def _sentencepiece(path: Path, added: dict[str, int], end: str | None) -> SentencePieceTokenizer:
    try:
        return SentencePieceTokenizer(path.read_bytes(), added, end or '</s>')
    except InputError as error:
        raise InputError(f'{path} is not a tokenizer that can be read: {error}') from error


def _mended(definition: dict[str, Any], end: str | None) -> dict[str, Any]:
    """A tokenizer.json by which every text comes back, and none becomes a special token.

    phi-3's has `</s>` as an ordinary added token that swallows the spaces after it; none of
    CodeGen's white space does.
    """
    for token in definition.get('added_tokens', ()):
        swallows = token['lstrip'] or token['rstrip'] or token['single_word']
        token['special'] |= swallows or token['content'] in (END_OF_TEXT, end)
    return definition | (FIRST_SPACE if _drops_a_space(definition) else {})


def _drops_a_space(definition: dict[str, Any]) -> bool:
    """Whether Llama's first space is left out before a text that begins with a space.

    transformers writes it so now; sentencepiece, whose ids the file stands for, does not do so.
    """
    cut = definition.get('pre_tokenizer') or {}
    whole = cut.get('type') == 'Metaspace' and not cut.get('split', True)
    first = cut.get('prepend_scheme') in ('first', 'always')
    return whole and first and not definition.get('normalizer')


def _read_json(path: Path) -> dict[str, Any]:
    return parsed(lambda: dict(json.loads(path.read_text('utf-8'))), path) if path.is_file() else {}


def _added_tokens(path: Path) -> dict[str, int]:
    fields = _read_json(path)
    return parsed(lambda: {str(k): int(v) for k, v in fields.items()}, path)


def _stated(stated: dict[str, Any], path: Path) -> dict[str, int]:
    """The added tokens of a tokenizer_config.json beside a file."""

    def read() -> dict[str, int]:
        return {t['content']: int(i) for i, t in stated.get('added_tokens_decoder', {}).items()}

    return parsed(read, path.parent / CONFIG_FILE)


def _from_hub(name: str) -> Path:
    try:
        import huggingface_hub

        path = huggingface_hub.hf_hub_download(
            name, 'tokenizer.json', local_files_only=not _reaches_hub()
        )
    except (ImportError, OSError, ValueError) as error:
        reason = str(error).strip().split('\n')[0]
        raise MissingDataError(
            f'There is no directory {name}, and the Hugging Face hub did not give a tokenizer of '
            f'that name ({type(error).__name__}: {reason}). Give a directory with tokenizer.json, '
            'or GPT-2 vocab.json and merges.txt.'
        ) from error
    return Path(path)


def _reaches_hub() -> bool:
    # Asked first because huggingface_hub spends 23 seconds on retries before it says no.
    if urllib.request.getproxies():
        return True
    host = urllib.parse.urlsplit(os.environ.get('HF_ENDPOINT', 'https://huggingface.co')).hostname
    try:
        return bool(socket.getaddrinfo(host, None))
    except OSError:
        return False
