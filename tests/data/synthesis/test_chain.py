"""The whole chain with the scripted teacher: what it leaves, and what it does after changes."""

import collections
import json

import pytest

from phijax.data import document, engines, filtering, synthesis, tokenize
from phijax.data.filtering import chain as filter_chain
from phijax.data.synthesis import chain, prompts, records
from phijax.errors import InputError
from tests.data.client import server
from tests.data.client.server import Script
from tests.data.synthesis import runs, teacher


@pytest.fixture(scope='module')
def teaching():
    with server.run(Script(write=teacher.write)) as running:
        yield running


@pytest.fixture(scope='module')
def made(teaching, tmp_path_factory):
    """A finished run: its workdir, config and steps."""
    root = tmp_path_factory.mktemp('synthesis')
    config = synthesis.from_dict(runs.config(teaching.url, root))
    said = synthesis.run(config, root / 'run', engines.make('local', 1))
    return root, config, chain.run(config, root / 'run', engines.make('local', 1)), said


def test_every_sample_is_accounted_for(made):
    _, _, done, _ = made
    [account] = done['texts'].accounts()
    rejected = [
        row
        for path in records.parts(done['texts'], records.REJECTED)
        for row in records.rows_of(path)
    ]
    assert account.given == 50
    assert account.kept == sum(1 for _ in records.read(done['texts'])) > 40
    assert account.dropped == collections.Counter(row['reason'] for row in rejected)
    for row in rejected:
        assert row['asked'] == 2
        assert row['text']


def test_records_tell_all_that_a_text_was_made_from(made):
    _, _, done, _ = made
    digests = {t.name: t.digest for t in prompts.load('commonsense').values()}
    sources = {
        item.id: item.text
        for group in document.read(done['seeds'].part('extracts', 0))
        for item in group
    }
    shown = 0
    for item, row in records.read(done['texts']):
        factors = json.loads(row['factors'])
        assert row['id'] == item.id == document.identify(item.text)
        assert item.path == f'commonsense/{row["index"]}'
        assert row['template'] == f'commonsense/{factors["form"]}'
        assert row['template_sha256'] == digests[row['template']]
        assert row['model'] == 'teacher'
        assert row['prompt_tokens'] > 0 < row['completion_tokens']
        assert set(row['seeds']) <= set(sources)
        assert bool(row['seeds']) == (factors['view'] == 'extract')
        assert set(factors) >= {'topic', 'audience', 'form', 'goal', 'noun', 'verb', 'adjective'}
        shown += bool(row['seeds'])
    assert 15 <= shown <= 25


def test_one_budget_pays_for_everything(made, teaching):
    root, _, done, _ = made
    spent = [step.accounts()[0].facts.get('spent') for step in done.values()]
    requests = [each['requests'] for each in spent if each]
    assert requests == sorted(requests)
    assert teaching.stats.requests >= requests[-1]
    tokens = json.loads((root / 'run' / 'report.json').read_text())['tokens']
    assert tokens['requests'] == requests[-1]


def test_nothing_is_asked_twice(made, teaching):
    root, config, done, said = made
    before = teaching.stats.requests
    assert synthesis.run(config, root / 'run', engines.make('local', 1)) == said
    plain = runs.config(teaching.url, root, diversity={'max_opening': 0.5})
    other = synthesis.from_dict(plain)
    again = chain.run(other, root / 'run', engines.make('local', 1))
    assert teaching.stats.requests == before
    assert again['topics'].directory == done['topics'].directory
    assert again['texts'].directory != done['texts'].directory


def test_documents_go_on_to_filtering_and_tokens(made, tmp_path):
    _, _, done, _ = made
    paths = [f'{done["texts"].directory}/documents-*.parquet']
    sources = {'synthetic': {'kind': 'files', 'paths': paths}}
    piles = filtering.from_dict({'sources': sources, 'ingest': {'shards': 1, 'language': 'text'}})
    filtered = filter_chain.run(piles, tmp_path / 'filter', engines.make('local', 1), 'ingest')
    kept = done['texts'].accounts()[0].kept
    assert filtered['ingest'].accounts()[0].kept == kept
    tokens = tokenize.from_dict({'sources': sources, 'vocab_size': 300})
    manifest = tokenize.run(tokens, tmp_path / 'tokens')
    splits = manifest['sources']['synthetic']['splits'].values()
    assert sum(split['documents'] for split in splits) == kept


def test_one_stage_alone_needs_what_it_reads(teaching, tmp_path):
    config = synthesis.from_dict(runs.config(teaching.url, tmp_path))
    engine = engines.make('local', 1)
    with pytest.raises(InputError, match='stage topics has not finished'):
        synthesis.run(config, tmp_path / 'run', engine, 'texts')
    for name in chain.NAMES:
        assert name in synthesis.run(config, tmp_path / 'run', engine, name)
    assert 'report.html' in synthesis.run(config, tmp_path / 'run', engine, 'report')
    with pytest.raises(InputError, match="stage is 'none'"):
        synthesis.run(config, tmp_path / 'run', engine, 'none')


def test_other_words_of_a_template_make_other_texts(teaching, tmp_path):
    (tmp_path / 'own.jinja').write_text('---\nabout: a\nsystem: b\n---\nAbout {{ topic }}.')
    changes = {'templates': str(tmp_path), 'views': ['topic'], 'samples': 4}
    config = synthesis.from_dict(runs.config(teaching.url, tmp_path, texts=changes))
    first = chain.run(config, tmp_path / 'run', engines.make('local', 1))
    (tmp_path / 'own.jinja').write_text('---\nabout: a\nsystem: b\n---\nOn {{ topic }}.')
    second = chain.run(config, tmp_path / 'run', engines.make('local', 1))
    assert first['texts'].directory != second['texts'].directory
    assert first['topics'].directory == second['topics'].directory
