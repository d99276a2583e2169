"""GGUF files where every command takes a model: opened, imported, exported, completed."""

import jax
import numpy as np
import pytest

from phijax import generate, interop
from phijax.data import tokenizer
from phijax.errors import InputError
from phijax.interop import __main__ as command
from phijax.interop import convert, gguf
from tests.interop.gguf import files
from tests.interop.test_huggingface import assert_same

CONFIG = files.small(vocab_size=300)


@pytest.fixture
def made():
    return tokenizer.train(['def f(x): return x'], 260)


@pytest.fixture
def path(tmp_path, made):
    path = tmp_path / 'in' / 'x.gguf'
    files.written(path, CONFIG, tokenizer=made)
    return path


def test_there_and_back(tmp_path, path, made, capsys):
    directory, target = tmp_path / 'workdir', tmp_path / 'out' / 'x.gguf'
    assert command.main(['import', f'--source={path}', f'--workdir={directory}']) == 0
    assert command.main(['export', f'--checkpoint={directory}', f'--target={target}']) == 0
    assert 'llama.cpp and phijax read it' in capsys.readouterr().out
    config, params, found = interop.open(path)
    for other in (directory, target):
        assert interop.open(other)[0] == config
        assert_same(interop.open(other)[1], params)
        assert interop.open(other)[2].digest == found.digest
    assert target.read_bytes() == path.read_bytes()
    assert {p.name for p in tmp_path.iterdir()} == {'in', 'workdir', 'out'}
    assert [p.name for p in target.parent.iterdir()] == ['x.gguf']


def test_to_a_hugging_face_directory(tmp_path, path):
    target = tmp_path / 'exported'
    assert command.main(['export', f'--checkpoint={path}', f'--target={target}']) == 0
    assert interop.open(target)[0] == interop.open(path)[0]
    assert_same(interop.open(target)[1], interop.open(path)[1])


def test_half_precision(tmp_path, path):
    target = tmp_path / 'half.gguf'
    convert.export_model(path, target, dtype='bfloat16')
    assert 0.4 < target.stat().st_size / path.stat().st_size < 0.8
    settings, _ = files.unpacked(target)
    assert settings['general.file_type'] == 32


def test_a_completion(path):
    [text] = generate.complete_with(path, ['def f'], max_new_tokens=4)
    config, params, codec = interop.open(path)
    ours = generate.complete(config, jax.device_put(params), codec, ['def f'], max_new_tokens=4)
    assert [text] == ours


def test_no_moments(path):
    assert interop.moments(path) is None
    assert interop.carried_moments(path) is None


def test_what_is_there_stays(tmp_path, path, capsys):
    before = path.read_bytes()
    assert command.main(['export', f'--checkpoint={path}', f'--target={path}']) == 2
    assert f'error: {path} is there already' in capsys.readouterr().err
    assert path.read_bytes() == before
    target = tmp_path / 'z.gguf'
    assert command.main(['export', f'--checkpoint={path}', f'--target={target}', '--dtype=q4']) == 2
    assert "'q4' is not one of float32, bfloat16, float16" in capsys.readouterr().err
    assert not target.exists()


def test_a_failure_half_way_leaves_nothing(tmp_path):
    """The last tensor cannot be made, when all others are written."""
    params = files.written(tmp_path / 'a.gguf', CONFIG)
    params['head']['kernel'] = np.full(params['head']['kernel'].shape, 1e9, np.float32)
    with pytest.raises(InputError, match='too large for float16'):
        gguf.save(CONFIG, params, tmp_path / 'b.gguf', dtype='float16')
    assert [p.name for p in tmp_path.iterdir()] == ['a.gguf']


def test_params_of_another_configuration(tmp_path):
    params = files.written(tmp_path / 'a.gguf', CONFIG)
    with pytest.raises(
        InputError, match=r'misshapen: embed\.kernel is \(300, 60\), not \(61, 60\)'
    ):
        gguf.save(files.small(), params, tmp_path / 'b.gguf')


def test_no_traceback(tmp_path, run_command):
    (tmp_path / 'x.gguf').write_bytes(b'GGUF' + bytes(50))
    arguments = [f'--source={tmp_path / "x.gguf"}', f'--workdir={tmp_path / "out"}']
    finished = run_command('phijax.interop', 'import', *arguments)
    assert finished.returncode == 2
    assert finished.stderr.startswith(f'error: {tmp_path}/x.gguf is not a sound GGUF file')
    assert len(finished.stderr.splitlines()) == 1
    assert [p.name for p in tmp_path.iterdir()] == ['x.gguf']
