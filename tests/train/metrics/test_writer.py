"""A run's numbers where they go: as they were, once each, whatever kills the run."""

import io
import json
import math
import os
import random
import signal
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phijax.train import metrics
from tests.conftest import ROOT

# Trains on made-up losses: a checkpoint each 5 steps, an evaluation each 10; killed at a step.
PROGRAM = """
import os, pathlib, signal, sys
from phijax.train import metrics

workdir, num_steps, kill_at = pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
saved = workdir / 'saved'
start = int(saved.read_text()) if saved.exists() else 0
meter = metrics.Meter(
    num_steps=num_steps, start_step=start, tokens_per_step=64, flops_per_step=1.0, peak_flops=None
)
with metrics.Writer(workdir, meter, every_seconds=0, tensorboard=False) as writer:
    for step in range(start + 1, num_steps + 1):
        loss = 5 / step + 0.1 * (step * 7919 % 13)
        meter.update(step, loss)
        writer.train(step, {'loss': loss, 'learning_rate': 1 / step, 'skipped': step // 9})
        if step % 10 == 0:
            writer.evaluate(step, {'loss': loss + 0.1, 'bits_per_byte': loss / 3}, seconds=0.5)
        if step == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        if step % 5 == 0:
            writer.sync()
            saved.write_text(str(step))
            writer.checkpoint(step, num_bytes=1000, seconds=0.1)
    writer.summarise(report=workdir / 'report.md', next_commands=['ls'])
"""


def _run(workdir, num_steps=60, kill_at=0, **options):
    arguments = [sys.executable, '-c', PROGRAM, str(workdir), str(num_steps), str(kill_at)]
    return subprocess.run(arguments, cwd=ROOT, text=True, check=False, **options)


def _records(workdir, *kinds):
    lines = (workdir / 'metrics.jsonl').read_text().splitlines()
    found = [json.loads(line) for line in lines]
    return [record for record in found if not kinds or record['kind'] in kinds]


def _values(workdir):
    """All that a resumed run repeats, as text, so that equal means bit for bit."""
    kept = _records(workdir, 'train', 'evaluate', 'checkpoint')
    return [json.dumps({k: v for k, v in r.items() if k != 'timing'}) for r in kept]


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    """The workdir and the output of a run that nothing interrupts."""
    workdir = tmp_path_factory.mktemp('whole')
    done = _run(workdir, capture_output=True)
    assert (done.returncode, done.stderr) == (0, '')
    return workdir, done.stdout


def test_every_line_of_a_run_parses(whole):
    lines = whole[1].splitlines()
    kinds = [line[:4] for line in lines]
    for line in lines:
        assert metrics.LINES[line[:4]].fullmatch(line), line
    counts = {kind: kinds.count(kind) for kind in ('step', 'eval', 'ckpt', 'done', 'rate', 'next')}
    assert counts == {'step': 60, 'eval': 6, 'ckpt': 12, 'done': 1, 'rate': 1, 'next': 1}


def test_terminal_and_file_agree(whole):
    workdir, output = whole
    lines = [line for line in output.splitlines() if line.startswith('step')]
    for line, record in zip(lines, _records(workdir, 'train'), strict=True):
        fields = metrics.LINES['step'].fullmatch(line).groupdict()
        assert int(fields['step']) == record['step']
        assert float(fields['loss']) == pytest.approx(record['loss'], abs=5e-5)
        assert float(fields['loss_ema']) == pytest.approx(record['loss_ema'], abs=5e-5)
        assert float(fields['learning_rate']) == pytest.approx(record['learning_rate'], rel=5e-3)
        assert int(fields['skipped']) == record['skipped']


def test_totals_are_those_of_the_records(whole):
    workdir, output = whole
    (session,) = _records(workdir, 'session')
    timing = session['timing']
    assert timing['tokens'] == 60 * 64
    assert timing['tokens_per_second'] * timing['seconds'] == pytest.approx(60 * 64, rel=0.02)
    assert sum(timing['goodput'].values()) == pytest.approx(timing['seconds'], rel=0.05)
    best = min(_records(workdir, 'evaluate'), key=lambda record: record['loss'])
    (done,) = (line for line in output.splitlines() if line.startswith('done'))
    fields = metrics.LINES['done'].fullmatch(done).groupdict()
    assert (fields['best'], fields['best_step']) == (f'{best["loss"]:.4f}', str(best['step']))


@pytest.mark.parametrize('kills', [(1,), (23, 24, 40), (30, 60), (55,)])
def test_killed_and_resumed_run_has_the_same_records(tmp_path, whole, kills):
    for kill_at in kills:
        assert _run(tmp_path, kill_at=kill_at, capture_output=True).returncode == -signal.SIGKILL
        assert _records(tmp_path)[-1]['step'] == kill_at
    done = _run(tmp_path, capture_output=True)
    assert done.returncode == 0
    assert 'warn' not in done.stdout
    assert _values(tmp_path) == _values(whole[0])
    last_save = kills[-1] // 5 * 5 - (5 if kills[-1] % 5 == 0 else 0)
    (session,) = _records(tmp_path, 'session')
    assert session['timing']['tokens'] == (60 - last_save) * 64


def test_reader_that_leaves_does_not_end_the_run(tmp_path, whole):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, 'w') as pipe:
        done = _run(tmp_path, stdout=pipe, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (0, '')
    assert _values(tmp_path) == _values(whole[0])
    (warning,) = _records(tmp_path, 'warn')
    assert 'Broken pipe' in warning['message']


@pytest.fixture
def open_writer(tmp_path, clock, make_meter):
    """`open_writer(start_step=…)`: a writer in the test's directory and the stream it shows on."""

    def start(*, every_seconds=0.0, every_steps=0, quiet=False, **meter_options):
        stream = io.StringIO()
        writer = metrics.Writer(
            tmp_path,
            make_meter(**meter_options),
            every_seconds=every_seconds,
            every_steps=every_steps,
            stream=stream,
            quiet=quiet,
            tensorboard=False,
        )
        return writer, stream

    return start


def _train(writer, first, last, loss=lambda step: 1 / step):
    for step in range(first, last + 1):
        writer.meter.update(step, loss(step))
        writer.train(step, {'loss': loss(step), 'skipped': 0})


@settings(max_examples=40)
@given(st.integers(0, 40), st.floats(0, 1), st.randoms(use_true_random=False))
def test_any_cut_and_any_checkpoint_give_the_same_records(tmp_path_factory, stop, cut, draw):
    losses = {step: draw.choice([draw.random(), math.nan, math.inf]) for step in range(1, 41)}
    whole, part = (tmp_path_factory.mktemp('run') for _ in range(2))

    def train(workdir, start_step, last):
        meter = metrics.Meter(
            num_steps=40,
            start_step=start_step,
            tokens_per_step=1,
            flops_per_step=1,
            peak_flops=None,
        )
        with metrics.Writer(workdir, meter, quiet=True, tensorboard=False) as writer:
            _train(writer, start_step + 1, last, losses.__getitem__)
            writer.evaluate(last, {'loss': 1.0})

    train(whole, 0, 40)
    train(part, 0, 40)
    path = part / 'metrics.jsonl'
    lines = path.read_bytes().splitlines(keepends=True)
    tail = b''.join(lines[stop:])
    path.write_bytes(b''.join(lines[:stop]) + tail[: int(cut * len(tail))])
    train(part, stop, 40)
    assert _values(part) == _values(whole)


def test_fresh_run_takes_nothing_over(open_writer, tmp_path):
    with open_writer()[0] as writer:
        writer.evaluate(0, {'loss': 9.0})
        _train(writer, 1, 5)
    with open_writer()[0] as writer:
        assert (writer.best, writer.meter.loss_ema) == (None, None)
    assert _records(tmp_path) == []


def test_resumed_run_keeps_the_evaluation_before_its_first_step(open_writer, tmp_path):
    with open_writer()[0] as writer:
        writer.evaluate(0, {'loss': 9.0})
        _train(writer, 1, 5)
        writer.evaluate(5, {'loss': 3.0})
    writer, stream = open_writer(start_step=5)
    assert writer.best == (3.0, 5)
    assert writer.meter.loss_ema == _records(tmp_path, 'train')[-1]['loss_ema']
    # A loop may evaluate once more where it was restored: the record is there already.
    assert writer.evaluate(5, {'loss': 3.0})
    assert [record['step'] for record in _records(tmp_path, 'evaluate')] == [0, 5]
    assert stream.getvalue().startswith('eval')


def test_records_that_the_checkpoint_outran_are_missed_aloud(open_writer, tmp_path):
    with open_writer()[0] as writer:
        _train(writer, 1, 5)
    _, stream = open_writer(start_step=8)
    assert 'steps 6 to 8 were trained but not recorded' in stream.getvalue()
    assert _records(tmp_path, 'warn')


def test_torn_line_is_taken_out_aloud(open_writer, tmp_path):
    with open_writer()[0] as writer:
        _train(writer, 1, 5)
    path = tmp_path / 'metrics.jsonl'
    path.write_bytes(path.read_bytes() + b'{"kind": "tr')
    writer, stream = open_writer(start_step=5)
    assert 'took out 1 lines that are no records' in stream.getvalue()
    _train(writer, 6, 6)
    writer.close()
    assert [record['step'] for record in _records(tmp_path, 'train')] == [1, 2, 3, 4, 5, 6]


def test_evaluation_says_whether_it_is_the_best(open_writer):
    writer, stream = open_writer()
    losses = [3.0, math.nan, 2.0, 2.5, 2.0, 1.5]
    answers = [writer.evaluate(s, {'loss': loss}) for s, loss in enumerate(losses, 1)]
    assert answers == [True, False, True, False, False, True]
    assert writer.best == (1.5, 6)
    assert 'best  2.0000 @3' in stream.getvalue().splitlines()[4]


def test_lines_come_by_time_by_step_and_at_the_end(open_writer, clock):
    writer, stream = open_writer(every_seconds=10.0, every_steps=40)
    for step in range(1, 101):
        clock.now += 1
        _train(writer, step, step)
    found = [metrics.LINES['step'].fullmatch(line) for line in stream.getvalue().splitlines()]
    shown = [int(match['step']) for match in found]
    assert shown == [1, 11, 21, 31, 40, 50, 60, 70, 80, 90, 100]


def test_quiet_run_and_further_hosts(open_writer, tmp_path, make_meter, capsys):
    writer, stream = open_writer(quiet=True)
    _train(writer, 1, 3)
    writer.close()
    assert stream.getvalue() == ''
    assert len(_records(tmp_path)) == 3
    other = tmp_path / 'other'
    with metrics.Writer(None, make_meter(), quiet=True) as writer:
        _train(writer, 1, 3)
        writer.sync()
        writer.summarise()
    assert not other.exists()
    assert capsys.readouterr().out == ''


def test_memory_belongs_to_the_timing(open_writer, tmp_path):
    writer, stream = open_writer()
    writer.train(1, {'loss': 1.0}, memory=(61_200_000_000, 79_600_000_000))
    assert 'mem 61.2/79.6G' in stream.getvalue()
    (record,) = _records(tmp_path)
    assert record['timing']['memory_limit_bytes'] == 79_600_000_000
    assert set(record) == {'kind', 'step', 'loss', 'loss_ema', 'timing'}


def test_full_disk_is_told_once_and_loses_nothing(open_writer, tmp_path):
    resource = pytest.importorskip('resource')
    writer, stream = open_writer()
    _train(writer, 1, 3)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = (tmp_path / 'metrics.jsonl').stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 1, hard))
    try:
        _train(writer, 4, 6)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    _train(writer, 7, 7)
    writer.close()
    assert stream.getvalue().count('the records wait in memory') == 1
    assert [record['step'] for record in _records(tmp_path, 'train')] == [1, 2, 3, 4, 5, 6, 7]


def test_notes_and_warnings(open_writer, tmp_path):
    writer, stream = open_writer()
    writer.note('def f():\n    return 1')
    writer.warn('twice\nsaid')
    assert stream.getvalue().splitlines() == [
        'note  def f():',
        '          return 1',
        'warn      0/100  twice',
        '      said',
    ]
    assert _records(tmp_path) == [{'kind': 'warn', 'step': 0, 'message': 'twice\nsaid'}]


def test_resumed_run_that_has_nothing_to_do_sums_up(open_writer, tmp_path):
    with open_writer(num_steps=5)[0] as writer:
        _train(writer, 1, 5, dict.fromkeys(range(6), math.nan).__getitem__)
    writer, stream = open_writer(num_steps=5, start_step=5)
    writer.summarise()
    assert stream.getvalue().splitlines()[0].startswith('done      5/5  loss nan (ema n/a)')


def test_losses_of_many_steps_come_back_exactly(open_writer, tmp_path):
    draw = random.Random(0)
    losses = {step: draw.lognormvariate(0, 5) for step in range(1, 300)}
    writer, _ = open_writer(num_steps=300)
    _train(writer, 1, 299, losses.__getitem__)
    assert [record['loss'] for record in _records(tmp_path)] == list(losses.values())
