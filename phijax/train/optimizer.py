"""AdamW as the recipes use it."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
import optax

from phijax.train import recipe


def schedule(config: recipe.Optimizer, num_steps: int) -> Callable[[Any], Any]:
    """The learning rate as a function of the number of updates made.

    The first update of a warmup of w steps is made at 1/w of the peak rate, update w at the peak.
    """
    warmup, peak, final = config.warmup_steps, config.peak_rate, config.final_rate
    after = max(1, num_steps - warmup)
    decays = {
        'linear': optax.linear_schedule(peak, final, after),
        'cosine': optax.cosine_decay_schedule(peak, after, alpha=final / peak),
        'constant': optax.constant_schedule(peak),
        'wsd': optax.linear_schedule(
            peak, final, max(1, config.decay_steps), after - config.decay_steps
        ),
    }
    decay = decays[config.schedule]
    if not warmup:
        return decay
    rise = optax.linear_schedule(peak / warmup, peak, max(1, warmup - 1))
    return optax.join_schedules([rise, decay], [warmup])


def decays(axes: Any) -> Any:
    """Which parameters decay: those along `d` and one more axis, so no bias and no norm."""
    return jax.tree.map(lambda names: 'd' in names and len(names.lstrip('l')) > 1, axes)


def make(config: recipe.Optimizer, num_steps: int, axes: Any) -> optax.GradientTransformation:
    """Clipping by global norm, Adam, decoupled weight decay, learning rate.

    Source: arXiv:1711.05101 (AdamW).
    """
    clip = optax.clip_by_global_norm(config.clip_norm) if config.clip_norm else optax.identity()
    return optax.chain(
        clip,
        optax.scale_by_adam(b1=config.b1, b2=config.b2, eps=config.eps),
        optax.add_decayed_weights(config.weight_decay, mask=decays(axes)),
        optax.scale_by_learning_rate(schedule(config, num_steps)),
    )


def with_moments(opt_state: Any, moments: Mapping[str, Any]) -> Any:
    """The state of `make`'s optimizer with these `mu`, `nu` and `count`, laid out as it is.

    The learning rate still starts at its first step: a run that starts from moments warms up anew.
    """

    def replace(state: Any) -> Any:
        if not isinstance(state, optax.ScaleByAdamState):
            return state
        fields = {name: getattr(state, name) for name in moments}
        return state._replace(**jax.tree.map(_like, fields, dict(moments)))

    is_adam = lambda state: isinstance(state, optax.ScaleByAdamState)  # noqa: E731
    return jax.tree.map(replace, opt_state, is_leaf=is_adam)


def _like(old: jax.Array, new: Any) -> jax.Array:
    return jax.device_put(np.asarray(new, old.dtype), old.sharding)
