"""Figures beside those reckoned by hand."""

import numpy as np
import pytest

from phijax.data.filtering.forest import quality


def test_the_calibration_table():
    """By hand: bins of a tenth, with their mean probability and the share that is valuable."""
    probability = np.array([0.0, 0.05, 0.31, 0.39, 0.39, 1.0])
    valuable = np.array([0, 1, 0, 1, 1, 1], bool)
    found = quality.measure(valuable, probability)
    rows = [tuple(row.values()) for row in found['calibration']]
    expected = [(0.0, 2, 0.025, 0.5), (0.3, 3, 1.09 / 3, 2 / 3), (0.9, 1, 1.0, 1.0)]
    np.testing.assert_allclose(rows, expected)
    error = (2 * 0.475 + 3 * abs(1.09 / 3 - 2 / 3)) / 6
    assert found['calibration_error'] == pytest.approx(error)
    assert quality.measure(valuable[1:2], probability[1:2]) is None
