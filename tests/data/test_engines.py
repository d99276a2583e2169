import concurrent.futures
import importlib.util

import pytest

from phijax.data import engines, stage
from phijax.data.engines import Local, Ranked
from phijax.data.errors import QualityError, UnavailableError
from phijax.errors import InputError
from tests.data.steps import COUNT, DIE, LINGER, REFUSE


def run(root, engine, which=COUNT, num_shards=5):
    root.mkdir(exist_ok=True)
    step = stage.make_step(which, root, num_shards, {}, {}, {})
    try:
        return stage.run(which, step, engine)
    finally:
        engine.close()


def makers(root):
    return {path.read_text().strip() for path in root.glob('made-*')}


def test_processes_make_the_same(tmp_path):
    one = run(tmp_path / 'one', Local(1))
    two = run(tmp_path / 'two', Local(2), LINGER)
    assert len(makers(tmp_path / 'one')) == 1
    assert len(makers(tmp_path / 'two')) == 2
    assert one['files'] == two['files']


def test_ranks_share_the_shards_and_wait(tmp_path):
    one = run(tmp_path / 'one', Local(1))
    with concurrent.futures.ThreadPoolExecutor() as pool:
        ranks = [pool.submit(run, tmp_path / 'ranks', Ranked(rank, 3)) for rank in range(3)]
        digests = {rank.result()['digest'] for rank in ranks}
    assert digests == {one['digest']}
    made = [path.read_text().splitlines() for path in (tmp_path / 'ranks').glob('made-*')]
    assert [len(lines) for lines in made] == [1] * 5


def test_a_rank_that_never_comes(tmp_path):
    with pytest.raises(UnavailableError, match=r'shards \[1, 3\] of count, of ranks \[1\]') as told:
        run(tmp_path / 'ranks', Ranked(0, 2, patience_seconds=0.5))
    assert told.value.exit_code == 75


@pytest.mark.skipif(not importlib.util.find_spec('ray'), reason='ray is not installed')
def test_a_cluster_makes_the_same(tmp_path):
    one = run(tmp_path / 'one', Local(1))
    assert run(tmp_path / 'ray', engines.make('ray', workers=2))['digest'] == one['digest']


@pytest.mark.skipif(not importlib.util.find_spec('ray'), reason='ray is not installed')
def test_a_refusal_comes_through_a_cluster(tmp_path):
    with pytest.raises(QualityError, match='is bad'):
        run(tmp_path / 'ray', engines.make('ray', workers=1), REFUSE)


def test_without_the_package_of_a_cluster(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'ray', None)
    with pytest.raises(InputError, match=r"pip install 'phijax\[ray\]'"):
        list(engines.make('ray').map(print, [0], False))


def test_a_worker_that_is_killed(tmp_path):
    with pytest.raises(InputError, match='A worker process died'):
        run(tmp_path / 'a', Local(2), DIE)
    assert (
        run(tmp_path / 'a', Local(2), DIE)['files'] == run(tmp_path / 'a', Local(1), DIE)['files']
    )


def test_a_refusal_comes_through_processes(tmp_path):
    with pytest.raises(QualityError, match='is bad'):
        run(tmp_path / 'a', Local(2), REFUSE)


@pytest.mark.parametrize(
    ('name', 'numbers', 'message'),
    [
        ('spark', (0, 0, 1), "engine is 'spark'; it must be one of local, ray"),
        ('local', (-1, 0, 1), 'workers is -1'),
        ('local', (0, 2, 2), 'rank is 2; it must be from 0 to 1'),
        ('local', (0, 1, 1), 'rank is 1; it must be from 0 to 0'),
        ('ray', (0, 0, 2), "engine is 'ray'; it must be local"),
    ],
)
def test_settings_that_cannot_be_used(name, numbers, message):
    with pytest.raises(InputError, match=message):
        engines.make(name, *numbers)
