"""The schedules at exact steps, what decays, and AdamW against one written by hand."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phijax import models
from phijax.train import optimizer, recipe
from tests.train import tiny

PEAK = 1e-3
STEPS = 24_000
AXES = {'kernel': 'ldnh', 'bias': 'lnh', 'scale': 'ld'}


def config(**changes: Any) -> recipe.Optimizer:
    fields = tiny.fields()['optimizer'] | {'peak_rate': PEAK, 'warmup_steps': 0}
    return recipe.Optimizer(**fields | changes)


@pytest.mark.parametrize(
    ('changes', 'rates'),
    [
        (
            {'schedule': 'linear', 'warmup_steps': 750},
            {
                0: PEAK / 750,
                1: PEAK * 2 / 750,
                374: PEAK / 2,
                749: PEAK,
                750: PEAK,
                751: PEAK * (1 - 1 / 23_250),
                12_375: PEAK / 2,
                23_999: PEAK / 23_250,
                24_000: 0,
                30_000: 0,
            },
        ),
        ({'schedule': 'linear', 'final_rate': 1e-4}, {0: PEAK, 12_000: 5.5e-4, 24_000: 1e-4}),
        ({'schedule': 'linear', 'warmup_steps': 1}, {0: PEAK, 1: PEAK, 24_000: 0}),
        ({'schedule': 'constant'}, {0: PEAK, 1: PEAK, 23_999: PEAK}),
        (
            {'schedule': 'constant', 'warmup_steps': 4},
            {0: PEAK / 4, 2: PEAK * 3 / 4, 3: PEAK, 4: PEAK, 23_999: PEAK},
        ),
        (
            {'schedule': 'cosine', 'final_rate': 1e-4, 'warmup_steps': 4_000},
            {
                3_999: PEAK,
                4_000: PEAK,
                9_000: 1e-4 + 9e-4 * (1 + 2**-0.5) / 2,
                14_000: 5.5e-4,
                24_000: 1e-4,
            },
        ),
        (
            {'schedule': 'wsd', 'warmup_steps': 2_000, 'decay_steps': 6_000, 'final_rate': 1e-4},
            {
                999: PEAK / 2,
                2_000: PEAK,
                17_999: PEAK,
                18_000: PEAK,
                21_000: 5.5e-4,
                24_000: 1e-4,
                30_000: 1e-4,
            },
        ),
    ],
)
def test_schedule_at_exact_steps(changes: dict[str, Any], rates: dict[int, float]) -> None:
    rate = optimizer.schedule(config(**changes), STEPS)
    found = {step: float(rate(step)) for step in rates}
    assert found == pytest.approx(rates, rel=1e-5, abs=1e-10)


@pytest.mark.parametrize('qk_layernorm', [False, True])
def test_kernels_and_the_embedding_decay_and_nothing_else(qk_layernorm: bool) -> None:
    model = models.config('phi1_small', **tiny.MODEL, qk_layernorm=qk_layernorm)
    leaves = jax.tree_util.tree_leaves_with_path(optimizer.decays(models.axes(model)))
    names = {jax.tree_util.keystr(path, simple=True, separator='.'): x for path, x in leaves}
    assert {name for name, decays in names.items() if decays} == {
        'embed.kernel',
        'head.kernel',
        'blocks.attention.query.kernel',
        'blocks.attention.key.kernel',
        'blocks.attention.value.kernel',
        'blocks.attention.out.kernel',
        'blocks.mlp.up.kernel',
        'blocks.mlp.down.kernel',
    }
    assert len(names) == (23 if qk_layernorm else 19)


def arrays(seed: int, scale: float) -> dict[str, np.ndarray]:
    shapes = {'kernel': (2, 4, 2, 2), 'bias': (2, 2, 2), 'scale': (2, 4)}
    draw = np.random.default_rng(seed)
    return {name: draw.normal(0, scale, shape) for name, shape in shapes.items()}


def by_hand(
    settings: recipe.Optimizer, params: dict[str, np.ndarray], gradients: list, num_steps: int
) -> dict[str, np.ndarray]:
    """AdamW after Loshchilov and Hutter, algorithm 2, with the decay scaled by the rate alone."""
    first, second = ({name: np.zeros_like(x) for name, x in params.items()} for _ in range(2))
    for step, gradient in enumerate(gradients):
        rate = settings.peak_rate * (1 - step / num_steps)
        norm = np.sqrt(sum((g**2).sum() for g in gradient.values()))
        clip = min(1.0, settings.clip_norm / norm) if settings.clip_norm else 1.0
        for name, raw in gradient.items():
            g = raw * clip
            first[name] = settings.b1 * first[name] + (1 - settings.b1) * g
            second[name] = settings.b2 * second[name] + (1 - settings.b2) * g**2
            mean = first[name] / (1 - settings.b1 ** (step + 1))
            spread = np.sqrt(second[name] / (1 - settings.b2 ** (step + 1)))
            decay = settings.weight_decay if name == 'kernel' else 0.0
            move = mean / (spread + settings.eps) + decay * params[name]
            params = params | {name: params[name] - rate * move}
    return params


@pytest.mark.parametrize(
    'changes',
    [
        {},
        {'clip_norm': 0.0, 'eps': 1e-2},
        {'weight_decay': 0.5, 'b1': 0.8, 'b2': 0.99, 'eps': 1e-3},
        {'weight_decay': 0.0, 'clip_norm': 0.25},
    ],
)
def test_updates_are_those_of_adamw_by_hand(changes: dict[str, Any]) -> None:
    settings = config(peak_rate=0.05, **changes)
    start = arrays(0, 1.0)
    # The last gradient is below the clip, the others above it.
    gradients = [arrays(1, 2.0), arrays(2, 0.5), arrays(3, 0.01)]
    transform = optimizer.make(settings, 5, AXES)
    params = jax.tree.map(jnp.asarray, start)
    state = transform.init(params)
    for gradient in gradients:
        updates, state = transform.update(jax.tree.map(jnp.asarray, gradient), state, params)
        params = jax.tree.map(jnp.add, params, updates)
    expected = by_hand(settings, start, gradients, 5)
    for name, value in expected.items():
        np.testing.assert_allclose(params[name], value, rtol=2e-5, atol=1e-6, err_msg=name)
