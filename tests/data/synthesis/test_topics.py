"""Growing a taxonomy through a real endpoint on loopback."""

import collections
import functools
import json
import time

import pytest

from phijax.data.client import Budget, Client, Endpoint
from phijax.data.synthesis import taxonomy, topics
from phijax.data.synthesis.topics import Settings
from phijax.errors import InputError
from tests.data.client import server
from tests.data.client.server import Script
from tests.data.synthesis import teacher

FEW = Settings(leaves=400)


@pytest.fixture
def grow(tmp_path):
    """Grows by a script, in a journal of its own."""

    def run(settings, script=None, journal='journal'):
        with server.run(script or Script(write=teacher.write)) as running:
            endpoint = Endpoint(running.url, 'teacher', max_concurrency=32, backoff_seconds=0.02)
            with Client(endpoint, Budget(10**9), tmp_path / journal) as client:
                tree = topics.grow(settings, client.complete)
            return tree, running.stats.requests

    return run


def test_a_tree_grows_to_what_was_asked_for(grow):
    tree, asked = grow(FEW)
    leaves = taxonomy.leaves(tree.paths)
    assert len(leaves) == tree.num_leaves == 400
    names = [path[-1] for path in tree.paths]
    assert len({taxonomy.normal(name) for name in names}) == len(names)
    assert asked <= 150  # for 145 leaves more, of 3 drawn an answer
    assert all(path[:-1] in tree.paths or len(path) == 1 for path in tree.paths)
    # What the teacher repeats, what is no name, and what was not drawn are told.
    assert set(tree.dropped) - {'enough'} == {'not_drawn', 'duplicate', 'no_name'}
    assert tree.paths[: len(taxonomy.load('code'))] == taxonomy.load('code')


def test_no_answers_are_asked_for_without_a_need(grow):
    tree, asked = grow(Settings())
    assert asked == 0
    assert tree.paths == taxonomy.load('code')


def test_faults_on_the_way_change_nothing(grow):
    rates = {'error': 0.05, 'limited_after': 0.05, 'reset': 0.05}
    clean, _ = grow(FEW)
    rough, _ = grow(FEW, Script(write=teacher.write, rates=rates), 'other')
    assert rough.paths == clean.paths
    assert rough.dropped == clean.dropped


def test_answers_that_are_none_are_counted_and_the_tree_ends(grow):
    tree, _ = grow(FEW, Script(write=lambda body: 'I would rather not.'))
    assert tree.paths == taxonomy.load('code')
    assert tree.dropped == {'invalid': 255 * FEW.replies}


def test_a_teacher_without_ideas_ends(grow):
    tree, _ = grow(FEW, Script(write=functools.partial(_always, 'The same')))
    assert tree.num_leaves == 255
    assert tree.added == 1


def _always(name, body):
    return json.dumps({'topics': [{'name': name, 'probability': 1.0}]})


def test_nodes_are_asked_about_from_every_side_evenly(grow):
    seen = collections.Counter()

    def write(body):
        said = body['messages'][-1]['content']
        seen[said.split('seen from this side: ')[1].split('.')[0]] += 1
        return teacher.write(body)

    grow(Settings(leaves=1000), Script(write=write))
    assert len(seen) == 7
    assert max(seen.values()) - min(seen.values()) <= 2


@pytest.mark.slow
def test_twenty_thousand_leaves(grow):
    tree, asked = grow(Settings(leaves=20_000, candidates=5, keep=5))
    assert tree.num_leaves == 20_000
    assert asked < 6500
    start = time.perf_counter()
    drawn = taxonomy.draw(tree.paths)
    assert drawn.count('\n') == len(tree.paths)
    assert time.perf_counter() - start < 5


def test_the_tail_is_drawn_more_often():
    named = {'usual': 0.9, 'rare': 0.1}
    first = collections.Counter(topics.draw(named, 1, str(key))[0] for key in range(1000))
    assert 850 < first['rare'] < 950  # 9 in 10 by the weights
    assert sorted(topics.draw(named, 2, 'x')) == ['rare', 'usual']
    assert topics.draw({'certain': 0.0}, 1, 'x') == ['certain']


@pytest.mark.parametrize(
    'values', [{'leaves': -1}, {'replies': 0}, {'replies': 8}, {'candidates': 11}, {'keep': 6}]
)
def test_settings_that_cannot_be_used(values):
    with pytest.raises(InputError, match=f'topics.{next(iter(values))}'):
        Settings(**values)
