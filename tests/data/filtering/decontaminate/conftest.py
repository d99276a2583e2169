"""The real problems, and an index of them."""

import pytest

from phijax.data.filtering.decontaminate import Index, Item, Settings, load

BENCHMARKS = ('humaneval', 'mbpp', 'gsm8k')


@pytest.fixture(scope='session')
def items(asset) -> list[Item]:
    for name in ('humaneval', 'benchmarks'):
        asset(name)
    return load(BENCHMARKS)


@pytest.fixture(scope='session')
def index(items) -> Index:
    return Index.build(items, Settings(benchmarks=BENCHMARKS))


@pytest.fixture(scope='session')
def humaneval(items) -> list[Item]:
    return [item for item in items if item.benchmark == 'humaneval']


@pytest.fixture(scope='session')
def gsm8k(items) -> list[Item]:
    return [item for item in items if item.benchmark == 'gsm8k']
