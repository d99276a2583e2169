import json
import pathlib
import random
import shutil
import signal
import sysconfig
import time

import pytest

from phijax.data import attributes, document, engines, filtering, stage
from phijax.data.filtering import chain, forest
from phijax.errors import InputError
from tests.data.filtering import piles


@pytest.fixture(scope='module')
def pile(tmp_path_factory, asset):
    """The root of a pile, and what was planted in it."""
    asset('humaneval')
    root = tmp_path_factory.mktemp('pile')
    planted = piles.write(root, pathlib.Path(sysconfig.get_paths()['stdlib']))
    return root, planted


def run(root, workdir, engine=None, **groups):
    config = filtering.from_dict(piles.config(root, **groups))
    filtering.run(config, workdir, engine or engines.make('local', 1))
    return chain.run(config, workdir, engines.make('local', 1))


@pytest.fixture(scope='module')
def done(pile, tmp_path_factory):
    """The steps of a run that keeps nine of ten."""
    workdir = tmp_path_factory.mktemp('run')
    return workdir, run(pile[0], workdir)


def reasons(steps):
    """Why each document was dropped, by path; nothing for what was kept."""
    found = {}
    for index in range(steps['ingest'].num_shards):
        groups = document.read(steps['ingest'].part('documents', index))
        items = [item for group in groups for item in group]
        why = [''] * len(items)
        for name in ('exact', 'select', 'near', 'decontaminate'):
            said = attributes.read(steps[name].part('verdicts', index), 'reason')['reason']
            why = [before or now for before, now in zip(why, said, strict=True)]
        found |= {item.path: reason for item, reason in zip(items, why, strict=True)}
    return found


def test_every_document_is_accounted_for(done):
    _, steps = done
    accounts = dict(chain.ledger(steps))
    found = reasons(steps)
    assert accounts['ingest'].kept == len(found)
    assert accounts['decontaminate'].kept == sum(not why for why in found.values())
    dropped = {}
    for name in ('exact', 'select', 'near', 'decontaminate'):
        dropped |= accounts[name].dropped
    assert dropped == {why: list(found.values()).count(why) for why in set(found.values()) if why}


def test_planted_copies_are_found(pile, done):
    found = reasons(done[1])
    for path in pile[1]['copy']:
        number = int(pathlib.Path(path).stem.removeprefix('copy'))
        pair = [path, f'{pile[0]}/lib{number % 5}/module{number:03d}.py']
        assert sorted(found[each] == 'exact_duplicate' for each in pair) == [False, True]
    copies = [path for path, why in found.items() if why == 'exact_duplicate']
    assert len(copies) == piles.COPIES


def test_planted_near_copies_are_found(pile, done):
    found = reasons(done[1])
    pairs = 0
    for path in pile[1]['near']:
        number = 20 + int(pathlib.Path(path).stem.removeprefix('near'))
        pair = [found[path], found[f'{pile[0]}/lib{number % 5}/module{number:03d}.py']]
        if 'low_score' not in pair:
            pairs += 1
            assert sorted(pair) == ['', 'near_duplicate']
    assert pairs >= piles.NEAR // 2


def test_planted_leaks_are_found(pile, done):
    found = reasons(done[1])
    judged = {path: found[path] for path in pile[1]['leak'] if found[path] != 'low_score'}
    assert len(judged) >= piles.LEAKS // 2
    assert not [path for path, why in judged.items() if not why.startswith('leak')]
    clean = [path for path, why in found.items() if why.startswith('leak')]
    assert len(set(clean) - set(pile[1]['leak'])) <= 2  # of ninety files of the library


def test_the_tokens_are_of_what_was_kept(done):
    workdir, steps = done
    (directory,) = workdir.glob('tokens-*')
    manifest = json.loads((directory / 'manifest.json').read_text())
    assert (
        manifest['sources']['phase_1']['documents']['out']
        == dict(chain.ledger(steps))['decontaminate'].kept
    )


def test_the_report_tells_it(done):
    workdir, _ = done
    facts = json.loads((workdir / 'report.json').read_text())
    assert [row['stage'] for row in facts['funnel']] == [
        'ingest',
        'exact',
        'select',
        'near',
        'decontaminate',
    ]
    page = (workdir / 'report.html').read_text()
    for words in ('exact_duplicate', 'Tenth 1', 'rank correlation', 'heuristic'):
        assert words.lower() in page.lower()
    assert '<script' not in page
    assert 'http' not in page.split('<body>')[0]


def test_a_phase_lies_within_the_one_before(pile, tmp_path):
    steps = run(pile[0], tmp_path, select={'amounts': [0.8, 0.3]})
    counts = []
    for number in (1, 2):
        parts = [steps['documents'].part(f'phase-{number}', i) for i in range(3)]
        counts.append({i for part in parts for i in attributes.read(part, 'id')['id']})
    assert counts[1] < counts[0]


def test_the_sample_and_the_split_are_drawn_apart(tmp_path):
    root = tmp_path / 'pile'
    root.mkdir()
    for number in range(600):
        (root / f'm{number}.py').write_text(f'def f{number}(a):\n    return a + {number}\n' * 3)
    config = filtering.from_dict(
        piles.config(root, ingest={'shards': 1, 'min_characters': 1}, annotate={'sample': 200})
    )
    for name in ('ingest', 'exact', 'annotate'):
        steps = chain.run(config, tmp_path, engines.make('local', 1), name)
    ids = attributes.read(steps['annotate'].part('annotations', 0), 'id')['id']
    held_out = forest.split(ids, forest.Settings(held_out=0.5))
    assert len(ids) == 200
    assert 75 <= held_out.sum() <= 125


def digests(steps):
    return {name: stage.manifest(step)['digest'] for name, step in steps.items()}


def test_processes_and_ranks_make_the_same(pile, done, tmp_path):
    assert digests(run(pile[0], tmp_path / 'two', engines.make('local', 2))) == digests(done[1])


def test_another_number_of_shards_keeps_the_same(pile, done, tmp_path):
    other = run(pile[0], tmp_path, ingest={'shards': 5})
    assert reasons(other) == reasons(done[1])


def test_a_changed_setting_remakes_what_follows(pile, done, tmp_path):
    shutil.copytree(done[0], tmp_path / 'run')
    steps = run(pile[0], tmp_path / 'run', select={'amounts': [0.5]})
    before, after = digests(done[1]), digests(steps)
    same = [name for name in before if before[name] == after[name]]
    assert same == ['ingest', 'exact', 'annotate', 'embed', 'forest', 'score']


def test_one_stage_alone(pile, tmp_path):
    config = filtering.from_dict(piles.config(pile[0]))
    for name in ('ingest', 'exact'):
        assert name in filtering.run(config, tmp_path, engines.make('local', 1), name)
    with pytest.raises(InputError, match='stage annotate has not finished'):
        filtering.run(config, tmp_path, engines.make('local', 1), 'forest')


def test_kills_leave_the_same(pile, done, tmp_path, start_command):
    config = tmp_path / 'config.py'
    plain = piles.config(pile[0])
    config.write_text(
        'import ml_collections\n\ndef get_config():\n'
        f'    return ml_collections.ConfigDict({plain!r})\n'
    )
    arguments = (f'--config={config}', f'--workdir={tmp_path / "run"}', '--workers=2')
    moments, killed = random.Random(0), 0
    while killed < 3:
        process = start_command('phijax.data.filtering', *arguments)
        time.sleep(2 + 5 * moments.random())
        if process.poll() is not None:
            break
        process.send_signal(signal.SIGKILL)
        process.wait()
        killed += 1
    process = start_command('phijax.data.filtering', *arguments)
    _, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors
    assert killed == 3
    steps = chain.run(filtering.from_dict(plain), tmp_path / 'run', engines.make('local', 1))
    assert digests(steps) == digests(done[1])
