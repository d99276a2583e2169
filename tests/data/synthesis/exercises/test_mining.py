"""What is mined of code: functions whose examples hold, and words of names."""

import email.message

import pytest

from phijax.data import engines, synthesis
from phijax.data.synthesis import chain
from phijax.data.synthesis.exercises import mining
from phijax.data.synthesis.exercises.examples import Example
from phijax.data.synthesis.exercises.mining import Settings
from phijax.errors import InputError
from tests.data.synthesis import runs
from tests.data.synthesis.exercises import shelf


@pytest.fixture(scope='module')
def step(tmp_path_factory):
    root = tmp_path_factory.mktemp('mining')
    config = synthesis.from_dict(shelf.config('http://127.0.0.1:1/v1', root, mode='completed'))
    return chain.run(config, root / 'run', engines.make('local', 1), only='mine')['mine']


def test_functions_whose_examples_hold_are_kept(step):
    _, found = mining.read(step)
    assert [each.function.name for each in found] == ['double', 'initials', 'squeeze']
    double, initials, squeeze = found
    assert double.function.arguments == 'x'
    assert double.function.docstring == 'Twice a number.\n\n>>> double(2)\n4\n>>> double(0)\n0'
    assert double.examples == (Example('double(2)', '4'), Example('double(0)', '0'))
    assert 'STEP = 2' in double.program
    assert '_is_word' in initials.program
    assert squeeze.function.imports == ('from re import sub as replace_all',)
    assert all(each.path.endswith('shelf.py') for each in found)


def test_all_others_are_counted_by_reason(step):
    [account] = step.accounts()
    assert account.kept == 3
    assert account.dropped == {
        'function_benchmark': 1,
        'function_failed': 1,
        'function_needs_file': 1,
        'function_needs_packages': 1,
        'function_uncheckable': 2,  # one prints, one shows another function
        'no_python': 1,
    }


def test_words_of_names_are_kept(step):
    words, _ = mining.read(step)
    assert words == {
        'verb': ['count', 'join', 'sort'],
        'object': ['cells', 'rows', 'words'],
        'qualifier': ['by_size', 'in_text'],
    }


def test_without_exercises_nothing_is_mined(tmp_path):
    config = synthesis.from_dict(runs.config('http://127.0.0.1:1/v1', tmp_path))
    done = chain.run(config, tmp_path / 'run', engines.make('local', 1), only='mine')
    assert done['mine'].accounts()[0].given == 0


@pytest.mark.parametrize(
    ('path', 'permissive'),
    [
        ('numpy/core.py', True),
        ('jax/core.py', True),
        ('ast.py', True),
        ('email/header.py', True),
        ('nobody_knows_this/core.py', False),
    ],
)
def test_licences_are_read(path, permissive):
    assert mining._is_permissive(path) == permissive


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'mode': 'guessed'}, "exercises.mode is 'guessed'; it must be written or completed"),
        ({'files': -1}, 'exercises.files is -1'),
        ({'attempts': 0}, 'exercises.attempts is 0'),
        ({'cpu_seconds': 0.0}, 'exercises.cpu_seconds is 0'),
    ],
)
def test_what_cannot_be_used_is_named(values, message):
    with pytest.raises(InputError, match=message):
        Settings(**values)


def test_a_machine_that_contains_nothing_is_told(monkeypatch):
    def refuse(unsafe=''):
        raise mining.sandbox.SandboxError('this machine has no Landlock')

    monkeypatch.setattr(mining.sandbox, 'require', refuse)
    with pytest.raises(InputError, match=r"exercises\.unsafe=''.*no Landlock"):
        Settings(mode='written').require()


@pytest.mark.parametrize(
    ('licence', 'permissive'),
    [
        ('MIT', True),
        ('Simplified BSD', True),
        ('Apache-2.0', True),
        ('LGPL-2.1-only', False),
        ('MIT AND GPL-3.0', False),
        ('MPL-2.0', False),
        ('', False),
    ],
)
def test_what_a_licence_lets_do(monkeypatch, licence, permissive):
    told = email.message.Message()
    told['License-Expression'] = licence
    monkeypatch.setattr(mining.importlib.metadata, 'metadata', lambda name: told)
    assert mining._has_licence.__wrapped__('any') == permissive
