"""Canaries reach the training shards as often as they say, and exposure ranks what is likely."""

import json

import numpy as np
import pytest

from phijax.data import packing, tokenize
from phijax.data import tokenizer as tokenizers
from phijax.errors import InputError
from phijax.evaluate.overfitting import canaries


def test_planted_canaries_are_tokenised_and_none_is_held_out(tmp_path):
    drawn = canaries.draw(seed=3, each=2)
    assert [each.copies for each in drawn] == [0, 0, 1, 1, 4, 4, 16, 16]
    path = canaries.plant(drawn, tmp_path / 'canaries')
    source = {'kind': 'files', 'paths': [str(path)]}
    fields = {'sources': {'canaries': source}, 'vocab_size': 300, 'heldout_fraction': 0.3}
    manifest = tokenize.run(tokenize.from_dict(fields), tmp_path / 'tokens')
    account = manifest['sources']['canaries']
    assert account['documents']['dropped'] == {}
    assert account['splits']['train']['documents'] == 2 * (1 + 4 + 16)
    assert account['splits']['heldout']['documents'] == 0
    tokenizer = tokenizers.load(tmp_path / 'tokens' / 'tokenizer')
    windows = packing.Windows(tmp_path / 'tokens', 'canaries', 'train', 10_000)
    text = tokenizer.decode(windows[0]['tokens'][windows[0]['segments'] > 0].tolist())
    for each in drawn:
        assert text.count(f'{each.text}{each.digits}.') == each.copies
    assert canaries.planted(tmp_path / 'canaries' / canaries.PLANTED) == drawn


def test_a_seed_says_all():
    assert canaries.draw(1) == canaries.draw(1)
    assert canaries.draw(1) != canaries.draw(2)
    names = [each.text for each in canaries.draw(1, each=25)]
    assert len(set(names)) == len(names) == 100


def test_exposure_is_the_rank_among_references():
    drawn = canaries.draw(seed=0, each=1, copies=(16,))
    known = drawn[1].digits

    def log_likelihoods(texts):
        rng = np.random.default_rng(len(texts))
        return [0.0 if known in text else -1 - rng.random() for text in texts]

    control, memorised = canaries.exposures(drawn, log_likelihoods, references=255)
    assert memorised == (8.0, 1, 255)
    assert memorised.p_value == 1 / 256
    assert control.exposure == pytest.approx(np.log2(256 / control.rank))
    assert control.rank > 1


def test_p_values_of_controls_are_uniform():
    drawn = canaries.draw(seed=1, each=50, copies=(1,))
    rng = np.random.default_rng(0)
    found = canaries.exposures(drawn, lambda texts: rng.random(len(texts)), references=99)
    p_values = [each.p_value for each in found]
    assert min(p_values) > 0
    assert 0.42 < np.mean(p_values) < 0.58


def test_ties_do_not_count_as_memorised():
    drawn = canaries.draw(seed=1, each=1, copies=(1,))
    found = canaries.exposures(drawn, lambda texts: [0.0] * len(texts), references=9)
    assert all(each.rank == 10 and each.exposure == 0 for each in found)


@pytest.mark.parametrize(('each', 'copies'), [(0, (1,)), (60, (1,)), (1, (0, 1))])
def test_impossible_draws_are_refused(each, copies):
    with pytest.raises(InputError, match='allowed are 1 to 100'):
        canaries.draw(0, each, copies)


@pytest.mark.parametrize('text', ['', '{}', json.dumps({'format': 'other', 'canaries': []})])
def test_a_file_without_canaries_is_refused(tmp_path, text):
    (tmp_path / 'canaries.json').write_text(text)
    with pytest.raises(InputError, match='canaries'):
        canaries.planted(tmp_path / 'canaries.json')
