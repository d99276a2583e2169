"""cl100k_base: the ids of tiktoken, and those of phi-3-small around them."""

import base64
import itertools
import json
import pathlib
import random
import re

import pytest

from phijax.data import tokenizer
from phijax.data.tokenizer import ranks
from phijax.errors import InputError
from tests.data.tokenizer import exact
from tests.golden.texts import TEXTS, characters, fingerprint

GOLDEN = pathlib.Path(__file__).parents[2] / 'golden' / 'tokens' / 'cl100k.json'


@pytest.fixture(scope='module')
def codec(asset) -> tokenizer.Tokenizer:
    return tokenizer.load(asset('cl100k-ranks'))


@pytest.fixture(scope='module')
def golden() -> dict:
    return json.loads(GOLDEN.read_text())


def test_ids_are_tiktokens(codec, golden):
    assert [text for text, _ in golden['texts']] == list(TEXTS)
    for text, ids in golden['texts']:
        assert codec.encode(text) == ids, repr(text)


def test_every_character_is_as_in_tiktoken(codec, golden):
    assert fingerprint(codec.encode_batch(list(characters()))) == golden['characters_sha256']


def test_every_text_comes_back(codec):
    exact.check(codec)


def test_the_ids_of_phi3_small(codec):
    assert codec.vocab_size == 100352
    assert codec.end_of_text == 100257
    assert codec.ends == (100257, 100266, 100263)
    assert {name: codec.special(name) for name in ranks.NAMED} == ranks.NAMED
    names = [codec.decode([i]) for i in range(100256, 100352)]
    assert len(set(names)) == 96
    dummies = [i + 100256 for i, name in enumerate(names) if name not in ranks.NAMED]
    assert dummies[:5] == [100256, 100264, 100265, 100267, 100268]
    assert len(dummies) == 87
    assert all(re.fullmatch(r'<\|dummy_\d+\|>', codec.decode([i])) for i in dummies)


def test_what_is_saved_is_what_is_loaded(codec, tmp_path):
    codec.save(tmp_path)
    loaded = tokenizer.load(tmp_path)
    assert (loaded.digest, loaded.ends) == (codec.digest, codec.ends)
    assert loaded.encode("it's 12345 漢字\n\n x") == codec.encode("it's 12345 漢字\n\n x")


def joined(table: dict[str, int], word: str) -> list[str]:
    """BPE by ranks, as tiktoken has it: the neighbours whose whole has the lowest rank join."""
    parts = list(word)
    while True:
        pairs = [
            (table.get(a + b, len(table)), i) for i, (a, b) in enumerate(itertools.pairwise(parts))
        ]
        rank, at = min(pairs, default=(len(table), 0))
        if rank == len(table):
            return parts
        parts[at : at + 2] = [parts[at] + parts[at + 1]]


def test_merges_join_what_ranks_join():
    from tokenizers import Tokenizer, models

    source = random.Random(0)
    for _ in range(20):
        table = {letter: i for i, letter in enumerate('abc')}
        for _ in range(30):
            table.setdefault(''.join(source.choices(list(table), k=2)), len(table))
        model = Tokenizer(models.BPE(table, ranks.merges(table)))
        for _ in range(200):
            word = ''.join(source.choices('abc', k=source.randint(1, 12)))
            assert model.encode(word).tokens == joined(table, word)


def line(token: bytes, rank: int) -> bytes:
    return base64.b64encode(token) + b' %d\n' % rank


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'', 'has 0 ranks; cl100k_base has 100256'),
        (line(b'a', 0) + line(b'b', 1), 'has 2 ranks'),
        (line(b'a', 0) + line(b'b', 2), 'has rank 2 in line 2, expected 1'),
        (line(b'a', 0) + line(b'a', 1), 'has rank 1 in line 2, expected 1, new'),
        (b'YQ==\n', 'Line 1 of .* is not a tokenizer that can be read'),
        (b'Y!Q= 0\n', 'Line 1 of .* is not a tokenizer that can be read'),
        (b'YQ== 0 0\n', 'Line 1 of .* is not a tokenizer that can be read'),
        (b'\x00\xff' * 40, 'Line 1 of .* is not a tokenizer that can be read'),
    ],
)
def test_a_damaged_file(tmp_path, content, message):
    for path in (tmp_path / 'cl100k_base.tiktoken', tmp_path / 'other.tiktoken'):
        path.write_bytes(content)
        with pytest.raises(InputError, match=message):
            tokenizer.load(path)
    with pytest.raises(InputError, match=message):
        tokenizer.load(tmp_path)


def test_ranks_that_are_not_those_of_every_byte(tmp_path):
    path = tmp_path / 'cl100k_base.tiktoken'
    path.write_bytes(b''.join(line(b'%d' % i, i) for i in range(ranks.RANKS)))
    with pytest.raises(InputError, match='lacks 246 of the 256 bytes'):
        tokenizer.load(path)
