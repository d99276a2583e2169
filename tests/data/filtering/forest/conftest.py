"""A forest that several files look at."""

import pytest

from phijax.data.filtering import forest
from tests.data.filtering.forest.planted import SETTINGS, planted


@pytest.fixture(scope='session')
def fitted():
    """A forest, and the features and labels that it was fitted on."""
    features, _, labels = planted()
    return forest.fit(features, labels, SETTINGS, embedder='abc'), features, labels
