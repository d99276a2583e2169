"""What is missing or does not fit is told before any device work, with what to do about it."""

import json
import math
import pathlib
import re
import shutil
from fractions import Fraction
from typing import Any

import pytest

from phijax.data import mixture, packing
from phijax.errors import InputError
from phijax.models import configs
from phijax.train import door, recipe
from tests.train import tiny

STDLIB = {'sources': {'stdlib': {'kind': 'stdlib'}}, 'vocab_size': tiny.VOCAB_SIZE}


def data(vocab_size: int = tiny.VOCAB_SIZE, **tokens: int) -> dict[str, Any]:
    """A manifest of sources with so many training tokens."""
    return {
        'format': packing.FORMAT,
        'digest': '',
        'dtype': '<u2',
        'tokenizer': {'vocab_size': vocab_size},
        'sources': {name: {'splits': {'train': {'tokens': n}}} for name, n in tokens.items()},
    }


def begun(workdir: pathlib.Path, run: recipe.Recipe) -> pathlib.Path:
    """A workdir in which a run has left a checkpoint."""
    door.write_config(run, workdir)
    (workdir / 'checkpoints' / '00000005').mkdir(parents=True)
    (workdir / 'checkpoints' / '00000005' / 'manifest.json').write_text('{}')
    return workdir


def refused(answer: str) -> Any:
    return pytest.raises(InputError, match=re.escape(answer))


def test_run_whose_data_are_there_may_start(tokens: pathlib.Path, tmp_path: pathlib.Path) -> None:
    run = tiny.make(**{'data.directory': str(tokens)})
    assert door.data_directory(run, tmp_path) == tokens
    door.check(run, tmp_path / 'new')
    assert not (tmp_path / 'new').exists()


def test_missing_data_are_answered_with_the_commands(tmp_path: pathlib.Path) -> None:
    run = tiny.make(**{'data.directory': str(tmp_path / 'tokens')})
    with pytest.raises(InputError) as caught:
        door.check(run, tmp_path)
    answer = str(caught.value)
    assert f'the data of tiny are not at {tmp_path / "tokens"}' in answer
    assert (
        'python -m phijax.data.tokenize --config=configs/tokenize/stdlib.py '
        f'--workdir={tmp_path / "tokens"}\n'
    ) in answer
    assert '--config.data.directory=DIRECTORY' in answer
    assert (
        'python -m phijax.train --config=configs/tiny.py:smoke --workdir=runs/tiny_smoke' in answer
    )


def test_all_that_is_missing_is_told_at_once(tmp_path: pathlib.Path) -> None:
    start = tmp_path / 'phi1'
    run = tiny.make(**{'data.directory': str(tmp_path / 'tokens')}, init_from=str(start))
    with pytest.raises(InputError) as caught:
        door.check(run, tmp_path)
    answer = str(caught.value)
    for command in (
        f'phijax.data.tokenize --config=configs/tokenize/stdlib.py --workdir={tmp_path / "tokens"}',
        f'phijax.train --config=configs/phi1.py --workdir={start}',
        'phijax.train --config=configs/tiny.py:smoke --workdir=runs/tiny_smoke',
    ):
        assert answer.count(f'  python -m {command}') == 1


def test_data_are_in_the_workdir_by_default(tmp_path: pathlib.Path) -> None:
    assert door.data_directory(tiny.make(), tmp_path) == tmp_path / 'data'
    with refused(f'not at {tmp_path / "data"}'):
        door.check(tiny.make(), tmp_path)
    door.check(tiny.make(**{'data.prepare': STDLIB}), tmp_path)


@pytest.mark.parametrize(
    ('prepare', 'answer'),
    [
        (
            STDLIB | {'vocab_size': 385},
            'model.vocab_size is 384, but the tokens go up to 384: it must be at least 385',
        ),
        (STDLIB | {'vocab_sise': 384}, 'did you mean vocab_size?'),
        (STDLIB | {'sources': {}}, 'sources is empty'),
    ],
)
def test_data_that_would_not_do_are_not_made(
    tmp_path: pathlib.Path, prepare: dict[str, Any], answer: str
) -> None:
    with refused(answer):
        door.check(tiny.make(**{'data.prepare': prepare}), tmp_path)


@pytest.mark.parametrize(
    ('manifest', 'answer'),
    [
        (
            data(385, argparse=99, textwrap=99),
            'model.vocab_size is 384, but the tokens go up to 384: it must be at least 385',
        ),
        (data(argparse=99, code=99), 'data.weights names textwrap; the data have argparse, code'),
        (data(argparse=99, textwrap=0), 'the training split of textwrap has 0 tokens'),
        (
            data(argparse=16, textwrap=99),
            'the training split of argparse has 16 tokens, and data.length=16 needs more than that',
        ),
    ],
)
def test_data_that_do_not_fit_are_answered(manifest: dict[str, Any], answer: str) -> None:
    with refused(answer):
        door.check_data(tiny.make(), manifest)


def test_data_that_just_fit_are_taken() -> None:
    door.check_data(tiny.make(), data(tiny.VOCAB_SIZE, argparse=17, textwrap=17, unused=0))
    with refused('the training split of unused has 0 tokens'):
        door.check_data(tiny.make(**{'data.weights': {}}), data(argparse=17, unused=0))


def test_manifest_on_the_disk_is_checked(tmp_path: pathlib.Path) -> None:
    (tmp_path / 'manifest.json').write_text(json.dumps(data(argparse=9, textwrap=99)))
    run = tiny.make(**{'data.directory': str(tmp_path)})
    with refused('the training split of argparse has 9 tokens'):
        door.check(run, tmp_path)
    (tmp_path / 'manifest.json').write_text('{"format"')
    with refused('manifest.json is damaged'):
        door.check(run, tmp_path)


def test_tokenizer_of_the_data_must_be_there(tokens: pathlib.Path, tmp_path: pathlib.Path) -> None:
    directory = shutil.copytree(tokens, tmp_path / 'tokens')
    run = tiny.make(**{'data.directory': str(directory)})
    door.check(run, tmp_path / 'run')
    (directory / 'tokenizer' / 'tokenizer.json').unlink()
    with refused(f'{directory}/tokenizer has no tokenizer.json'):
        door.check(run, tmp_path / 'run')


def test_weights_are_as_said_or_by_tokens(tokens: pathlib.Path) -> None:
    manifest = packing.manifest(tokens)
    assert door.weights(tiny.make(), manifest) == {'argparse': 0.75, 'textwrap': 0.25}
    by_tokens = door.weights(tiny.make(**{'data.weights': {}}), manifest)
    counts = {n: s['splits']['train']['tokens'] for n, s in manifest['sources'].items()}
    assert by_tokens == {n: round(c / sum(counts.values()), 4) for n, c in counts.items()}
    assert by_tokens['argparse'] > 0.7


def test_weights_of_any_number_of_tokens_can_be_mixed(tokens: pathlib.Path) -> None:
    """Counts of tokens seldom have a common factor, and a schedule has a longest period."""
    large = data(argparse=7_340_000_003, textwrap=2_000_003)
    found = door.weights(tiny.make(**{'data.weights': {}}), large)
    assert found == {'argparse': 0.9997, 'textwrap': 0.0003}
    next(mixture.stream(tokens, found, length=16, batch_size=2, seed=0))
    tiny_share = door.weights(tiny.make(**{'data.weights': {}}), data(a=10**9, b=20))
    assert tiny_share == {'a': 1.0, 'b': 0.0001}
    assert math.lcm(*(Fraction(str(x)).denominator for x in tiny_share.values())) == 10_000


def test_config_is_written_whole(tmp_path: pathlib.Path) -> None:
    run = tiny.make(prompts=['def f'])
    door.write_config(run, tmp_path / 'new')
    assert recipe.from_dict(json.loads((tmp_path / 'new' / 'config.json').read_text())) == run
    assert [path.name for path in (tmp_path / 'new').iterdir()] == ['config.json']


@pytest.mark.parametrize(
    ('changes', 'answer'),
    [
        ({'model.embed_dim': 64}, 'Changed: model.embed_dim: 32 -> 64. Use another workdir'),
        ({'model.dtype': 'bfloat16'}, 'Changed: model.dtype: float32 -> bfloat16'),
        ({'seed': 8}, 'Changed: seed: 7 -> 8'),
        ({'batch_size': 32}, 'Changed: batch_size: 16 -> 32'),
        ({'data.length': 8}, 'Changed: data.length: 16 -> 8'),
        ({'data.weights': {'argparse': 1}}, 'data.weights.argparse: 0.75 -> 1'),
        ({'data.weights': {'argparse': 0.75}}, 'data.weights.textwrap: 0.25 -> None'),
        (
            {'seed': 8, 'data.attention': 'document'},
            'Changed: data.attention: packed -> document; seed: 7 -> 8',
        ),
    ],
)
def test_workdir_of_another_run_is_refused(
    tokens: pathlib.Path, tmp_path: pathlib.Path, changes: dict[str, Any], answer: str
) -> None:
    here = {'data.directory': str(tokens)}
    workdir = begun(tmp_path, tiny.make(**here))
    with refused(answer):
        door.check(tiny.make(**here, **changes), workdir)
    # Without a checkpoint there is nothing to lose.
    (workdir / 'checkpoints' / '00000005' / 'manifest.json').unlink()
    door.check(tiny.make(**here, **changes), workdir)


@pytest.mark.parametrize('content', [b'{"model": ', b'\xff\xfe\0', b'', b'[]'])
def test_damaged_config_is_told_and_can_be_written_anew(
    tokens: pathlib.Path, tmp_path: pathlib.Path, content: bytes
) -> None:
    run = tiny.make(**{'data.directory': str(tokens)})
    workdir = begun(tmp_path, run)
    (workdir / 'config.json').write_bytes(content)
    with refused(f'{workdir}/config.json is damaged'):
        door.check(run, workdir)
    (workdir / 'config.json').unlink()
    door.check(run, workdir)


@pytest.mark.parametrize(
    'changes',
    [
        {},
        {'num_steps': 30},
        {'optimizer.peak_rate': 1e-3},
        {'mesh.data': 4, 'mesh.fsdp': 2},
        {'mesh.rows_per_device': 2},
        {'model.remat': 'full', 'model.unroll': 1},
        {'checkpoints.every': 2, 'evaluate_every': 3},
        {'data.made_by': 'configs/tokenize/code.py'},
    ],
)
def test_run_may_go_on_otherwise_executed(
    tokens: pathlib.Path, tmp_path: pathlib.Path, changes: dict[str, Any]
) -> None:
    workdir = begun(tmp_path, tiny.make(**{'data.directory': 'where/they/were'}))
    door.check(tiny.make(**{'data.directory': str(tokens)}, **changes), workdir)


def test_missing_start_is_answered_with_the_commands(
    tokens: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    start = tmp_path / 'phi1'
    run = tiny.make(init_from=str(start), **{'data.directory': str(tokens)})
    with refused(f'init_from={start} is not there. Make it with\n  python -m phijax.train'):
        door.check(run, tmp_path)
    start.mkdir()
    door.check(run, tmp_path)


@pytest.mark.parametrize(
    ('changes', 'answer'),
    [
        (
            {'embed_dim': 64},
            'another shape than the model: embed_dim 64 -> 32. `python -m phijax.upscale`',
        ),
        (
            {'num_layers': 1, 'vocab_size': 400},
            'the model: vocab_size 400 -> 384, num_layers 1 -> 2.',
        ),
        ({'rotary_dim': 2}, 'the model: rotary_dim 2 -> 4.'),
    ],
)
def test_start_of_another_shape_is_answered(changes: dict[str, int], answer: str) -> None:
    run = tiny.make(init_from='runs/other')
    with refused(answer):
        door.check_start(run, configs.config('phi1_small', **tiny.MODEL | changes))
    door.check_start(run, configs.config('phi1_small', **tiny.MODEL | {'dtype': 'bfloat16'}))


def test_factors_of_the_start_must_be_those_of_the_run() -> None:
    factors = {
        'original_length': 16,
        'short_factors': (1.0, 1.0),
        'long_factors': (1.25, 2.0),
        'short_magnitude': 1.0,
        'long_magnitude': 1.0,
    }
    start = configs.config('phi1_small', **tiny.MODEL | factors)
    with pytest.raises(
        InputError, match='has LongRoPE factors, and the model has not these'
    ) as told:
        door.check_start(tiny.make(init_from='runs/longer'), start)
    assert all(
        f"--config.model.{key}='{value}'" in str(told.value) for key, value in factors.items()
    )
    run = tiny.make(model=configs.to_dict(start), init_from='runs/longer')
    door.check_start(run, start)
    # A model without factors may be given any.
    door.check_start(run, configs.config('phi1_small', **tiny.MODEL))
    other = configs.to_dict(start) | {'long_factors': (1.25, 2.5)}
    with pytest.raises(InputError, match=r'give it the same: --config\.model\.original_length'):
        door.check_start(tiny.make(model=other, init_from='runs/longer'), start)
