"""Text to token ids and back, exactly: byte-level BPE of GPT-2, of CodeGen, and trained here.

The only module that imports `tokenizers`. A text never produces the end-of-text id, whatever it
says: the separator between documents is put in by whoever writes tokens, not by the text.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import urllib.parse
import urllib.request
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import tokenizers
from tokenizers import AddedToken, decoders, models, pre_tokenizers, trainers

from phijax.data.errors import MissingDataError
from phijax.errors import InputError

END_OF_TEXT = '<|endoftext|>'
BYTES = 256

# Source: jaxformer's include_whitespace(2, 32) and include_tabs(2, 10), in decreasing length, which
# is what codegen-350M-mono and so phi-1, phi-1.5 and phi-2 use: ids 50257 to 50294.
CODEGEN_WHITESPACE = tuple(' ' * n for n in range(31, 1, -1)) + tuple(
    '\t' * n for n in range(9, 1, -1)
)
VOCABULARY_FILES = (('vocab.json', 'merges.txt'), ('encoder.json', 'vocab.bpe'))


class Tokenizer(Protocol):
    """What the rest of phijax asks of a tokenizer."""

    @property
    def vocab_size(self) -> int:
        """A bound: every id is below it."""

    @property
    def end_of_text(self) -> int:
        """The id that ends a document; no text encodes to it."""

    @property
    def digest(self) -> str:
        """The sha256 of the definition: equal digests give equal ids."""

    def special(self, token: str) -> int | None:
        """The id of a special token, which no text encodes to; None where it is not one."""

    def encode(self, text: str) -> list[int]:
        """The ids of a text."""

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text, computed in parallel."""

    def decode(self, ids: Sequence[int]) -> str:
        """The text of the ids."""

    def save(self, directory: str | os.PathLike[str]) -> None:
        """Writes files that `load` and transformers read."""


class BytePairTokenizer:
    """A `tokenizers` tokenizer, held so that special tokens in a text stay ordinary text."""

    def __init__(self, inner: tokenizers.Tokenizer):
        """Wraps `inner`.

        Raises:
            InputError: if it has no `<|endoftext|>`.
        """
        end_of_text = inner.token_to_id(END_OF_TEXT)
        if end_of_text is None:
            raise InputError(
                f'The tokenizer has no {END_OF_TEXT} among its {inner.get_vocab_size()} tokens; '
                'phijax separates documents by it.'
            )
        inner.encode_special_tokens = True
        inner.no_truncation()
        inner.no_padding()
        self._inner = inner
        self.end_of_text: int = end_of_text

    @cached_property
    def vocab_size(self) -> int:
        """A bound: every id is below it."""
        return max(self._inner.get_vocab(with_added_tokens=True).values()) + 1

    @cached_property
    def digest(self) -> str:
        """The sha256 of the vocabulary, merges and rules, whatever file they came from."""
        return hashlib.sha256(_canonical(json.loads(self._inner.to_str()))).hexdigest()

    def special(self, token: str) -> int | None:
        """The id of a special token, which no text encodes to; None where it is not one."""
        added = self._inner.get_added_tokens_decoder()
        return next((i for i, t in added.items() if t.special and t.content == token), None)

    def encode(self, text: str) -> list[int]:
        """The ids of a text; no end-of-text is added.

        Raises:
            InputError: if the text has a lone surrogate, which UTF-8 cannot hold.
        """
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text, computed on all cores with the interpreter's lock released.

        Raises:
            InputError: as `encode`.
        """
        try:
            encodings = self._inner.encode_batch_fast(list(texts), add_special_tokens=False)
        except TypeError:
            _reject_surrogates(texts)
            raise
        return [encoding.ids for encoding in encodings]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of the ids; bytes that are not UTF-8 become U+FFFD.

        Raises:
            InputError: if an id is outside the vocabulary.
        """
        ids = [int(i) for i in ids]
        wrong = next((i for i in ids if not 0 <= i < self.vocab_size), None)
        if wrong is not None:
            raise InputError(f'Token id {wrong} is not one of 0 to {self.vocab_size - 1}.')
        return self._inner.decode(ids, skip_special_tokens=False)

    def save(self, directory: str | os.PathLike[str]) -> None:
        """Writes tokenizer.json and the tokenizer_config.json that transformers looks for."""
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        self._inner.save(str(directory / 'tokenizer.json'))
        config = {
            'tokenizer_class': 'PreTrainedTokenizerFast',
            'bos_token': END_OF_TEXT,
            'eos_token': END_OF_TEXT,
            'unk_token': END_OF_TEXT,
            'add_prefix_space': False,
            'clean_up_tokenization_spaces': False,
        }
        (directory / 'tokenizer_config.json').write_text(json.dumps(config, indent=2) + '\n')


def load(path: str | os.PathLike[str]) -> Tokenizer:
    """The tokenizer at a path, or of a hub name such as `microsoft/phi-2` when online.

    A path is a directory with tokenizer.json (a Hugging Face model's, or one that `save` wrote), a
    directory with GPT-2's vocab.json and merges.txt and perhaps added_tokens.json, or a
    tokenizer.json itself.

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
        return BytePairTokenizer(_from_hub(str(path)))
    raise MissingDataError(f'There is no tokenizer at {path}: no such file or directory.')


def gpt2(vocab: str | os.PathLike[str], merges: str | os.PathLike[str]) -> BytePairTokenizer:
    """GPT-2's tokenizer from its two files: 50257 tokens for the real ones."""
    return BytePairTokenizer(_byte_pairs(_read_model(Path(vocab), Path(merges))))


def codegen(vocab: str | os.PathLike[str], merges: str | os.PathLike[str]) -> BytePairTokenizer:
    """CodeGen's tokenizer, which phi-1, phi-1.5 and phi-2 use, from GPT-2's two files.

    GPT-2's tokens, then 31 to 2 spaces and 9 to 2 tabs as tokens that are matched longest first,
    before BPE: 50295 in all.
    """
    inner = _byte_pairs(_read_model(Path(vocab), Path(merges)))
    first = inner.get_vocab_size()
    _add(inner, {token: first + i for i, token in enumerate(CODEGEN_WHITESPACE)})
    return BytePairTokenizer(inner)


def train(
    texts: Iterable[str], vocab_size: int, *, special_tokens: Sequence[str] = ()
) -> BytePairTokenizer:
    """A byte-level BPE of at most `vocab_size` tokens, the same for the same texts.

    Id 0 is `<|endoftext|>`, 1 to 256 are the bytes, so that every text has an encoding, and the
    rest are merges, most frequent first, then `special_tokens`. Short texts may have fewer merges
    than asked for.

    Raises:
        InputError: if `vocab_size` has no room for the bytes and the special tokens.
    """
    least = BYTES + 1 + len(special_tokens)
    if vocab_size < least:
        raise InputError(
            f'vocab_size is {vocab_size}; it must be at least {least} (every byte, and '
            f'{", ".join((END_OF_TEXT, *special_tokens))}).'
        )
    inner = _byte_pairs(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(special_tokens),
        special_tokens=[END_OF_TEXT],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    inner.train_from_iterator(texts, trainer)
    added = [AddedToken(token, special=True, normalized=False) for token in special_tokens]
    inner.add_special_tokens(added)
    return BytePairTokenizer(inner)


def _byte_pairs(model: models.BPE) -> tokenizers.Tokenizer:
    inner = tokenizers.Tokenizer(model)
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    inner.decoder = decoders.ByteLevel()
    if inner.get_vocab_size():
        inner.add_special_tokens([AddedToken(END_OF_TEXT, special=True, normalized=False)])
    return inner


def _read_model(vocab: Path, merges: Path) -> models.BPE:
    for file in (vocab, merges):
        if not file.is_file():
            raise MissingDataError(f'There is no tokenizer file {file}.')
    return _parsed(lambda: models.BPE.from_file(str(vocab), str(merges)), vocab)


def _parsed(read: Any, path: Path) -> Any:
    # `tokenizers` raises a bare Exception for every file that it cannot parse.
    try:
        return read()
    except Exception as error:
        raise InputError(f'{path} is not a tokenizer that can be read: {error}') from error


def _load_file(path: Path) -> BytePairTokenizer:
    return BytePairTokenizer(_parsed(lambda: tokenizers.Tokenizer.from_file(str(path)), path))


def _load_directory(directory: Path) -> BytePairTokenizer:
    if (directory / 'tokenizer.json').is_file():
        return _load_file(directory / 'tokenizer.json')
    for vocab, merges in VOCABULARY_FILES:
        if (directory / vocab).is_file() and (directory / merges).is_file():
            inner = _byte_pairs(_read_model(directory / vocab, directory / merges))
            _add(inner, _added_tokens(directory / 'added_tokens.json'))
            return BytePairTokenizer(inner)
    raise MissingDataError(
        f'{directory} has no tokenizer: neither tokenizer.json nor '
        + ' nor '.join(f'{vocab} with {merges}' for vocab, merges in VOCABULARY_FILES)
        + '.'
    )


def _added_tokens(path: Path) -> dict[str, int]:
    if not path.is_file():
        return {}
    return _parsed(lambda: {str(k): int(v) for k, v in json.loads(path.read_text()).items()}, path)


def _add(inner: tokenizers.Tokenizer, tokens: dict[str, int]) -> None:
    ordered = sorted(tokens.items(), key=lambda item: item[1])
    new = [token for token, _ in ordered if inner.token_to_id(token) is None]
    inner.add_tokens([AddedToken(token, special=False, normalized=False) for token in new])
    for token, expected in ordered:
        if inner.token_to_id(token) != expected:
            raise InputError(
                f'Added token {token!r} should have id {expected}, but the vocabulary gives it '
                f'{inner.token_to_id(token)}.'
            )


def _from_hub(name: str) -> tokenizers.Tokenizer:
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
    return _parsed(lambda: tokenizers.Tokenizer.from_file(path), Path(path))


def _reaches_hub() -> bool:
    # Asked first because huggingface_hub spends 23 seconds on retries before it says no.
    if urllib.request.getproxies():
        return True
    host = urllib.parse.urlsplit(os.environ.get('HF_ENDPOINT', 'https://huggingface.co')).hostname
    try:
        return bool(socket.getaddrinfo(host, None))
    except OSError:
        return False


def _reject_surrogates(texts: Sequence[str]) -> None:
    for text in texts:
        found = re.search('[\ud800-\udfff]', text)
        if found:
            raise InputError(
                f'The text has the lone surrogate {found.group()!r} at {found.start()}; only '
                'text that UTF-8 can hold has tokens.'
            )


def _canonical(definition: dict[str, Any]) -> bytes:
    model = definition['model']
    merges = [m if isinstance(m, str) else ' '.join(m) for m in model.get('merges', ())]
    added = [(t['id'], t['content'], t['special']) for t in definition['added_tokens']]
    rules = {key: definition[key] for key in ('normalizer', 'pre_tokenizer', 'decoder')}
    parts = {'vocab': model['vocab'], 'merges': merges, 'added': sorted(added), 'rules': rules}
    return json.dumps(parts, sort_keys=True, separators=(',', ':')).encode()
