"""Exercises of a scripted teacher: what is asked, what is kept, and why the rest is not."""

import collections
import json

import pytest

from phijax.data import engines, synthesis
from phijax.data.client import Answer
from phijax.data.document import Document
from phijax.data.synthesis import chain, records
from phijax.data.synthesis.exercises import Completed, Written, kinds, mining, names, said
from phijax.data.synthesis.exercises.mining import Settings
from phijax.errors import InputError
from tests.data.client import server
from tests.data.client.server import Script
from tests.data.synthesis import teacher
from tests.data.synthesis.exercises import shelf

WORDS = {
    'verb': ['count', 'find', 'join', 'sort'],
    'object': ['rows', 'cells', 'words'],
    'qualifier': ['by_size', 'in_text'],
}
NOTHING = names.Protected([])
GOOD = '''def {name}(x):
    """Twice a number.

    >>> {name}(2)
    4
    >>> {name}(0)
    0
    """
    return 2 * x
'''


def written(**options):
    return Written(Settings(mode='written'), WORDS, options.pop('protected', NOTHING), **options)


def asked(kind, index=0):
    return kind.prompt(index, kind.sampler(index))


def answer(text):
    return Answer('key', 'ok', text)


def test_every_name_and_style_comes_equally_often():
    kind = written()
    sizes = {name: len(levels) for name, levels in kind.sampler.levels.items()}
    assert sizes == {
        'object': 3,
        'form': 3,
        'view': 1,
        'data': 11,
        'technique': 13,
        'reader': 5,
        'verb': 4,
        'qualifier': 1,
    }
    seen = collections.Counter(kinds.name_of(kind.sampler(n)) for n in range(12))
    assert len(seen) == 12


def test_prompts_name_the_function_and_show_extracts():
    extracts = [Document(f'id{n}', f'x_{n} = {n}', 'code', f'{n}') for n in range(4)]
    kind = written(extracts=extracts)
    prompts = [asked(kind, index) for index in range(60)]
    assert {bool(each.extract) for each in prompts} == {True, False}
    for each in prompts:
        [_, question] = each.messages
        assert f'`{kinds.name_of(each.factors)}`' in question['content']
        assert each.extract in question['content']
        assert each.seeds == ((f'id{each.extract[2]}',) if each.extract else ())


@pytest.mark.parametrize(
    ('text', 'reason', 'words'),
    [
        (GOOD, '', ''),
        (f'```python\n{GOOD}```', '', ''),
        (
            GOOD.replace('2 * x', 'x'),
            'examples_failed',
            'its examples do not hold',
        ),
        (GOOD.replace('return 2 * x', 'while True: pass'), 'examples_timeout', 'do not hold'),
        (GOOD.replace('    return 2 * x\n', ''), 'unfinished', 'did nothing'),
        (GOOD.replace('return 2 * x', 'raise NotImplementedError'), 'unfinished', 'did nothing'),
        (GOOD.replace('{name}', 'other'), 'misnamed', 'no function'),
        (GOOD.replace('>>>', '>>'), 'no_examples', '2 examples or more'),
        (GOOD.replace('>>> {name}(0)', '>>> print({name}(0))'), 'no_examples', 'plain values'),
        ('def {name}(x):\n    return x\n', 'malformed', 'no docstring'),
        ('def {name}(x:\n', 'malformed', 'no Python'),
        ("I'm sorry, but I cannot help with that.", 'refused', 'refusal'),
        (GOOD.replace('return 2', 'import socket; socket.socket(); return 2'), 'examples_', ''),
    ],
)
def test_what_a_teacher_writes_is_run(text, reason, words):
    kind = Written(
        Settings(mode='written', cpu_seconds=1.0), WORDS, NOTHING, levels='', templates=''
    )
    prompt = asked(kind)
    made = kind.text(prompt, answer(text.replace('{name}', kinds.name_of(prompt.factors))))
    problem = kind.check(prompt, made)
    assert (problem.reason if problem else '').startswith(reason)
    assert bool(problem) == bool(reason)
    if problem and words:
        assert words in problem.words


def test_a_name_of_a_benchmark_is_never_kept():
    name = kinds.name_of(written().sampler(0))
    kind = written(protected=names.Protected([f'{name}s']))
    prompt = asked(kind)
    problem = kind.check(prompt, GOOD.replace('{name}', name))
    assert problem.reason == 'benchmark'


def test_language_is_the_docstring_without_examples():
    assert said(GOOD.format(name='f')) == 'Twice a number.'
    assert said('def (') == 'def ('


def test_too_few_words_are_an_error():
    with pytest.raises(InputError, match=r'exercises\.verbs is .none in the sources'):
        Written(Settings(mode='written'), {**WORDS, 'verb': []}, NOTHING)


def test_a_template_with_an_unknown_factor_is_an_error(tmp_path):
    (tmp_path / 'odd.jinja').write_text('---\nabout: x\nsystem: y\n---\n{{ name }} {{ weather }}')
    with pytest.raises(InputError, match='odd needs weather'):
        written(templates=str(tmp_path))


@pytest.fixture(scope='module')
def mined(tmp_path_factory):
    root = tmp_path_factory.mktemp('mined')
    config = synthesis.from_dict(shelf.config('http://127.0.0.1:1/v1', root, mode='completed'))
    step = chain.run(config, root / 'run', engines.make('local', 1), only='mine')['mine']
    return mining.read(step)[1]


def completed(mined, **settings):
    return Completed(Settings(mode='completed', **settings), mined, NOTHING)


def test_the_last_of_several_examples_is_not_shown(mined):
    kind = completed(mined)
    shown = {each.seeds[0].split('/')[-1]: each for each in map(asked, [kind] * 3, range(3))}
    double = shown['double'].messages[-1]['content']
    assert '>>> double(2)\n    4' in double
    assert 'double(0)' not in double
    assert ">>> initials('ab cd')" in shown['initials'].messages[-1]['content']


@pytest.mark.parametrize(
    ('body', 'reason'),
    [
        ('def double(x):\n    return x + x', ''),
        ('```python\ndef double(n: int = 3):\n    """Mine."""\n    return x * 2\n```', ''),
        ('import operator\n\ndef double(x):\n    return operator.mul(2, x)', ''),
        ('def double(x):\n    return 4', 'examples_failed'),  # only the example that it saw
        ('def double(x):\n    return STEP * x', 'examples_error'),
        ('def triple(x):\n    return 2 * x', 'misnamed'),
        ('def double(x):\n    """Twice."""', 'unfinished'),
        ('double = (', 'malformed'),
    ],
)
def test_bodies_are_run_under_the_mined_docstring(mined, body, reason):
    kind = completed(mined)
    index = next(n for n in range(3) if asked(kind, n).seeds[0].endswith('/double'))
    prompt = asked(kind, index)
    text = kind.text(prompt, answer(body))
    problem = kind.check(prompt, text)
    assert (problem.reason if problem else '') == reason
    if not problem:
        assert '>>> double(0)\n    0' in text
        assert 'Mine' not in text


def test_nothing_to_complete_is_an_error():
    with pytest.raises(InputError, match='without a function'):
        completed([])


@pytest.mark.parametrize('mode', mining.MODES)
def test_the_chain_makes_exercises(tmp_path, mode):
    with server.run(Script(write=teacher.write)) as running:
        config = synthesis.from_dict(shelf.config(running.url, tmp_path, mode=mode))
        told = synthesis.run(config, tmp_path / 'run', engines.make('local', 1))
        done = chain.run(config, tmp_path / 'run', engines.make('local', 1))
    [account] = done['texts'].accounts()
    found = list(records.read(done['texts']))
    assert account.given == (40 if mode == 'written' else 12)
    assert account.kept == len(found) > 0
    assert account.dropped
    assert account.kept + sum(account.dropped.values()) == account.given
    for item, row in found:
        scope = {}
        exec(item.text, scope)
        assert row['template'].startswith('exercises/' if mode == 'written' else 'completed/')
    assert 'texts: ' in told
    report = json.loads((tmp_path / 'run' / 'report.json').read_text())
    assert report['acceptance'] == account.kept / account.given
