"""The figures of the papers, and what may stand beside them."""

import pytest

from phijax.evaluate import published, tasks

CHOSEN = {'shots': 0}
WRITTEN = {'shots': 0, 'answers': 164}


def score(task: str, model: str) -> float:
    [figure] = published.published(task, model)
    return figure.score


def test_figures_are_of_tasks_and_in_percent() -> None:
    for figure in published.FIGURES:
        assert figure.task in tasks.TASKS
        assert 1 < figure.score < 100
        assert figure.sure in ('V', 'V2', 'D')
        assert 'arXiv:' in figure.source
    keys = [(figure.model, figure.task) for figure in published.FIGURES]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(
    ('task', 'model', 'value'),
    [
        ('humaneval', 'phi1', 50.6),
        ('mbpp', 'phi1', 55.5),
        ('hellaswag', 'phi1_5', 47.6),
        ('squad', 'phi1_5_web', 74.0),
        ('siqa', 'phi1_5_web_only', 41.4),
        ('arc_challenge', 'phi2', 75.9),
        ('gsm8k', 'phi3_mini', 82.5),
        ('mmlu', 'phi3_medium', 78.0),
        ('humaneval', 'phi3_small', 61.0),
    ],
)
def test_figures(task: str, model: str, value: float) -> None:
    assert score(task, model) == value


def test_a_doubtful_figure_says_so() -> None:
    doubtful = [figure for figure in published.FIGURES if figure.sure == 'D']
    assert [(figure.model, figure.task) for figure in doubtful] == [('phi2', 'humaneval')]
    assert '53.7' in doubtful[0].source


def test_figures_of_all_models() -> None:
    models = [figure.model for figure in published.published('humaneval')]
    assert set(models) == set(published.MODELS)
    assert published.published('piqa', 'phi3_mini') == []


@pytest.mark.parametrize(
    ('task', 'model', 'summary', 'words'),
    [
        ('piqa', 'phi1_5', CHOSEN, 'near, not equal'),
        ('mmlu', 'phi1_5', CHOSEN, 'not comparable: 0 solved items were shown, there 2'),
        ('humaneval', 'phi1', WRITTEN, 'near, not equal'),
        ('gsm8k', 'phi2', WRITTEN, 'not comparable: 0 solved items were shown, there 8'),
        ('arc_challenge', 'phi3_mini', CHOSEN, 'there they were written'),
        ('mmlu', 'phi3_mini', {'shots': 5}, 'there they were written'),
        ('gsm8k', 'phi3_mini', WRITTEN | {'shots': 8}, 'near, not equal'),
    ],
)
def test_comparable(task: str, model: str, summary: dict, words: str) -> None:
    [figure] = published.published(task, model)
    assert words in published.comparable(figure, summary)
