"""Benchmarks that are asked while a run trains."""

import json
import pathlib
import shutil
from collections.abc import Callable

import pytest

from phijax import checkpoint, interop, sandbox
from phijax.errors import InputError
from phijax.evaluate import Model, Settings, first, measure, summarise, tasks
from phijax.train import benchmarks, loop, recipe
from phijax.train.metrics import terminal
from tests.train import tiny

ASKED = {'tasks': ('arc_easy', 'winogrande'), 'every': 5, 'limit': 4, 'style': 'completion'}


@pytest.fixture(scope='module')
def done(
    tokens: pathlib.Path, asset: Callable, tmp_path_factory: pytest.TempPathFactory
) -> pathlib.Path:
    """The workdir of a run of ten steps that is asked twice."""
    asset('benchmarks')
    workdir = tmp_path_factory.mktemp('asked')
    changes = {'model.max_length': 512, 'data.directory': str(tokens)}
    run = tiny.make(num_steps=10, benchmarks=ASKED, **changes)
    assert loop.train(run, workdir) == 0
    return workdir


def _evaluations(workdir: pathlib.Path) -> list[dict]:
    lines = (workdir / 'metrics.jsonl').read_text().splitlines()
    return [record for record in map(json.loads, lines) if record['kind'] == 'evaluate']


def test_scores_are_recorded_at_their_steps(done: pathlib.Path) -> None:
    records = _evaluations(done)
    assert [record['step'] for record in records] == [5, 10]
    for record in records:
        for name in ASKED['tasks']:
            low, high = (record[f'benchmark/{name}_{end}'] for end in ('low', 'high'))
            assert 0 <= low <= record[f'benchmark/{name}'] <= high <= 1


def test_the_score_is_that_of_the_checkpoint_of_its_step(done: pathlib.Path) -> None:
    assert checkpoint.read_metadata(done / 'checkpoints', 10)['metric']
    model = Model(*interop.open(done))
    task = tasks.task('arc_easy')
    records = list(measure(model, task, first(task.items(0), 4), Settings()))
    value = summarise(task, records)['metrics']['accuracy']['value']
    assert _evaluations(done)[-1]['benchmark/arc_easy'] == value


def test_the_report_has_the_scores_of_the_end(done: pathlib.Path) -> None:
    text = (done / 'report.md').read_text()
    value = _evaluations(done)[-1]['benchmark/winogrande']
    assert f'| winogrande | {100 * value:.1f} |' in text


def test_the_line_of_an_evaluation_has_them() -> None:
    values = {'loss': 3.0, 'benchmark/piqa': 0.61, 'benchmark/piqa_low': 0.5}
    assert 'piqa 61.0 %' in terminal.evaluation_line(5, 10, values, (3.0, 5), 1.0)


def test_without_heldout_text_there_are_scores_and_no_loss(
    tokens: pathlib.Path, tmp_path: pathlib.Path, asset: Callable
) -> None:
    asset('benchmarks')
    bare = tmp_path / 'data'
    shutil.copytree(tokens, bare)
    manifest = json.loads((bare / 'manifest.json').read_text())
    for source in manifest['sources'].values():
        source['splits']['heldout'] = {'tokens': 0, 'documents': 0, 'bytes': 0, 'shards': []}
    (bare / 'manifest.json').write_text(json.dumps(manifest))
    changes = {'model.max_length': 512, 'data.directory': str(bare)}
    asked = ASKED | {'tasks': ('arc_easy',), 'every': 0}
    assert loop.train(tiny.make(num_steps=5, benchmarks=asked, **changes), tmp_path / 'run') == 0
    (record,) = _evaluations(tmp_path / 'run')
    assert 'loss' not in record
    assert 0 <= record['benchmark/arc_easy'] <= 1
    assert '| arc_easy |' in (tmp_path / 'run' / 'report.md').read_text()


def test_a_recipe_without_them_is_written_as_before() -> None:
    assert 'benchmarks' not in recipe.to_dict(tiny.make())
    asked = tiny.make(benchmarks=ASKED)
    assert recipe.from_dict(recipe.to_dict(asked)) == asked


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'tasks': ('arc_esay',)}, r'did you mean arc_easy\?'),
        ({'style': 'phi9'}, 'style must be one of completion'),
        ({'every': 7}, r'benchmarks.every must be a multiple of evaluate_every \(5\), got 7'),
        ({'limit': -1}, 'benchmarks.limit must be at least 0, got -1'),
    ],
)
def test_a_mistake_is_told_before_any_work(changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        tiny.make(benchmarks=ASKED | changes)


def test_programs_need_the_sandbox_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    weak = sandbox.Isolation(sandbox.Level.WEAK, {}, {'landlock': 'ENOSYS'}, {})
    monkeypatch.setattr('phijax.sandbox.isolation.probe', lambda: weak)
    with pytest.raises(sandbox.SandboxError, match='wants level strong'):
        tiny.make(benchmarks=ASKED | {'tasks': ('humaneval',)})


def test_they_are_due_at_their_steps_and_at_the_end() -> None:
    asked = benchmarks.Benchmarks(**ASKED)
    assert [step for step in range(1, 13) if asked.are_due(step, 12)] == [5, 10, 12]
    assert not benchmarks.NONE.are_due(12, 12)
