"""Byte-level BPE through `tokenizers`: GPT-2's, CodeGen's, trained here, or from lists."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Container, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import AddedToken, decoders, models, pre_tokenizers, trainers

from phijax.data.errors import MissingDataError
from phijax.data.tokenizer.codec import (
    CONTROL,
    END_OF_TEXT,
    NORMAL,
    UNUSED,
    USER_DEFINED,
    Codec,
    Lists,
    looks_special,
    parsed,
    used,
)
from phijax.errors import InputError

BYTES = 256


def _characters() -> dict[int, str]:
    """GPT-2's character for each byte: itself where it can be seen, else one from U+0100 on."""
    seen = {*range(33, 127), *range(161, 173), *range(174, 256)}
    hidden = (i for i in range(BYTES) if i not in seen)
    return {i: chr(i) for i in seen} | {i: chr(BYTES + n) for n, i in enumerate(hidden)}


CHARACTERS = _characters()
ALPHABET = frozenset(CHARACTERS.values())

# Without these bytes, those of what can be seen of ASCII and those after the first of a character,
# next to nothing can be written. A vocabulary may lack others, which a text then must not have.
NEEDED = frozenset(CHARACTERS[i] for i in (*range(32, 127), *range(128, 192)))

# Source: jaxformer's include_whitespace(2, 32) and include_tabs(2, 10), in decreasing length, which
# is what codegen-350M-mono and so phi-1, phi-1.5 and phi-2 use: ids 50257 to 50294.
CODEGEN_WHITESPACE = tuple(' ' * n for n in range(31, 1, -1)) + tuple(
    '\t' * n for n in range(9, 1, -1)
)

# How GGUF files name the way that texts are cut before BPE, and whether digits then stand alone.
SINGLE_DIGITS = {'gpt-2': False, 'phi-2': False, 'smollm': True}


class BytePairTokenizer(Codec):
    """A `tokenizers` tokenizer, held so that special tokens in a text stay ordinary text."""

    def __init__(self, inner: tokenizers.Tokenizer, end: str | None = None):
        """Wraps `inner`.

        Args:
            end: the token that ends texts where there is no `<|endoftext|>`.

        Raises:
            InputError: if there is neither.
        """
        for name in (END_OF_TEXT, end):
            if name is not None and inner.token_to_id(name) is not None:
                inner.add_special_tokens([AddedToken(name, special=True, normalized=False)])
        inner.encode_special_tokens = True
        inner.no_truncation()
        inner.no_padding()
        self._inner = inner
        self._unspelled = _unspelled(inner.get_vocab())
        added = inner.get_added_tokens_decoder().items()
        ids = inner.get_vocab(with_added_tokens=True).values()
        special = {token.content: i for i, token in added if token.special}
        super().__init__(special, max(ids, default=-1) + 1, end)

    @cached_property
    def digest(self) -> str:
        """The sha256 of the vocabulary, merges and rules, whatever file they came from."""
        return hashlib.sha256(_canonical(json.loads(self._inner.to_str()))).hexdigest()

    def save(self, directory: str | os.PathLike[str]) -> None:
        """Writes tokenizer.json and the tokenizer_config.json that transformers looks for."""
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        self._inner.save(str(directory / 'tokenizer.json'))
        write_config(directory, self._end)

    def lists(self) -> Lists:
        """The tokens and merges as GGUF files hold them, for `from_merges`.

        Raises:
            InputError: GGUF has no name for the way that this tokenizer cuts texts.
        """
        definition = json.loads(self._inner.to_str())
        tokens = [f'[PAD{i}]' for i in range(self.vocab_size)]
        types = [UNUSED] * self.vocab_size
        for token, i in definition['model']['vocab'].items():
            tokens[i], types[i] = token, NORMAL
        for added in definition['added_tokens']:
            kind = CONTROL if added['special'] else USER_DEFINED
            tokens[added['id']], types[added['id']] = added['content'], kind
        return Lists(
            tokens=tokens,
            types=types,
            end_of_text=self._special[self._end],
            merges=[
                m if isinstance(m, str) else ' '.join(m) for m in definition['model']['merges']
            ],
            pre=_name_of_cut(definition),
        )

    def _encode(self, texts: list[str]) -> list[list[int]]:
        found = self._unspelled and next(filter(None, map(self._unspelled.search, texts)), None)
        if found:
            raise InputError(
                f'The text has {found.group()!r} at {found.start()}; the vocabulary has no bytes '
                'for it.'
            )
        encodings = self._inner.encode_batch_fast(texts, add_special_tokens=False)
        return [encoding.ids for encoding in encodings]

    def _decode(self, ids: list[int]) -> str:
        return self._inner.decode(ids, skip_special_tokens=False)


def gpt2(vocab: str | os.PathLike[str], merges: str | os.PathLike[str]) -> BytePairTokenizer:
    """GPT-2's tokenizer from its two files: 50257 tokens for the real ones."""
    return with_added(vocab, merges, {})


def codegen(vocab: str | os.PathLike[str], merges: str | os.PathLike[str]) -> BytePairTokenizer:
    """CodeGen's tokenizer, which phi-1, phi-1.5 and phi-2 use, from GPT-2's two files.

    GPT-2's tokens, then 31 to 2 spaces and 9 to 2 tabs as tokens that are matched longest first,
    before BPE: 50295 in all.
    """
    inner = _from_files(Path(vocab), Path(merges))
    first = inner.get_vocab_size()
    _add(inner, {token: first + i for i, token in enumerate(CODEGEN_WHITESPACE)})
    return BytePairTokenizer(inner)


def with_added(
    vocab: str | os.PathLike[str], merges: str | os.PathLike[str], added: Mapping[str, int]
) -> BytePairTokenizer:
    """GPT-2's tokenizer from its two files, with tokens that are matched before BPE.

    Raises:
        InputError: the files cannot be read, or an added token cannot have its id.
    """
    inner = _from_files(Path(vocab), Path(merges))
    _add(inner, added)
    return BytePairTokenizer(inner)


def from_merges(
    tokens: Sequence[str], merges: Sequence[str], types: Sequence[int], pre: str, end_of_text: int
) -> BytePairTokenizer:
    """A byte-level BPE from lists, as GGUF files hold it.

    Args:
        tokens: in the order of their ids, with bytes as GPT-2's characters.
        merges: two tokens with a space between them, most urgent first.
        types: of each token: 1 ordinary, 2 unknown, 3 control, 4 matched before BPE, 5 unused.
            Those at the end that are not in use are left out.
        pre: how texts are cut before BPE: `gpt-2`, `phi-2` or `smollm`.
        end_of_text: the id that the file calls the end. Where there is a `<|endoftext|>` too, that
            one separates documents, and this is among `ends`.

    Raises:
        InputError: if `pre` is another, or the lists do not make a tokenizer.
    """
    if pre not in SINGLE_DIGITS:
        raise InputError(
            f'The pre-tokenizer is {pre!r}; it must be one of {", ".join(SINGLE_DIGITS)}.'
        )
    tokens, types = check_lists(tokens, types, end_of_text)
    vocab = {token: i for i, token in enumerate(tokens)}
    pairs = [merge.partition(' ')[::2] for merge in merges]
    inner = byte_level(vocab, pairs, _cut(pre))
    matched = [(t, k) for t, k in zip(tokens, types, strict=True) if k in (CONTROL, USER_DEFINED)]
    for token, kind in matched:
        special = kind == CONTROL or looks_special(token)
        inner.add_tokens([AddedToken(token, special=special, normalized=False)])
    return BytePairTokenizer(inner, tokens[end_of_text])


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
        initial_alphabet=sorted(ALPHABET),
        show_progress=False,
    )
    inner.train_from_iterator(texts, trainer)
    added = [AddedToken(token, special=True, normalized=False) for token in special_tokens]
    inner.add_special_tokens(added)
    return BytePairTokenizer(inner)


def byte_level(
    vocab: dict[str, int], merges: Sequence[tuple[str, str]], cut: Any, **options: bool
) -> tokenizers.Tokenizer:
    """A `tokenizers` tokenizer of GPT-2's characters for bytes.

    Args:
        cut: the pre-tokenizer, which ends in a ByteLevel.
        options: those of `tokenizers.models.BPE`.

    Raises:
        InputError: if a needed byte has no token, or the merges do not fit the vocabulary.
    """
    missing = len(ALPHABET - vocab.keys())
    if NEEDED - vocab.keys():
        raise InputError(f'The vocabulary lacks {missing} of the {BYTES} bytes, so texts get lost.')
    model = parsed(lambda: models.BPE(vocab=vocab, merges=merges, **options), 'The vocabulary')
    return _byte_pairs(model, cut)


def check_lists(
    tokens: Sequence[str], types: Sequence[int], end_of_text: int
) -> tuple[Sequence[str], Sequence[int]]:
    """The tokens and types that are in use, after a look at the lists.

    Raises:
        InputError: the lists are of different lengths, a token is there twice, or `end_of_text` is
            not one of them.
    """
    if len(tokens) != len(types):
        raise InputError(f'There are {len(tokens)} tokens, but types of {len(types)}.')
    tokens, types = tokens[: used(types)], types[: used(types)]
    if len(set(tokens)) != len(tokens):
        raise InputError(f'Of {len(tokens)} tokens only {len(set(tokens))} are different.')
    if not 0 <= end_of_text < len(tokens):
        raise InputError(f'end_of_text is {end_of_text}; it must be 0 to {len(tokens) - 1}.')
    return tokens, types


def write_config(directory: Path, end: str, **fields: Any) -> None:
    """Writes the tokenizer_config.json of a tokenizer.json for transformers."""
    config = {
        'tokenizer_class': 'PreTrainedTokenizerFast',
        'bos_token': end,
        'eos_token': end,
        'unk_token': end,
        'add_prefix_space': False,
        'clean_up_tokenization_spaces': False,
    }
    (directory / 'tokenizer_config.json').write_text(json.dumps(config | fields, indent=2) + '\n')


def _byte_pairs(model: models.BPE, cut: Any = None) -> tokenizers.Tokenizer:
    inner = tokenizers.Tokenizer(model)
    inner.pre_tokenizer = cut or _cut('gpt-2')
    inner.decoder = decoders.ByteLevel()
    return inner


def _cut(pre: str) -> Any:
    words = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    if SINGLE_DIGITS[pre]:
        return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), words])
    return words


def _unspelled(vocab: Container[str]) -> re.Pattern[str] | None:
    """What finds a character whose UTF-8 begins with a byte that a vocabulary lacks."""
    ranges = []
    for byte, character in CHARACTERS.items():
        if character in vocab or 128 <= byte < 194 or byte > 244:  # begin no character
            continue
        kept, tail = (byte, 0) if byte < 128 else (byte & 31, 6)
        if byte >= 224:
            kept, tail = (byte & 15, 12) if byte < 240 else (byte & 7, 18)
        last = min((kept + 1 << tail) - 1, sys.maxunicode)
        ranges.append(f'{re.escape(chr(kept << tail))}-{re.escape(chr(last))}')
    return re.compile(f'[{"".join(ranges)}]') if ranges else None


def _name_of_cut(definition: dict[str, Any]) -> str:
    """What GGUF files call the way that a tokenizer.json cuts texts."""
    for pre in SINGLE_DIGITS:
        inner = tokenizers.Tokenizer(models.BPE())
        inner.pre_tokenizer = _cut(pre)
        same = _without_offsets(json.loads(inner.to_str())) == _without_offsets(definition)
        if same and not definition['model'].get('ignore_merges'):
            return pre
    raise InputError(
        'This tokenizer cuts texts in a way that has no name in GGUF files; those that have one: '
        + ', '.join(SINGLE_DIGITS)
    )


def _without_offsets(definition: dict[str, Any]) -> Any:
    """The rules before BPE, but for those on places in the text, which decide no ids."""
    rules = [definition['normalizer'], definition['pre_tokenizer']]
    return json.loads(json.dumps(rules), object_hook=lambda rule: rule | {'trim_offsets': None})


def _from_files(vocab: Path, merges: Path) -> tokenizers.Tokenizer:
    for file in (vocab, merges):
        if not file.is_file():
            raise MissingDataError(f'There is no tokenizer file {file}.')
    inner = _byte_pairs(parsed(lambda: models.BPE.from_file(str(vocab), str(merges)), vocab))
    inner.add_special_tokens([AddedToken(END_OF_TEXT, special=True, normalized=False)])
    return inner


def _add(inner: tokenizers.Tokenizer, tokens: Mapping[str, int]) -> None:
    ordered = sorted(tokens.items(), key=lambda item: item[1])
    new = [token for token, _ in ordered if inner.token_to_id(token) is None]
    inner.add_tokens([AddedToken(token, special=False, normalized=False) for token in new])
    for token, expected in ordered:
        if inner.token_to_id(token) != expected:
            raise InputError(
                f'Added token {token!r} should have id {expected}, but the vocabulary gives it '
                f'{inner.token_to_id(token)}.'
            )


def _canonical(definition: dict[str, Any]) -> bytes:
    model = definition['model']
    merges = [m if isinstance(m, str) else ' '.join(m) for m in model.get('merges', ())]
    added = [(t['id'], t['content'], t['special']) for t in definition['added_tokens']]
    rules = {key: definition[key] for key in ('normalizer', 'pre_tokenizer', 'decoder')}
    parts = {'vocab': model['vocab'], 'merges': merges, 'added': sorted(added), 'rules': rules}
    return json.dumps(parts, sort_keys=True, separators=(',', ':')).encode()
