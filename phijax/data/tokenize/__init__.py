"""Tokenise sources: documents in Parquet, a tokenizer, token shards, and a manifest of hashes.

`run` is the whole of it; `python -m phijax.data.tokenize` calls it. What it writes:

    documents/<source>/part-00000.parquet   the texts, and ledger.json: in = out + dropped by reason
    tokenizer/                              tokenizer.json
    <source>/<split>-00000.tokens, .ends    flat ids, and where each document ends
    <source>/<split>-00000.learned          of conversations: a byte a token, 1 where it is learned
    manifest.json                           last, and only when all of the above is whole
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from phijax.data import chat
from phijax.data import tokenizer as tokenizers
from phijax.data.errors import MissingDataError
from phijax.data.files import lock, publish, read_json, write_json
from phijax.data.tokenize.chats import text_of
from phijax.data.tokenize.config import RESERVED, Config, from_dict
from phijax.data.tokenize.ingest import ingest, parts, sample
from phijax.data.tokenize.shards import SPLITS, dtype_of, encode_part
from phijax.data.tokenize.sources import Files, Hub, StandardLibrary
from phijax.data.tokenizer import Tokenizer
from phijax.errors import InputError

__all__ = ['Config', 'Files', 'Hub', 'StandardLibrary', 'from_dict', 'run', 'summary', 'verify']

FORMAT = 'phijax-tokens-1'
MANIFEST = 'manifest.json'
STATED = 'tokenize.json'
TOKENIZER = 'tokenizer'

log = logging.getLogger(__name__)


def run(config: Config, directory: str | os.PathLike[str]) -> dict[str, Any]:
    """The manifest of `directory`, made now unless an earlier run with this config finished it.

    A run that was killed is taken up again: sources and shards that are complete stay.

    Raises:
        InputError: if the directory holds other data, or a setting or source cannot be used.
        OSError: if the disk is full or refuses; there is then no manifest.
    """
    directory = Path(directory)
    finished = _finished(config, directory)  # reading needs no lock, so that many may do it
    if finished is None:
        with lock(directory):
            finished = _finished(config, directory) or _make(config, directory)
    return finished


def verify(directory: str | os.PathLike[str]) -> dict[str, Any]:
    """The manifest, after reading every shard and the tokenizer and finding them as it says.

    Raises:
        MissingDataError: if there is no manifest.
        InputError: with the list of the files that are missing or not what was written.
    """
    directory = Path(directory)
    manifest = read_json(directory / MANIFEST)
    if manifest is None:
        raise MissingDataError(f'{directory} has no {MANIFEST}: nothing finished there.')
    wrong = [
        path for path, sha256 in _digests(manifest).items() if _sha256(directory / path) != sha256
    ]
    if tokenizers.load(directory / TOKENIZER).digest != manifest['tokenizer']['digest']:
        wrong.append(TOKENIZER)
    if wrong:
        raise InputError(f'{directory}: missing or damaged: {", ".join(wrong)}.')
    return manifest


def summary(manifest: Mapping[str, Any]) -> str:
    """A few lines for people: what went in, what came out, and what was dropped and why."""
    lines = [f'{manifest["tokenizer"]["vocab_size"]} tokens in the vocabulary']
    for name, source in manifest['sources'].items():
        account = source['documents']
        dropped = ', '.join(f'{count} {reason}' for reason, count in account['dropped'].items())
        lines.append(
            f'{name}: {account["in"]} documents, {account["out"]} kept, dropped: {dropped or 0}'
        )
        for split, entry in source['splits'].items():
            lines.append(
                f'  {split}: {entry["documents"]} documents, {entry["tokens"]:,} tokens, '
                f'{entry["bytes"] / max(entry["tokens"], 1):.2f} bytes per token'
            )
    return '\n'.join(lines)


def _finished(config: Config, directory: Path) -> dict[str, Any] | None:
    """The manifest of an earlier run with this config; None when none has finished."""
    manifest = read_json(directory / MANIFEST)
    if manifest is not None:
        _check_same(config, manifest, directory)
    return manifest


def _make(config: Config, directory: Path) -> dict[str, Any]:
    _prepare(config, directory)
    given = _given(config)
    accounts = {name: _ingest(name, config, directory) for name in sorted(config.sources)}
    tokenizer = _keep(given or _train(config, directory, accounts), directory)
    dtype = dtype_of(tokenizer.vocab_size)
    sources = {
        name: {
            'documents': account,
            'splits': _encode(name, config, directory, tokenizer, dtype),
        }
        | _form(config.sources[name])
        for name, account in accounts.items()
    }
    manifest = _manifest(config, tokenizer, dtype, sources)
    write_json(directory / MANIFEST, manifest)
    return manifest


def _given(config: Config) -> Tokenizer | None:
    """The tokenizer that the config names, if it has what the chat formats need."""
    if not config.tokenizer:
        return None
    given = tokenizers.load(config.tokenizer)
    for name in _formats(config):
        chat.specials(name, given)
    return given


def _check_same(config: Config, finished: Mapping[str, Any], directory: Path) -> None:
    changed = []
    if finished['config_digest'] != config.digest:
        changed = _changes(finished['config'], config.to_dict())
    elif _is_another(config.tokenizer, finished['tokenizer']['digest']):
        changed = [f'the tokenizer at {config.tokenizer} was another']
    if changed:
        raise InputError(
            f'{directory} holds data of another config: {"; ".join(changed)}. Use another '
            'directory, or remove this one.'
        )


def _is_another(path: str, digest: str) -> bool:
    # Not so for a hub name: that the data are there must not need a network.
    return bool(path) and Path(path).exists() and tokenizers.load(path).digest != digest


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    old, new = _flatten(old), _flatten(new)
    return [
        f'{key} {old.get(key)!r} (now {new.get(key)!r})'
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    ]


def _flatten(values: Mapping[str, Any], prefix: str = '') -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f'{prefix}{key}.')
        else:
            flat[prefix + key] = list(value) if isinstance(value, tuple) else value
    return flat


def _prepare(config: Config, directory: Path) -> None:
    begun = read_json(directory / STATED)
    if begun is not None and begun['config_digest'] != config.digest:
        log.info('%s was begun with another config; starting over', directory)
        for name in (*RESERVED, *begun['sources']):
            shutil.rmtree(directory / name, ignore_errors=True)
    elif begun is None:
        taken = [name for name in (*RESERVED, *config.sources) if (directory / name).exists()]
        if taken:
            raise InputError(
                f'{directory} has {", ".join(taken)} already, and not from here. Use another '
                'directory.'
            )
    write_json(
        directory / STATED, {'config_digest': config.digest, 'sources': sorted(config.sources)}
    )


def _ingest(name: str, config: Config, directory: Path) -> dict[str, Any]:
    account = ingest(name, config, directory)
    size = account['bytes'] / 1e6
    log.info('%s: %d of %d documents, %.1f MB', name, account['out'], account['in'], size)
    if not account['out']:
        raise InputError(
            f'Source {name} has no document left: dropped {account["dropped"] or "none"}.'
        )
    return account


def _train(config: Config, directory: Path, accounts: Mapping[str, Any]) -> Tokenizer:
    if (directory / TOKENIZER).exists():
        return tokenizers.load(directory / TOKENIZER)
    fraction = config.sample_bytes / sum(account['bytes'] for account in accounts.values())
    paths = [path for name in accounts for path in parts(name, directory)]
    texts = sample(paths, min(1.0, fraction), config.heldout_fraction, text_of(config.sources))
    return tokenizers.train(texts, config.vocab_size, special_tokens=_special(config))


def _special(config: Config) -> list[str]:
    """The special tokens of all formats, each once."""
    tokens = [token for name in _formats(config) for token in chat.FORMATS[name].special]
    return list(dict.fromkeys(tokens))


def _formats(config: Config) -> list[str]:
    """The chat formats of the sources that have one, each once."""
    forms = [_form(source) for _, source in sorted(config.sources.items())]
    return list(dict.fromkeys(form['format'] for form in forms if form))


def _form(source: Any) -> dict[str, str]:
    """What the manifest says of a source besides its documents: nothing where they are text."""
    return {} if source.form == 'text' else {'form': source.form, 'format': source.format}


def _keep(tokenizer: Tokenizer, directory: Path) -> Tokenizer:
    """The tokenizer that is kept beside the shards: the one of an earlier run, else this one."""
    target = directory / TOKENIZER
    if target.exists():
        return tokenizers.load(target)
    partial = target.with_name(f'{TOKENIZER}.partial')
    tokenizer.save(partial)
    publish(partial, target)
    log.info('tokenizer: %d tokens', tokenizer.vocab_size)
    return tokenizer


def _encode(
    name: str, config: Config, directory: Path, tokenizer: Tokenizer, dtype: str
) -> dict[str, Any]:
    (directory / name).mkdir(exist_ok=True)
    shards: dict[str, list[dict[str, Any]]] = {split: [] for split in SPLITS}
    for part in parts(name, directory):
        entries = encode_part(
            part,
            directory / name,
            config.sources[name],
            tokenizer,
            dtype,
            config.heldout_fraction,
        )
        for split, entry in entries.items():
            shards[split].append(entry)
            log.info('%s: %s tokens', entry['file'], f'{entry["tokens"]:,}')
    return {split: _total(entries) | {'shards': entries} for split, entries in shards.items()}


def _total(entries: list[dict[str, Any]]) -> dict[str, Any]:
    keys = ('tokens', 'documents', 'bytes')
    if not entries or 'learned' not in entries[0]:
        return _sums(entries, keys)
    prompts = (entry['longest_prompt'] for entry in entries)
    longest = max(prompts, key=lambda prompt: prompt['tokens'])
    return _sums(entries, (*keys, 'learned', 'learned_bytes')) | {'longest_prompt': longest}


def _sums(entries: list[dict[str, Any]], keys: Sequence[str]) -> dict[str, Any]:
    return {key: sum(entry[key] for entry in entries) for key in keys}


def _manifest(
    config: Config, tokenizer: Tokenizer, dtype: str, sources: dict[str, Any]
) -> dict[str, Any]:
    manifest = {
        'format': FORMAT,
        'config': config.to_dict(),
        'config_digest': config.digest,
        'dtype': dtype,
        'tokenizer': {
            'digest': tokenizer.digest,
            'vocab_size': tokenizer.vocab_size,
            'end_of_text': tokenizer.end_of_text,
        },
        'sources': sources,
    }
    # The digest is of what batches are made from: the same tokens have the same digest, wherever
    # they were read from and whatever was dropped on the way.
    identity = [FORMAT, dtype, tokenizer.digest, sorted(_digests(manifest).items())]
    manifest['digest'] = hashlib.sha256(json.dumps(identity).encode()).hexdigest()
    return manifest


def _digests(manifest: Mapping[str, Any]) -> dict[str, str]:
    digests = {}
    for source in manifest['sources'].values():
        for split in source['splits'].values():
            for entry in split['shards']:
                digests[entry['file']] = entry['sha256']
                for suffix in ('ends', 'learned'):
                    if f'{suffix}_sha256' in entry:
                        path = str(Path(entry['file']).with_suffix(f'.{suffix}'))
                        digests[path] = entry[f'{suffix}_sha256']
    return digests


def _sha256(path: Path) -> str:
    if not path.is_file():
        return ''
    with path.open('rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()
