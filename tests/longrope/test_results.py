"""Tables and curves of losses that are known."""

import numpy as np
import pytest

from phijax.longrope import results
from phijax.longrope.baselines import Method
from phijax.longrope.plan import extended
from tests.longrope.small import CONFIG

LOSSES = {
    'none': np.array([[2.0, 2.0, 4.0, 4.0], [1.0, 1.0, 3.0, 3.0]]),
    'longrope': np.array([[2.0, 2.0, 2.0, 2.0], [1.0, 1.0, 2.0, 2.5]]),
}


def test_differences_are_paired():
    none, found = results.compare(LOSSES, 'longrope')
    assert none['nats per token'] == 2.5
    assert none['perplexity'] == pytest.approx(np.exp(2.5))
    assert none['more than longrope'] == '+0.6875'
    # Of two texts a resample has the one twice, the other twice, or both.
    assert none['95 % interval'] == '+0.3750 to +1.0000'
    assert none['texts on which longrope is better'] == '2 of 2'
    assert found['95 % interval'] == ''


def test_perplexity_by_position():
    ends, values = results.by_position(LOSSES['none'], bins=2)
    assert ends == [2, 4]
    np.testing.assert_allclose(values, np.exp([1.5, 3.5]))
    assert results.by_position(LOSSES['none'])[0] == [1, 2, 3, 4]


def test_page_and_plot(tmp_path):
    methods = {'none': Method((1.0, 1.0)), 'longrope': Method((1.0, 2.0))}
    summary = results.summarise(methods, LOSSES)
    assert summary['nats_by_text'] == {'none': [3.0, 2.0], 'longrope': [2.0, 1.625]}
    assert results.draw(summary, tmp_path / 'position.png', 'x').read_bytes()[:4] == b'\x89PNG'
    page = results.page('title', {'seed': 3}, summary, 'python -m x')
    assert '| none | 2.5 | 12.18 | +0.6875 | +0.3750 to +1.0000 | 2 of 2 |' in page
    assert 'a bootstrap over the 2 texts' in page


def test_next_commands_say_the_factors(tmp_path):
    for magnitude, exported in ((1.0, True), (1.25, False)):
        larger = extended(CONFIG, Method((1.25, 3.5), magnitude), 64)
        commands = results.next_commands(larger, tmp_path)
        assert "--config.model.long_factors='(1.25, 3.5)'" in commands[1]
        assert f"--config.model.long_magnitude='{magnitude}'" in commands[1]
        assert any('interop export' in command for command in commands) is exported
