"""What is compared: two geometries, and the ways to start the larger model of each."""

from typing import Any

from phijax import models

# Scaled down from phi-1-small -> phi-1: twice the heads and the width, 1.2 times the layers.
# Scaled down from phi-1.5 -> phi-2: as many heads, each 1.25 times as long, 1.33 times the layers.
SMALL: dict[str, dict[str, int]] = {
    'double': {
        'embed_dim': 80,
        'num_layers': 5,
        'num_heads': 5,
        'num_kv_heads': 5,
        'head_dim': 16,
        'mlp_dim': 320,
        'rotary_dim': 8,
    },
    'quarter': {
        'embed_dim': 128,
        'num_layers': 3,
        'num_heads': 4,
        'num_kv_heads': 4,
        'head_dim': 32,
        'mlp_dim': 512,
        'rotary_dim': 16,
    },
}
LARGE: dict[str, dict[str, int]] = {
    'double': SMALL['double']
    | {'embed_dim': 160, 'num_layers': 6, 'num_heads': 10, 'num_kv_heads': 10, 'mlp_dim': 640},
    'quarter': SMALL['quarter']
    | {'embed_dim': 160, 'num_layers': 4, 'head_dim': 40}
    | {'mlp_dim': 640},
}

_GOPHER = {'method': 'gopher', 'rounding': 'half_up'}
_WIDTH = {'method': 'tile', 'place': 'edge', 'divide': False, 'noise': 0.0}


def _method(depth: str = 'gopher', **width: Any) -> dict[str, Any]:
    return {
        'depth': _GOPHER | {'method': depth},
        'width': _WIDTH | width,
        'seed': 0,
        'moments': False,
    }


METHODS: dict[str, dict[str, Any]] = {
    'reuse': _method(method='reuse', place='centre'),
    'tile': _method(method='tile'),
    'tile-centre': _method(method='tile', place='centre'),
    'tile-divided': _method(method='tile', place='centre', divide=True),
    'clone': _method(method='clone', depth='identity', noise=0.3),
}
# At a whole factor the centre is the edge with its features in another order: one model. At 1.25
# clone is refused.
ARMS = {
    'double': ('scratch', 'reuse', 'tile', 'tile-divided', 'clone'),
    'quarter': ('scratch', 'reuse', 'tile', 'tile-centre', 'tile-divided'),
}
ROOTS = {
    'cpu': 'runs/upscaling',
    'smoke': 'runs/upscaling_smoke',
    'full': 'runs/upscaling_full',
}
CONFIGS = {
    'cpu': 'configs/quickstart.py',
    'smoke': 'configs/quickstart.py',
    'full': 'configs/phi1.py',
}
SEEDS = {'cpu': (0, 1, 2), 'smoke': (0,), 'full': (0, 1, 2)}
STEPS = {'cpu': 500, 'smoke': 20, 'full': 5000}  # full: 10.5B tokens of phi-1's data
RATES = {'cpu': 3e-3, 'smoke': 3e-3, 'full': 1e-3}
# The published models that SMALL and LARGE scale down.
PUBLISHED = {'double': ('phi1_small', 'phi1'), 'quarter': ('phi1_5', 'phi2')}


def sizes(variant: str, size: str) -> dict[str, dict[str, int]]:
    """The `small` or `large` model of each geometry, as fields of a configuration."""
    place = ('small', 'large').index(size)
    if variant != 'full':
        return (SMALL, LARGE)[place]
    known = {name: models.to_dict(models.config(pair[place])) for name, pair in PUBLISHED.items()}
    return {name: {f: fields[f] for f in SMALL[name]} for name, fields in known.items()}


def configuration(variant: str, size: str, geometry: str) -> models.Config:
    """The model of a geometry, whole."""
    rest = {} if variant == 'full' else {'vocab_size': 2048, 'max_length': 256}
    return models.config('phi1_small', **rest, **sizes(variant, size)[geometry])


def start(variant: str, geometry: str, arm: str) -> str:
    """Where the grown model of each seed is, `{seed}` left open."""
    return f'{ROOTS[variant]}/starts/{geometry}-{arm}/seed{{seed}}'


def sweep(variant: str, runs: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The sweep of these runs: a constant rate, so that curves can be compared at every point."""
    steps, rate = STEPS[variant], RATES[variant]
    base = {
        'num_steps': steps,
        'evaluate_every': steps // 20,
        'prompts': (),
        'optimizer.schedule': 'constant',
        'optimizer.peak_rate': rate,
        'optimizer.final_rate': rate,
        'optimizer.warmup_steps': steps // 10,
        'checkpoints.every': steps,
        'checkpoints.keep': 1,
        'checkpoints.keep_every': 0,
        'checkpoints.select': 'last',
    }
    if variant != 'full':
        base |= {'evaluate_rows': 32, 'data.directory': f'{ROOTS[variant]}/data'}
    return {'config': CONFIGS[variant], 'base': base, 'runs': runs, 'seeds': SEEDS[variant]}


def model(fields: dict[str, int]) -> dict[str, int]:
    """The sizes as overrides of a recipe."""
    return {f'model.{field}': value for field, value in fields.items()}
