import json
import os
import shutil

import pytest

from phijax.data import attributes, stage
from phijax.data.engines import Local
from phijax.data.errors import MissingDataError, QualityError
from phijax.data.files import lock
from phijax.data.stage import Account
from phijax.errors import InputError
from tests.data.steps import ADD, COUNT, REFUSE


def step(root, which=COUNT, num_shards=4, settings=None, done=None):
    return stage.make_step(which, root, num_shards, settings or {}, done or {}, {})


def run(which, made, engine=None):
    return stage.run(which, made, engine or Local(1))


def made(root, name, index):
    path = root / f'made-{name}-{index}'
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_a_step_accounts_for_all(tmp_path):
    one = step(tmp_path)
    manifest = run(COUNT, one)
    assert manifest['account'] == {
        'given': 40,
        'kept': 28,
        'dropped': {'third': 12},
        'num_bytes': 280,
        'facts': {},
    }
    two = step(tmp_path, ADD, done={'count': one})
    run(ADD, two)
    assert two.accounts()[0].facts == {'sum': sum(range(40))}


def test_an_account_that_does_not_add_up():
    with pytest.raises(AssertionError, match='10 given, 5 kept'):
        Account(10, 5, {'lost': 4})


def test_what_is_done_is_not_made_again(tmp_path):
    run(COUNT, step(tmp_path))
    run(COUNT, step(tmp_path))
    assert [made(tmp_path, 'count', index) for index in range(4)] == [1, 1, 1, 1]


@pytest.mark.parametrize('damage', ['part', 'marker', 'flipped'])
def test_a_shard_that_is_not_whole_is_made_again(tmp_path, damage):
    one = step(tmp_path)
    before = run(COUNT, one)
    (one.directory / 'manifest.json').unlink()
    if damage == 'part':
        one.part('numbers', 2).unlink()
    elif damage == 'marker':
        one.marker(2).unlink()
    else:
        raw = bytearray(one.part('numbers', 2).read_bytes())
        raw[40] ^= 1
        one.part('numbers', 2).write_bytes(raw)
    after = run(COUNT, one)
    assert after == before
    assert [made(tmp_path, 'count', index) for index in range(4)] == [1, 1, 2, 1]


def test_what_a_killed_shard_left_is_not_mixed_in(tmp_path):
    one = step(tmp_path)
    scratch = one.directory / '.00001.partial'
    scratch.mkdir(parents=True)
    (scratch / 'other-00001.parquet').write_text('half')
    manifest = run(COUNT, one)
    assert sorted(manifest['files']) == [f'numbers-0000{index}.parquet' for index in range(4)]
    assert not scratch.exists()


def test_another_setting_is_another_step(tmp_path):
    one, two = step(tmp_path, settings={'a': 1}), step(tmp_path, settings={'a': 2})
    assert one.directory != two.directory
    run(COUNT, one)
    run(COUNT, two)
    assert made(tmp_path, 'count', 0) == 2


def test_another_input_is_another_step(tmp_path):
    first, second = step(tmp_path / 'x'), step(tmp_path / 'x', num_shards=2)
    for each in (first, second):
        (tmp_path / 'x').mkdir(exist_ok=True)
        run(COUNT, each)
    one = step(tmp_path, ADD, done={'count': first})
    two = step(tmp_path, ADD, done={'count': second})
    assert one.fingerprint != two.fingerprint


def test_what_does_not_decide_is_not_in_the_name(tmp_path):
    one = stage.make_step(COUNT, tmp_path, 4, {}, {}, {'budget': 1})
    two = stage.make_step(COUNT, tmp_path, 4, {}, {}, {'budget': 2})
    assert one.directory == two.directory


def test_the_manifest_is_the_same_wherever_it_is_made(tmp_path):
    digests = set()
    for root in (tmp_path / 'a', tmp_path / 'deeper' / 'b'):
        root.mkdir(parents=True)
        digests.add(run(COUNT, step(root))['digest'])
    assert len(digests) == 1


def test_an_input_that_is_missing(tmp_path):
    with pytest.raises(MissingDataError, match='stage count has not finished'):
        step(tmp_path, ADD, done={'count': step(tmp_path)})


def test_a_refusal_keeps_what_is_done(tmp_path):
    one = step(tmp_path, REFUSE)
    with pytest.raises(QualityError, match='shard 1 is bad'):
        run(REFUSE, one)
    assert stage.is_done(one, 0)
    assert not (one.directory / 'manifest.json').exists()


def test_a_shard_that_another_process_makes(tmp_path, monkeypatch):
    monkeypatch.setattr(stage, 'PATIENCE_SECONDS', 0.3)
    one = step(tmp_path)
    with (
        lock(one.directory / 'done', '.00002.lock'),
        pytest.raises(InputError, match='Another process'),
    ):
        run(COUNT, one)
    run(COUNT, one)


def test_verify_names_the_shards(tmp_path):
    one = step(tmp_path)
    run(COUNT, one)
    stage.verify(one)
    one.part('numbers', 3).write_bytes(b'')
    with pytest.raises(InputError, match=r'shards \[3\] are missing or damaged'):
        stage.verify(one)


def test_a_marker_of_another_step_does_not_count(tmp_path):
    one, two = step(tmp_path, settings={'a': 1}), step(tmp_path, settings={'a': 2})
    run(COUNT, one)
    two.directory.mkdir()
    shutil.copytree(one.directory, two.directory, dirs_exist_ok=True)
    (two.directory / 'manifest.json').unlink()
    run(COUNT, two)
    assert made(tmp_path, 'count', 0) == 2


def test_a_full_disk_leaves_nothing_half_written(tmp_path, monkeypatch):
    one = step(tmp_path)

    def full(path, columns):
        path.write_bytes(b'half')
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(attributes, 'write', full)
    with pytest.raises(OSError, match='No space left'):
        run(COUNT, one)
    monkeypatch.undo()
    assert not list(one.directory.glob('*.parquet'))
    assert run(COUNT, one)['account']['given'] == 40


def test_a_marker_says_how_long_it_took(tmp_path):
    one = step(tmp_path)
    run(COUNT, one)
    assert json.loads(one.marker(0).read_text())['seconds'] >= 0
    assert one.seconds() >= 0
