import pytest

from phijax.data import settings
from phijax.data.filtering.decontaminate import Settings
from phijax.errors import InputError


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'benchmarks': ('humaneval', 'nothing')}, "benchmarks is 'nothing'"),
        ({'ngram': 1}, 'ngram is 1'),
        ({'shortest': 14}, 'from 1 to 13'),
        ({'max_items': 0}, 'max_items'),
        ({'min_nodes': -1}, 'min_nodes'),
        ({'examples': -1}, 'examples'),
        ({'tau': 0.93}, 'one of the sweep'),
        ({'sweep': (0.95, 1.5)}, r'1\.5'),
        ({'n_gram': 13}, 'did you mean ngram'),
    ],
)
def test_values_that_cannot_be(values: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        settings.build(Settings, values)


def test_the_papers_values_are_the_defaults() -> None:
    default = settings.build(Settings, {})
    assert (default.ngram, default.sweep) == (13, (0.95, 0.9, 0.85, 0.8))
