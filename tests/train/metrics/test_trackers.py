"""What TensorBoard's files hold, and what happens where a tracker is not installed."""

import struct
import sys

import pytest

from phijax.train.metrics import Writer, trackers


def _events(directory):
    """The events of a directory's files, in order, read as the TFRecords they are."""
    event_pb2 = pytest.importorskip('tensorboardX.proto.event_pb2')
    for path in sorted(directory.iterdir(), key=lambda path: path.stat().st_mtime_ns):
        data = path.read_bytes()
        while data:
            (length,) = struct.unpack('<Q', data[:8])
            yield event_pb2.Event.FromString(data[12 : 12 + length])
            data = data[16 + length :]


def _scalars(directory):
    events = _events(directory)
    return [(e.step, v.tag, v.simple_value) for e in events for v in e.summary.value]


def test_tensorboard_has_the_numbers(tmp_path, make_meter):
    with Writer(tmp_path, make_meter(), quiet=True) as writer:
        for step in (1, 2):
            writer.meter.update(step, 0.5 * step)
            writer.train(step, {'loss': 0.5 * step, 'skipped': 0})
        writer.evaluate(2, {'loss': 0.25, 'bits_per_byte/web': 2.0}, seconds=1.0)
    found = _scalars(tmp_path / 'tensorboard')
    assert (1, 'train/loss', 0.5) in found
    assert (2, 'train/loss', 1.0) in found
    assert (2, 'heldout/loss', 0.25) in found
    assert (2, 'heldout/bits_per_byte/web', 2.0) in found
    assert (2, 'timing/tokens', 2 * 8192) in found
    assert not any(tag == 'timing/mfu' for _, tag, _ in found)


def test_resumed_run_hides_what_it_will_write_again(tmp_path):
    for start_step, steps in ((0, (1, 2, 3, 4)), (2, (3, 4))):
        tracker = trackers.TensorBoard(tmp_path, start_step)
        for step in steps:
            tracker.log(step, {'train/loss': 1.0})
        tracker.close()
    starts = [event.step for event in _events(tmp_path) if event.session_log.status]
    assert starts == [0, 3]


def test_tensorboard_that_was_never_used_leaves_nothing(tmp_path):
    trackers.TensorBoard(tmp_path / 'tensorboard', 0).close()
    assert not (tmp_path / 'tensorboard').exists()


@pytest.mark.parametrize('tensorboard', [True, False])
def test_without_tensorboardx_there_are_no_event_files(tmp_path, monkeypatch, tensorboard):
    if tensorboard:
        monkeypatch.setitem(sys.modules, 'tensorboardX', None)
    assert trackers.start(tmp_path, 0, tensorboard=tensorboard, wandb=None) == []


def test_wandb_that_is_asked_for_must_be_there(tmp_path, make_meter, monkeypatch):
    monkeypatch.setitem(sys.modules, 'wandb', None)
    with pytest.raises(ValueError, match='wandb is asked for but not installed'):
        Writer(tmp_path, make_meter(), quiet=True, wandb={'project': 'phijax'})
    assert not (tmp_path / 'metrics.jsonl').exists()


def test_wandb_goes_on_with_its_run(tmp_path, make_meter):
    pytest.importorskip('wandb')
    names = []
    for start_step in (0, 2):
        options = {'project': 'phijax', 'mode': 'offline'}
        meter = make_meter(start_step=start_step)
        with Writer(tmp_path, meter, quiet=True, tensorboard=False, wandb=options) as writer:
            writer.train(start_step + 1, {'loss': 1.0})
        names.append((tmp_path / 'wandb_id').read_text())
    assert names[0] == names[1]
    runs = sorted((tmp_path / 'wandb').glob(f'offline-run-*-{names[0]}'))
    assert runs
    assert all(list(run.glob('*.wandb')) for run in runs)
