"""The figures of the phi papers, and whether one of ours can stand beside them.

Scores are in percent. `sure` is how the figure was read: `V` in the paper itself, `V2` in a copy of
its tables, `D` where it contradicts another figure of the same authors.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple


class Figure(NamedTuple):
    """A published score.

    Attributes:
        how: the paper that it is of, a key of `_HOW`.
        sure: `V`, `V2` or `D`.
    """

    model: str
    task: str
    score: float
    how: str
    sure: str

    @property
    def source(self) -> str:
        """Where it stands."""
        words = {
            'V': '',
            'V2': ' (read in a copy)',
            'D': ' (doubtful: it contradicts the mean of 53.7 for code that was announced)',
        }
        return _HOW[self.how].source + words[self.sure]


class _Paper(NamedTuple):
    source: str
    shots: Mapping[str, int]
    writes: tuple[str, ...]
    words: str
    usual_shots: int | None = 0


_HOW = {
    'phi1': _Paper('arXiv:2306.11644, table 1', {}, ('humaneval', 'mbpp'), 'its prompt of MBPP'),
    'phi1_5': _Paper(
        'arXiv:2309.05463, tables 2 to 4',
        {'mmlu': 2},
        ('squad', 'gsm8k_program', 'humaneval', 'mbpp'),
        'its prompts',
    ),
    'phi2': _Paper(
        'arXiv:2404.14219, table of sec. 3',
        {'mmlu': 5, 'gsm8k': 8, 'mbpp': 3},
        ('mmlu', 'gsm8k', 'humaneval', 'mbpp', 'arc_challenge', 'hellaswag'),
        'its prompts and how it reads answers, in a harness of its own',
        None,
    ),
}
_HOW['phi3'] = _HOW['phi2']

_PHI1_5 = [
    *('winogrande', 'arc_easy', 'arc_challenge', 'boolq', 'siqa', 'piqa', 'hellaswag', 'mmlu'),
    *('openbookqa', 'squad', 'gsm8k_program', 'humaneval', 'mbpp'),
]
_PHI3 = ['mmlu', 'hellaswag', 'gsm8k', 'humaneval', 'mbpp', 'arc_challenge']
_TABLES: tuple[tuple[str, str, str, list[str], tuple[float, ...]], ...] = (
    ('phi1', 'phi1', 'V', ['humaneval', 'mbpp'], (50.6, 55.5)),
    ('phi1_small', 'phi1', 'V', ['humaneval'], (45.0,)),
    (
        'phi1_5',
        'phi1_5',
        'V2',
        _PHI1_5,
        (73.4, 75.6, 44.4, 75.8, 52.6, 76.6, 47.6, 37.6, 37.2, 72.0, 40.2, 34.1, 37.7),
    ),
    (
        'phi1_5_web',
        'phi1_5',
        'V2',
        _PHI1_5,
        (74.0, 76.1, 44.9, 72.8, 53.0, 77.0, 48.4, 37.9, 36.0, 74.0, 44.6, 41.4, 43.5),
    ),
    ('phi1_5_web_only', 'phi1_5', 'V2', _PHI1_5[:5], (60.4, 66.6, 32.9, 63.2, 41.4)),
    ('phi1_5_web_only', 'phi1_5', 'V2', ['humaneval', 'mbpp'], (17.2, 27.3)),
    ('phi2', 'phi2', 'V', _PHI3[:3], (56.3, 53.6, 61.1)),
    ('phi2', 'phi2', 'D', ['humaneval'], (59.0,)),
    ('phi2', 'phi2', 'V', _PHI3[4:], (60.6, 75.9)),
    ('phi3_mini', 'phi3', 'V', _PHI3, (68.8, 76.7, 82.5, 58.5, 70.0, 84.9)),
    ('phi3_small', 'phi3', 'V', _PHI3, (75.7, 77.0, 89.6, 61.0, 71.7, 90.7)),
    ('phi3_medium', 'phi3', 'V', _PHI3, (78.0, 82.4, 91.0, 62.2, 75.2, 91.6)),
)


def _figures() -> Iterator[Figure]:
    for model, how, sure, tasks, scores in _TABLES:
        for task, score in zip(tasks, scores, strict=True):
            yield Figure(model, task, score, how, sure)


FIGURES = tuple(_figures())
MODELS = tuple(dict.fromkeys(figure.model for figure in FIGURES))


def published(task: str, model: str | None = None) -> list[Figure]:
    """The figures of a task, of one model or of all."""
    return [figure for figure in FIGURES if figure.task == task and model in (None, figure.model)]


def comparable(figure: Figure, summary: Mapping[str, Any]) -> str:
    """A plain word on whether a result can stand beside a figure, and why not.

    Args:
        summary: of `evaluate.summarise`, with `shots` and `writes`.
    """
    paper = _HOW[figure.how]
    shots = paper.shots.get(figure.task, paper.usual_shots)
    wrong = []
    if shots not in (None, summary['shots']):
        wrong.append(f'{summary["shots"]} solved items were shown, there {shots}')
    ways = ('scored by likelihood', 'written')
    own, theirs = 'answers' in summary, figure.task in paper.writes
    if own != theirs:
        wrong.append(f'answers were {ways[own]}, there they were {ways[theirs]}')
    if wrong:
        return f'not comparable: {"; ".join(wrong)}.'
    return f'near, not equal: the paper does not publish {paper.words}.'
