"""Piles that a teacher wrote: copies and leaks go, nothing is graded, the rest is trained on."""

import json
import pathlib

import pytest

from phijax.data import attributes, document, engines, filtering, tokenize
from phijax.data.document import make
from phijax.data.filtering import chain
from phijax.data.filtering.decontaminate import items
from phijax.errors import InputError

RULE = {'rule': 'all', 'amounts': (1.0,)}


def page(number):
    words = [f'word{number * 7919 * n % 4001}' for n in range(1, 120)]
    return f'Lesson {number}. ' + ' '.join(words)


@pytest.fixture(scope='module')
def made(tmp_path_factory, asset):
    """The directory of a finished run, its steps and what it told."""
    asset('humaneval')
    root = tmp_path_factory.mktemp('synthetic')
    leak = next(iter(items.load(['humaneval'])))
    texts = [page(number) for number in range(30)]
    texts += [texts[3], f'{texts[4]} more', f'{page(50)}\n\n{leak.question}']
    document.write_part(
        [make(text, 'texts', str(n)) for n, text in enumerate(texts)], root / 'a.parquet'
    )
    config = filtering.from_dict(
        {
            'sources': {'texts': {'kind': 'files', 'paths': (str(root / 'a.parquet'),)}},
            'ingest': {'shards': 2, 'language': 'text'},
            'select': RULE,
            'decontaminate': {'benchmarks': ('humaneval',)},
            'tokenize': {'vocab_size': 512, 'heldout_fraction': 0.1},
        }
    )
    told = filtering.run(config, root / 'run', engines.make('local', 1))
    return root / 'run', chain.run(config, root / 'run', engines.make('local', 1)), told


def test_copies_and_leaks_go_and_all_else_stays(made):
    _, steps, told = made
    accounts = dict(chain.ledger(steps))
    assert list(accounts) == ['ingest', 'exact', 'near', 'decontaminate']
    assert accounts['exact'].dropped == {'exact_duplicate': 1}
    assert accounts['near'].dropped == {'near_duplicate': 1}
    assert sum(accounts['decontaminate'].dropped.values()) == 1
    assert accounts['decontaminate'].kept == 30
    kept = [
        text
        for index in range(2)
        for text in attributes.read(steps['documents'].part('phase-1', index), 'text')['text']
    ]
    assert len(kept) == 30
    assert 'phase_1: ' in told


def test_nothing_is_graded(made):
    workdir, steps, _ = made
    assert not {'annotate', 'forest', 'score', 'select'} & set(steps)
    assert not list(workdir.glob('annotate-*'))
    report = json.loads((workdir / 'report.json').read_text())
    assert report['grades'] == report['forest'] == report['selection'] == {}
    page = (workdir / 'report.html').read_text()
    assert 'Benchmark leaks' in page
    assert 'What the grader said' not in page


def test_what_is_left_is_a_source_of_tokens(made, tmp_path):
    workdir, _, _ = made
    paths = (f'{workdir}/documents-*/phase-1-*.parquet',)
    settings = tokenize.from_dict(
        {'sources': {'textbooks': {'kind': 'files', 'paths': paths}}, 'vocab_size': 512}
    )
    manifest = tokenize.run(settings, tmp_path / 'data')
    assert manifest['sources'].keys() == {'textbooks'}
    assert pathlib.Path(tmp_path / 'data').exists()


@pytest.mark.parametrize(
    'changes', [{'amounts': (0.5,)}, {'max_topic_share': 0.5}, {'num_params': 9}]
)
def test_nothing_can_be_bounded_that_is_not_looked_at(changes):
    sources = {'texts': {'kind': 'files', 'paths': ('x',)}}
    with pytest.raises(InputError, match=r"select.rule is 'all'"):
        filtering.from_dict({'sources': sources, 'select': RULE | changes})


def test_a_stage_that_is_left_out_is_named(tmp_path):
    config = filtering.from_dict(
        {'sources': {'texts': {'kind': 'files', 'paths': ('x',)}}, 'select': RULE}
    )
    with pytest.raises(
        InputError, match="stage is 'score'; it must be one of ingest, exact, embed"
    ):
        filtering.run(config, tmp_path, engines.make('local', 1), 'score')
