"""Annotation through a real endpoint on loopback, and how the command ends when it fails."""

import json

import pytest

from phijax.data import attributes, engines, filtering
from phijax.data.filtering import chain
from tests.data.client import server
from tests.data.client.server import Script
from tests.data.filtering import piles

GOOD = 'def add{0}(a, b):\n    """The sum of a and b, plus {0}."""\n    return a + b + {0}\n' * 3


@pytest.fixture(scope='module')
def pile(tmp_path_factory):
    root = tmp_path_factory.mktemp('pile')
    for number in range(60):
        (root / f'lib{number % 3}').mkdir(exist_ok=True)
        (root / f'lib{number % 3}' / f'm{number}.py').write_text(GOOD.format(number))
    return root


def config(root, url, max_tokens=1_000_000, **annotate):
    asked = {'grader': 'endpoint', 'model': 'judge', 'sample': 40, 'double_fraction': 0.25}
    return piles.config(
        root,
        annotate=asked | annotate,
        endpoint={
            'url': url,
            'max_concurrency': 8,
            'backoff_seconds': 0.02,
            'breaker_seconds': 1.0,
            'max_attempts': 20,  # both grades of a document draw from one row of faults
        },
        budget={'max_tokens': max_tokens},
    )


def annotate(plain, workdir):
    """The annotations of a run as far as them."""
    made = filtering.from_dict(plain)
    engine = engines.make('local', 1)
    for name in ('ingest', 'exact', 'annotate'):
        done = chain.run(made, workdir, engine, name)
    step = done['annotate']
    return attributes.read(step.part('annotations', 0)), step.accounts()[0].facts


def test_a_judge_grades_the_sample_and_some_of_it_twice(pile, tmp_path):
    with server.run() as running:
        columns, facts = annotate(config(pile, running.url), tmp_path)
        assert running.stats.requests == 50
    assert columns['turn'].tolist().count(1) == 10
    assert len(set(columns['id'])) == 40
    assert all(0 <= level <= 5 for level in columns['level'])
    assert facts['agreement']['documents'] == 10
    assert facts['agreement']['kappa_of_levels'] < 0.9  # this judge draws its second grade anew
    assert facts['spent']['requests'] == 50
    assert facts['spent']['prompt_tokens'] > 0


def test_what_was_answered_is_not_asked_again(pile, tmp_path):
    with server.run() as running:
        first, _ = annotate(config(pile, running.url), tmp_path)
        asked = running.stats.requests
        # Another cut is another step, and the same questions.
        second, facts = annotate(config(pile, running.url, cut=4), tmp_path)
        assert running.stats.requests == asked
    assert str(first) == str(second)
    assert facts['spent']['replays'] == 50


def test_faults_on_the_way_change_nothing(pile, tmp_path):
    with server.run() as running:
        clean, _ = annotate(config(pile, running.url), tmp_path / 'clean')
    rates = {'error': 0.1, 'reset': 0.1, 'limited_after': 0.1, 'text': 0.1, 'half': 0.1}
    with server.run(Script(rates=rates)) as running:
        rough, _ = annotate(config(pile, running.url), tmp_path / 'rough')
        assert running.stats.requests > 50
    assert str(rough) == str(clean)


@pytest.mark.parametrize(
    ('script', 'changes', 'code', 'message'),
    [
        (Script(rates={'wrong': 1.0}), {}, 3, 'of 50 grades cannot be used'),
        (Script(), {'max_tokens': 9000}, 4, 'budget'),
        (Script(rates={'error': 1.0}), {}, 75, ''),
        (Script(), {'max_tokens': 0}, 2, 'max_tokens is 0'),
        (Script(), {'model': ''}, 2, "annotate.model is ''"),
        (Script(), {'grader': 'oracle'}, 2, 'one of heuristic, endpoint'),
    ],
)
def test_how_the_command_ends(pile, tmp_path, start_command, script, changes, code, message):
    with server.run(script) as running:
        plain = config(pile, running.url, **changes)
        path = tmp_path / 'config.py'
        path.write_text(
            f'import json\n\nimport ml_collections\n\n\ndef get_config():\n'
            f'    return ml_collections.ConfigDict(json.loads({json.dumps(plain)!r}))\n'
        )
        process = start_command(
            'phijax.data.filtering', f'--config={path}', f'--workdir={tmp_path}/run', '--workers=1'
        )
        _, errors = process.communicate(timeout=120)
    assert process.returncode == code, errors
    assert message in errors
    assert 'Traceback' not in errors
