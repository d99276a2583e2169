"""The architecture holds, and no rule of it is unable to fail: each catches a planted violation."""

import pathlib
import subprocess
import sys

import pytest

from tests.architecture import house, layers, source

ROOT = pathlib.Path(__file__).resolve().parents[2]
RULES = {rule.__name__: rule for rule in (*layers.RULES, *house.RULES)}

FUNCTION = '"""M."""\n\n\ndef f(x: int) -> int:\n    """The same."""\n'
RUN = ''.join(f'value_{i} = {i}\n' for i in range(house.REPEATED_LINES))
STATEMENTS = 'x = 1\n' * (house.COMMAND_STATEMENTS + 1)
SHORT = 'def f():\n    x = 1\n'
LONG = 'def f():\n' + '    x = 1\n' * house.MEDIAN_LINES
LONGER = 'def f():\n' + '    x = 1\n' * house.LONG_LINES
BRANCHED = 'def f():\n' + '    if x: y\n' * house.MANY_BRANCHES

# Rule, files of a planted tree, and what the answer must name.
VIOLATIONS = [
    ('parts', {'phijax/models/phi.py': 'from phijax import assets'}, 'phijax.assets'),
    ('parts', {'phijax/models/phi.py': 'import phijax.checkpoint'}, 'phijax.checkpoint'),
    ('parts', {'phijax/models/phi.py': 'from ..train import loop'}, 'phijax.train'),
    ('parts', {'phijax/models/phi.py': 'from phijax.errors import InputError'}, 'phijax.errors'),
    ('parts', {'phijax/sandbox.py': 'def f():\n    from phijax import data'}, 'phijax.data'),
    ('parts', {'phijax/data/packing.py': 'from phijax.models import init'}, 'phijax.models'),
    ('parts', {'phijax/data/tokenize/run.py': 'from phijax import models'}, 'phijax.models'),
    ('parts', {'phijax/upscale/depth.py': 'from phijax import interop'}, 'phijax.interop'),
    ('parts', {'phijax/evaluate/likelihood.py': 'from phijax.train import loop'}, 'phijax.train'),
    ('parts', {'phijax/generate/sampler.py': 'from phijax.data import mixture'}, 'phijax.data'),
    ('parts', {'phijax/serve/engine.py': 'from phijax import evaluate'}, 'phijax.evaluate'),
    ('parts', {'phijax/brand_new.py': 'import os'}, 'without a row'),
    (
        'parts',
        {'phijax/models/phi.py': "import importlib\nimportlib.import_module('phijax.train')"},
        'phijax.train',
    ),
    ('commands', {'phijax/evaluate/__main__.py': 'from phijax import train'}, 'phijax.train'),
    (
        'commands',
        {'phijax/train/__main__.py': 'from phijax.data.mixture import stream'},
        'phijax.data.mixture',
    ),
    (
        'commands',
        {
            'phijax/train/__main__.py': 'from phijax.data import mixture',
            'phijax/data/mixture.py': '',
        },
        'phijax.data.mixture',
    ),
    ('configs', {'configs/phi9.py': 'from phijax import train'}, 'phijax.train'),
    ('doors', {'phijax/train/loop.py': 'import flax.nnx'}, 'flax'),
    ('doors', {'phijax/train/loop.py': 'import orbax.checkpoint as ocp'}, 'orbax'),
    ('doors', {'phijax/data/packing.py': 'import grain'}, 'grain'),
    ('doors', {'phijax/data/packing.py': 'import jax.numpy as jnp'}, 'jax'),
    ('doors', {'phijax/data/synthesis/prompts.py': 'from openai import OpenAI'}, 'openai'),
    ('doors', {'phijax/train/loop.py': 'from matplotlib import pyplot'}, 'matplotlib'),
    ('doors', {'phijax/train/loop.py': 'from absl import flags'}, 'absl'),
    ('doors', {'phijax/upscale/depth.py': 'import optax'}, 'optax'),
    ('doors', {'phijax/sandbox.py': 'import numpy as np'}, 'numpy'),
    ('doors', {'phijax/longrope/search.py': 'import sklearn'}, 'sklearn'),
    ('doors', {'phijax/models/phi.py': 'def f():\n    import torch'}, 'torch has no door'),
    ('doors', {'configs/phi9.py': 'import jax'}, 'jax'),
    ('upward', {'phijax/train/loop.py': 'from configs import phi2'}, 'configs'),
    ('unsafe', {'phijax/train/loop.py': 'import pickle'}, 'pickle'),
    ('unsafe', {'experiments/speed/run.py': 'from joblib import load'}, 'joblib'),
    ('unsafe', {'phijax/data/a.py': 'numpy.load(path, allow_pickle=True)'}, 'allow_pickle'),
    ('construction', {'phijax/models/a.py': 'step = nnx.jit(f)'}, 'nnx.jit'),
    ('documented', {'phijax/a.py': 'x = 1'}, 'the module'),
    ('documented', {'phijax/a.py': '"""M."""\ndef f() -> None: ...'}, 'f has no'),
    (
        'documented',
        {'phijax/a.py': '"""M."""\nclass C:\n    """C."""\n    def m(self): ...'},
        'm has no',
    ),
    ('documented', {'phijax/a.py': '"""M."""\nif True:\n    def f() -> None: ...'}, 'f has no'),
    ('annotated', {'phijax/a.py': 'def f(x) -> None: ...'}, 'x'),
    ('annotated', {'phijax/a.py': 'def _f(*, x: int, **rest) -> None: ...'}, 'rest'),
    ('annotated', {'phijax/a.py': 'class C:\n    def m(self): ...'}, 'its result'),
    ('file_lines', {'phijax/a.py': '\n' * (house.FILE_LINES + 1)}, '401 lines'),
    ('file_lines', {'tests/test_a.py': '\n' * (house.FILE_LINES + 1)}, '401 lines'),
    ('file_lines', {'configs/eval/a.py': '\n' * (house.CONFIG_LINES + 1)}, '61 lines'),
    ('file_lines', {'phijax/models/phi3.py': '\n' * (house.FAMILY_LINES + 1)}, '61 lines'),
    ('function_lines', {'phijax/a.py': FUNCTION + '    x += 1\n' * 79}, 'f has 81'),
    ('flags_only', {'phijax/train/__main__.py': STATEMENTS}, '41 statements'),
    ('flags_only', {'phijax/train/__main__.py': 'while True:\n    pass'}, 'flags'),
    ('finished', {'phijax/a.py': '# TO' + 'DO: later'}, 'later'),
    ('finished', {'experiments/a.py': 'x = 1  # FIX' + 'ME'}, 'x = 1'),
    ('finished', {'phijax/a.py': '# ---' + '- models ----'}, 'models'),
    ('named', {'phijax/data/utils.py': ''}, 'phijax/data/utils.py'),
    ('named', {'tests/train/helpers.py': ''}, 'tests/train/helpers.py'),
    ('said_once', {'phijax/a.py': RUN, 'phijax/b.py': f'x = 0\n{RUN}'}, 'also at phijax/a.py:1'),
    ('said_once', {'phijax/a.py': f'{RUN}\nx = 0\n{RUN}'}, 'also at phijax/a.py:1'),
    ('family_blind', {'phijax/a.py': "if config.family == 'phi3': pass"}, 'phijax/a.py:1'),
    ('family_blind', {'phijax/a.py': "if config.family in ('phi', 'phi3'): pass"}, 'a.py:1'),
    ('no_defaults', {'phijax/a.py': "config.get('x', 3)"}, 'phijax/a.py:1'),
    ('no_defaults', {'phijax/a.py': "self.config.get('x')"}, 'phijax/a.py:1'),
    ('mirrored', {'phijax/serve/engine.py': ''}, 'phijax/serve has no tests'),
    ('mirrored', {'tests/test_nothing.py': ''}, 'tests/nothing mirrors'),
    ('proportions', {'phijax/a.py': LONG, 'tests/a.py': LONG}, 'median'),
    (
        'proportions',
        {'phijax/a.py': SHORT * 9 + LONGER, 'tests/a.py': LONGER * 2},
        'lines of a function, 95th',
    ),
    ('proportions', {'phijax/a.py': BRANCHED, 'tests/a.py': BRANCHED}, 'branches'),
    ('proportions', {'phijax/a.py': SHORT * 50, 'tests/a.py': SHORT}, 'tests: 5000'),
]

# What the same rules let pass: a check that always fails would be as useless.
ALLOWED = [
    ('parts', {'phijax/data/filtering/features.py': 'from phijax import models'}),
    ('parts', {'phijax/train/loop.py': 'from phijax.data import mixture'}),
    ('parts', {'phijax/train/loop.py': 'from phijax import __version__'}),
    ('parts', {'phijax/data/packing.py': 'from phijax.errors import InputError'}),
    ('parts', {'phijax/train/metrics/a.py': 'from ..losses import f'}),
    ('parts', {'phijax/longrope/search.py': 'from phijax import train'}),
    ('commands', {'phijax/generate/__main__.py': 'from phijax import interop, models'}),
    ('commands', {'phijax/train/__main__.py': 'from phijax.data.tokenizer import load'}),
    ('configs', {'configs/phi9.py': 'from phijax import models\nfrom configs import phi2'}),
    ('doors', {'phijax/data/filtering/forest.py': 'import jax, sklearn.ensemble, numpy'}),
    ('doors', {'phijax/data/filtering/__main__.py': 'from absl import app'}),
    ('unsafe', {'tests/test_hostile.py': 'import pickle'}),
    ('unsafe', {'phijax/data/a.py': 'numpy.load(path, allow_pickle=False)'}),
    ('construction', {'phijax/models/a.py': 'nnx.split(model)\njax.jit(f)'}),
    ('documented', {'phijax/a.py': FUNCTION + '    def inner(): ...\n    return inner\n'}),
    ('said_once', {'phijax/a.py': RUN, 'phijax/b.py': RUN.replace('value_5', 'other')}),
    ('said_once', {'phijax/a.py': 'x += 1\n' * (2 * house.REPEATED_LINES - 2)}),
    ('family_blind', {'phijax/a.py': 'block = BLOCKS[config.family]'}),
    ('mirrored', {'phijax/serve/engine.py': '', 'tests/serve/test_engine.py': ''}),
    ('mirrored', {'phijax/report.py': '', 'tests/test_report.py': ''}),
    ('proportions', {'phijax/a.py': SHORT * 5, 'tests/a.py': SHORT * 4}),
]


@pytest.fixture(scope='module')
def checkout() -> source.Tree:
    return source.read(ROOT)


@pytest.mark.parametrize('name', RULES)
def test_tree_holds_the_rule(name: str, checkout: source.Tree) -> None:
    violations = list(RULES[name](checkout))
    assert not violations, '\n' + '\n'.join(violations)


def plant(root: pathlib.Path, files: dict[str, str]) -> source.Tree:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return source.read(root)


@pytest.mark.parametrize(('name', 'files', 'answer'), VIOLATIONS)
def test_rule_catches_a_violation(
    tmp_path: pathlib.Path, name: str, files: dict[str, str], answer: str
) -> None:
    found = list(RULES[name](plant(tmp_path, files)))
    assert found
    assert answer in found[-1]


@pytest.mark.parametrize(('name', 'files'), ALLOWED)
def test_rule_lets_pass(tmp_path: pathlib.Path, name: str, files: dict[str, str]) -> None:
    assert not list(RULES[name](plant(tmp_path, files)))


def test_every_rule_has_a_violation() -> None:
    assert {name for name, *_ in VIOLATIONS} == set(RULES)


def test_checkout_is_read(checkout: source.Tree) -> None:
    assert {'phijax', 'phijax.assets', 'phijax.models', 'tests.conftest'} <= checkout.names


def test_parts_are_layers() -> None:
    """Following the table, no part can come back to itself."""
    done: set[str] = set()
    for _ in layers.UNITS:
        for unit in layers.UNITS - done:
            below = {'.'.join(name.split('.')[:2]) for name in layers.PARTS[unit]}
            if below <= done:
                done.add(unit)
    assert done == layers.UNITS


@pytest.mark.parametrize('module', ['phijax', 'phijax.assets'])
def test_import_is_light(module: str) -> None:
    """The package itself loads only the standard library."""
    code = f'import sys, {module}; print(*{{name.split(".")[0] for name in sys.modules}})'
    printed = subprocess.check_output([sys.executable, '-S', '-c', code], cwd=ROOT, text=True)
    assert set(printed.split()) - {'phijax', '__main__'} <= set(sys.stdlib_module_names)
