"""The report: what is in it, and that nothing of a text becomes markup."""

import html
import json
import re

import pytest

from phijax.data import engines, synthesis
from phijax.data.synthesis import chain, pages, records
from tests.data.client import server
from tests.data.client.server import Script
from tests.data.synthesis import runs, teacher

EVIL = '<script>alert("read me")</script>'


@pytest.fixture(scope='module')
def reported(tmp_path_factory):
    """The report as JSON and as a page, and the steps."""
    root = tmp_path_factory.mktemp('pages')

    def write(body):
        text = teacher.write(body)
        return text if 'response_format' in body else f'{text}\n{EVIL}'

    with server.run(Script(write=write)) as running:
        config = synthesis.from_dict(runs.config(running.url, root, 60))
        said = synthesis.run(config, root / 'run', engines.make('local', 1))
        done = chain.run(config, root / 'run', engines.make('local', 1))
    found = json.loads((root / 'run' / 'report.json').read_text())
    return found, (root / 'run' / 'report.html').read_text(), done, said


def test_the_funnel_is_that_of_the_accounts(reported):
    found, _, _, said = reported
    rows = {row['stage']: row for row in found['funnel']}
    assert list(rows) == list(chain.NAMES)
    for name, row in rows.items():
        assert row['given'] == row['kept'] + sum(row['dropped'].values())
    texts = rows['texts']
    assert found['acceptance'] == texts['kept'] / texts['given']
    assert f'texts: {texts["given"]} given, {texts["kept"]} kept' in said


def test_windows_have_all_measures_and_limits(reported):
    found, page, _, _ = reported
    assert [row['window'] for row in found['windows']] == [0, 1, 2]
    for row in found['windows']:
        assert row['values'].keys() == found['limits'].keys()
        assert row['asked'] == runs.WINDOW
    for name in found['limits']:
        assert name in page


def test_as_many_texts_are_compared_with_factors_and_without(reported):
    found, _, _, _ = reported
    rows = {row['measure']: row for row in found['comparison']}
    assert {row['texts'] for row in rows.values()} == {12}
    assert rows['copied']['without'] == 0.0
    assert rows['rank']['with factors'] > 0 < rows['rank']['without']


def test_copies_count_in_the_comparison(tmp_path):
    with server.run(Script(write=lambda body: f'The same to all of you. {EVIL}')) as running:
        plain = runs.config(running.url, tmp_path, 20, topics={'leaves': 0})
        config = synthesis.from_dict(plain)
        done = chain.run(config, tmp_path / 'run', engines.make('local', 1))
        assert len(pages.written(done['plain'], 12, str)) == 12
        assert done['plain'].accounts()[0].dropped == {'duplicate': 11}
        assert pages.gather(config, done)['acceptance'] == 0.0


def test_thirty_texts_are_shown_to_read(reported):
    _, page, done, _ = reported
    shown = [item for item, _ in records.read(done['texts']) if html.escape(item.text) in page]
    assert len(shown) == 30


def test_no_text_becomes_markup(reported):
    _, page, _, _ = reported
    assert EVIL not in page
    assert html.escape(EVIL) in page
    assert not re.search(r'<(script|img|link|iframe)', page)


def test_levels_were_kept_evenly(reported):
    found, _, _, _ = reported
    assert set(found['levels']) >= {'form', 'view', 'audience'}
    assert 'topic' not in found['levels']
    counts = found['levels']['view'].values()
    [row] = [row for row in found['funnel'] if row['stage'] == 'texts']
    assert sum(counts) == row['kept']
    assert max(counts) - min(counts) <= 1 + sum(row['dropped'].values())
