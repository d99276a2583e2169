"""Reports and plots of made-up runs, read back: pages by their text, images by their pixels."""

import concurrent.futures
import json
import lzma
import math
import pathlib
import subprocess
import sys
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phijax import report
from tests.conftest import ROOT

WHITE = 1.0


def _run(steps=60, *, shift=0.0, evaluations=True, session_seconds=30):
    """Records of two sessions; the loss falls, and one update of the first was skipped."""
    records = []
    for step in range(1, steps + 1):
        loss = shift + 2 + 6 / step
        timing = {
            'seconds': float((step - 1) % session_seconds + 1),
            'tokens': ((step - 1) % session_seconds + 1) * 100,
        }
        record = {'kind': 'train', 'step': step, 'loss': loss, 'learning_rate': 1e-3 / step}
        records.append(record | {'loss_ema': loss + 0.1, 'skipped': 1, 'timing': timing})
        if evaluations and step % 20 == 0:
            values = {'loss': loss + 0.2, 'bits_per_byte': loss / 2, 'timing': {'seconds': 1.0}}
            records.append({'kind': 'evaluate', 'step': step, **values})
    return records


def _write(path, records):
    path.write_text(''.join(json.dumps(record) + '\n' for record in records))
    return path


def _pixels(path):
    from matplotlib import image

    return image.imread(path)[:, :, :3]


def _is_drawn(path):
    """Whether the file is a PNG with more on it than a frame."""
    pixels = _pixels(path)
    height, width, _ = pixels.shape
    inked = (pixels != WHITE).any(axis=2)
    return min(height, width) > 300 and inked[: height // 2].mean() > 0.01


@pytest.fixture
def write_report(tmp_path):
    """`write_report(samples=…)`: the page of a small run; other arguments are its defaults."""

    def write(**overrides):
        arguments = {
            'title': 'Quickstart',
            'config': {'seed': 0, 'model': {'num_layers': 6, 'dtype': 'float32'}, 'tags': []},
            'metrics_path': _write(tmp_path / 'metrics.jsonl', _run()),
            'evaluations': {'python': {'phijax': 1.63, 'xz': 1.68, 'zlib': 2.02}},
            'samples': [{'prompt': 'def f(x):\n', 'completion': '    return x\n'}],
            'tables': {'By document': [{'documents': 1_203, 'share': 0.25}]},
            'next_commands': ['python -m phijax.generate --checkpoint=runs/quickstart'],
            'environment': {'python': '3.11.7', 'device': 'cpu'},
        }
        path = report.write_report(tmp_path, **arguments | overrides)
        assert path == tmp_path / 'report.md'
        return path.read_text('utf-8')

    return write


def _sections(text):
    return dict(part.split('\n\n', 1) for part in text.split('\n## ')[1:])


def test_report_says_it_all(write_report, tmp_path):
    text = write_report()
    assert text.startswith('# Quickstart\n\nOn held-out `python`, phijax needs **1.630 bits')
    assert '3.0 % less than xz (1.680) and 19.3 % less than zlib (2.020).' in text
    sections = _sections(text)
    assert list(sections) == [
        'Result',
        'By document',
        'Training',
        'Samples',
        'Next',
        'What this does not show',
        'Environment',
        'Configuration',
    ]
    assert '| python | 1.63 | 1.68 | 2.02 |' in sections['Result']
    assert '| 1,203 | 0.25 |' in sections['By document']
    assert '](loss.png)' in sections['Training']
    assert '```python\ndef f(x):\n    return x\n```' in sections['Samples']
    assert '```bash\npython -m phijax.generate' in sections['Next']
    assert sections['What this does not show'].count('\n- ') == len(report.LIMITS) - 1
    assert '| device | cpu |' in sections['Environment']
    lines = sections['Configuration'].splitlines()
    assert lines[1:5] == ['seed: 0', 'model.num_layers: 6', 'model.dtype: "float32"', 'tags: []']
    assert _is_drawn(tmp_path / 'loss.png')


def test_run_table_adds_the_sessions_up(write_report):
    training = _sections(write_report())['Training']
    for row in (
        '| steps | 60 |',
        '| tokens | 6,000 |',
        '| wall time | 0:01:00 in 2 sessions |',
        '| tokens per second | 100 |',
        '| last loss (smoothed) | 2.1000 (2.2000) |',
        '| best held-out loss | 2.3000 at step 60 |',
        '| updates skipped | 1 |',
        '| warnings | none |',
    ):
        assert row in training


def test_report_of_a_run_with_little_to_show(write_report, tmp_path):
    records = _run(1, evaluations=False)
    records[0] |= {'loss': 'NaN', 'loss_ema': None}
    records.append({'kind': 'warn', 'step': 1, 'message': 'loss is | NaN'})
    text = write_report(
        metrics_path=_write(tmp_path / 'a.jsonl', records),
        evaluations={},
        samples=[],
        tables={'Empty': []},
        next_commands=[],
    )
    sections = _sections(text)
    assert list(sections)[:2] == ['Training', 'What this does not show']
    assert '| wall time | 0:00:01 in 1 session |' in sections['Training']
    assert '| last loss (smoothed) | nan (nan) |' in sections['Training']
    assert '| warnings | loss is \\| NaN |' in sections['Training']


def test_headline_of_a_model_that_does_worse(write_report):
    text = write_report(evaluations={'web': {'phijax': 2.0, 'xz': 1.6}, 'code': {'phijax': 1.0}})
    assert '`web`, phijax needs **2.000 bits per byte**: 25.0 % more than xz (1.600).' in text
    assert '`code`, phijax needs **1.000 bits per byte**.\n' in text


def test_sample_whose_prompt_ends_within_a_line(write_report):
    sample = {'prompt': 'import os\n\ndef walk(', 'completion': 'path):\n    """`x` ```"""'}
    samples = _sections(write_report(samples=[sample, sample]))['Samples']
    assert samples.count('Prompt: up to `def walk(`') == 2
    assert '````python\nimport os\n\ndef walk(path):\n    """`x` ```"""\n````' in samples


def test_report_needs_metrics(write_report, tmp_path):
    with pytest.raises(FileNotFoundError, match=r'nowhere\.jsonl: no metrics here'):
        write_report(metrics_path=tmp_path / 'nowhere.jsonl')
    with pytest.raises(ValueError, match='has no training step'):
        write_report(metrics_path=_write(tmp_path / 'empty.jsonl', []))


def test_plot_of_several_runs_has_a_colour_for_each(tmp_path):
    runs = {'one': _run(), 'two': _run(shift=0.5), 'three': _run(shift=1, evaluations=False)}
    path = report.plot_losses(runs, tmp_path / 'a.png', title='Three', baselines={'xz': 1.1})
    assert path == tmp_path / 'a.png'
    pixels = (_pixels(path) * 255).round().astype(int).reshape(-1, 3)
    present = {f'#{r:02X}{g:02X}{b:02X}' for r, g, b in pixels[:: max(1, len(pixels) // 10**6)]}
    assert {'#0072B2', '#D55E00', '#009E73'} <= present


def test_plot_survives_what_is_not_finite(tmp_path):
    run = _run(evaluations=False)
    for record, value in zip(run, ('NaN', 'Infinity', None, math.nan), strict=False):
        record['loss'] = record['loss_ema'] = value
    report.plot_losses({'odd': run}, tmp_path / 'a.png')
    assert _is_drawn(tmp_path / 'a.png')


def test_plot_needs_a_run(tmp_path):
    with pytest.raises(ValueError, match='no runs to plot'):
        report.plot_losses({}, tmp_path / 'a.png')
    with pytest.raises(ValueError, match='the run dead has no training step'):
        report.plot_losses({'dead': [], 'alive': _run()}, tmp_path / 'a.png')


def test_plot_of_other_panels(tmp_path):
    panels = [
        report.Panel('score', [report.Curve('a', [1, 2], [3, 4], look='points')]),
        report.Panel('level', [report.Curve('', [], [2.0], 1, 'level')], height=2.0),
    ]
    path = report.plot(tmp_path / 'a.png', panels, title='Scores', xlabel='documents')
    assert _is_drawn(path)
    assert b'Scores' in path.read_bytes()


def test_records_leave_out_a_line_that_is_being_written(tmp_path):
    path = _write(tmp_path / 'a.jsonl', _run(3))
    path.write_text(path.read_text() + '{"kind": "tr')
    assert report.records(path) == _run(3)


def test_compression_baselines_can_be_unpacked():
    text = b''.join(
        path.read_bytes() for path in sorted(pathlib.Path(json.__file__).parent.glob('*.py'))
    )
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        bits = pool.submit(report.compression_baselines, text).result()
    packed = {
        'xz': lzma.compress(text, preset=9 | lzma.PRESET_EXTREME),
        'zlib': zlib.compress(text, 9),
    }
    assert lzma.decompress(packed['xz']) == zlib.decompress(packed['zlib']) == text
    assert bits == {name: 8 * len(data) / len(text) for name, data in packed.items()}
    assert 1 < bits['xz'] < bits['zlib'] < 4


def test_compression_baselines_of_nothing():
    with pytest.raises(ValueError, match='the text is empty'):
        report.compression_baselines(b'')


@given(st.text())
def test_no_text_ends_its_fence(text):
    first, *middle, last = report.fenced(text, 'python').split('\n')
    assert first == f'{last}python'
    assert set(last) == {'`'}
    assert not any(last in line for line in middle)
    assert '\n'.join(middle) == text.rstrip()


def test_table_escapes_and_aligns():
    rows = [{'name': 'a|b\nc', 'number': 1234567}, {'name': None, 'number': 0.123456}]
    assert report.table(rows).splitlines() == [
        '| name | number |',
        '| --- | ---: |',
        '| a\\|b c | 1,234,567 |',
        '| None | 0.1235 |',
    ]


def test_environment_names_the_versions():
    found = report.environment()
    assert found['python'] == '.'.join(map(str, sys.version_info[:3]))
    import jax

    assert found['jax'] == jax.__version__
    assert 'CPU' in found['machine']


def test_import_is_light():
    code = 'import sys, phijax.report, phijax.train.metrics; print(*sys.modules)'
    printed = subprocess.check_output([sys.executable, '-c', code], cwd=ROOT, text=True)
    loaded = {name.split('.')[0] for name in printed.split()}
    assert not loaded & {'matplotlib', 'numpy', 'jax', 'tensorboardX', 'wandb'}
