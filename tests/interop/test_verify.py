"""Golden logits: those that ship, a comparison with them, and the commands."""

import json
import re

import numpy as np
import pytest
from safetensors.numpy import load_file

from phijax import models
from phijax.errors import InputError
from phijax.interop import __main__ as command
from phijax.interop import huggingface, verify
from tests.interop.conftest import GOLDEN
from tests.models import tiny


@pytest.fixture
def golden(tmp_path):
    """`golden(**changes)`: golden logits of the case `plain`, some of their fields changed."""
    expected = load_file(GOLDEN / 'plain' / 'expected.safetensors')
    fields = {
        'model': 'plain',
        'source': 'golden/make.py',
        'tolerance': 1e-4,
        'tokens': expected['tokens'][0].tolist(),
        'logits': expected['logits'][0, :3, :7].tolist(),
    }

    def write(**changes):
        (tmp_path / 'golden.json').write_text(json.dumps(fields | changes))
        return str(tmp_path / 'golden.json')

    write.logits = np.asarray(fields['logits'])
    return write


@pytest.mark.parametrize(
    ('name', 'first', 'last'),
    [
        ('phi-1', 2.2671, -0.4827),
        ('phi-1_5', 12.2922, 9.2612),
        ('phi-2', 6.483, 2.4059),
        ('phi-3-mini-4k-instruct', 8.9005, 16.7315),
        ('phi-3-mini-128k-instruct', 10.6076, 16.6647),
    ],
)
def test_published_logits(name, first, last):
    golden = verify.read(name)
    assert golden.model == f'microsoft/{name}'
    assert re.search(r'test_modeling_phi3?\.py of transformers', golden.source)
    assert golden.tolerance == 1e-4
    assert golden.tokens.tolist() == [1212, 318, 281, 1672, 2643, 290, 428, 318, 257, 1332]
    assert golden.logits.shape == (2, 30)
    np.testing.assert_allclose([golden.logits[0, 0], golden.logits[1, 29]], [first, last])
    assert verify.read(f'microsoft/{name}').model == golden.model


def test_agreement(golden):
    comparison = verify.compare(GOLDEN / 'plain', golden())
    assert comparison.wrong == 0
    assert comparison.largest < 1e-5
    assert 'of 21 logits all agree' in str(comparison)


@pytest.mark.parametrize(('size', 'wrong'), [(3e-5, 0), (1e-2, 21)])
def test_disagreement(golden, size, wrong):
    comparison = verify.compare(GOLDEN / 'plain', golden(logits=(golden.logits + size).tolist()))
    assert comparison.wrong == wrong
    np.testing.assert_allclose(comparison.largest, size, rtol=0.2)


def test_one_wrong_logit_is_enough(golden):
    logits = golden.logits.copy()
    logits[2, 6] += 3e-4 * (1 + abs(logits[2, 6]))
    comparison = verify.compare(GOLDEN / 'plain', golden(logits=logits.tolist()))
    assert comparison.wrong == 1
    assert 'of 21 logits 1 are wrong' in str(comparison)


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        ({'tokens': []}, 'tokens must be numbers in 1 dimension'),
        ({'tokens': [1.5]}, 'tokens must be numbers in 1 dimension'),
        ({'tokens': None}, 'tokens must be numbers'),
        ({'tokens': ['a']}, 'tokens must be numbers'),
        ({'logits': [1.0]}, 'logits must be numbers in 2 dimension'),
        ({'logits': [[1.0], [1.0, 2.0]]}, 'logits must be rows of one length'),
        ({'tolerance': 'x'}, 'tolerance must be a finite number'),
        ({'tokens': [1, 61, 2, 3]}, 'ids up to 61; the model has 61'),
        ({'tokens': [1, -1, 2, 3]}, 'the model has 61'),
        ({'logits': [[0.0] * 62]}, 'ids up to 61'),
        ({'tokens': [1, 2]}, 'more rows of logits than tokens'),
    ],
)
def test_golden_files_that_are_none(golden, changes, said):
    with pytest.raises(InputError, match=said):
        verify.compare(GOLDEN / 'plain', golden(**changes))


def test_a_golden_name_that_is_none():
    with pytest.raises(
        InputError, match=r"'phi-7'.*phi-1, phi-1_5, phi-2, phi-3-.*, nor a JSON file"
    ):
        verify.read('phi-7')


@pytest.mark.parametrize('name', ['phi-3-mini-4k-instruct', 'phi-3-mini-128k-instruct'])
def test_phi3_by_its_name(name, tmp_path, capsys):
    """Random weights of phi-3's settings are told from the published; their own logits are not."""
    longrope = {'original_length': 16, 'short_factors': (1.1, 1.2), 'long_factors': (2.0, 4.0)}
    extra = longrope if '128k' in name else {}
    config = models.config('phi3_mini', **tiny.SIZES | extra | {'vocab_size': 2700, 'head_dim': 4})
    params = tiny.randomised(config)
    huggingface.save(config, params, tmp_path / 'model')
    arguments = ['verify', f'--checkpoint={tmp_path / "model"}']
    assert command.main([*arguments, f'--golden={name}']) == 1
    assert f'microsoft/{name}: of 60 logits 60 are wrong' in capsys.readouterr().out
    fields = json.loads((verify.PUBLISHED / f'{name}.json').read_text())
    logits = tiny.forward(config)(params, np.asarray([fields['tokens']], np.int32))[0, :2, :30]
    (tmp_path / 'own.json').write_text(json.dumps(fields | {'logits': logits.tolist()}))
    assert command.main([*arguments, f'--golden={tmp_path / "own.json"}']) == 0
    assert 'of 60 logits all agree' in capsys.readouterr().out


def test_the_command(golden, tmp_path, capsys):
    workdir, target = str(tmp_path / 'workdir'), str(tmp_path / 'out')
    assert command.main(['import', f'--source={GOLDEN / "plain"}', f'--workdir={workdir}']) == 0
    assert f'--config.init_from={workdir}' in capsys.readouterr().out
    assert command.main(['export', f'--checkpoint={workdir}', f'--target={target}']) == 0
    arguments = ['verify', f'--checkpoint={target}', f'--golden={golden()}']
    assert command.main(arguments) == 0
    assert 'all agree' in capsys.readouterr().out
    golden(logits=(golden.logits + 1).tolist())
    assert command.main(arguments) == 1
    assert '21 are wrong' in capsys.readouterr().out
    half = ['export', f'--checkpoint={workdir}', f'--target={tmp_path / "half"}', '--dtype=float16']
    assert command.main(half) == 0
    ours, theirs = (
        (directory / 'model.safetensors').stat().st_size
        for directory in (tmp_path / 'half', GOLDEN / 'plain')
    )
    assert abs(ours - theirs) < 1000


@pytest.mark.parametrize(
    ('arguments', 'said'),
    [
        (['export', '--checkpoint=nothing', '--target=out'], 'nothing is not a model'),
        (['import', '--source=nothing', '--workdir=out'], 'nothing is not a model'),
        (['verify', '--checkpoint=nothing', '--golden=phi-1'], 'nothing is not a model'),
        (['verify', '--checkpoint=nothing', '--golden=phi-7'], "golden logits 'phi-7'"),
        (['export', f'--checkpoint={GOLDEN / "plain"}', '--target=out', '--dtype=int8'], 'int8'),
    ],
)
def test_wrong_input(arguments, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert command.main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith('error: ')
    assert said in captured.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    'arguments', [[], ['convert'], ['export', '--checkpoint=a'], ['import', '--src=a']]
)
def test_wrong_flags(arguments, capsys):
    with pytest.raises(SystemExit) as raised:
        command.main(arguments)
    assert raised.value.code == 2
    assert 'usage:' in capsys.readouterr().err


def test_no_traceback(run_command):
    finished = run_command('phijax.interop', 'export', '--checkpoint=nothing', '--target=out')
    assert finished.returncode == 2
    assert 'nothing is not a model' in finished.stderr
    assert 'Traceback' not in finished.stderr
