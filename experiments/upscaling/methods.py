"""What is compared: two geometries, and the ways to start the larger model of each."""

from typing import Any

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
ROOTS = {'full': 'runs/upscaling', 'smoke': 'runs/upscaling_smoke'}
SEEDS = {'full': (0, 1, 2), 'smoke': (0,)}
STEPS = {'full': 500, 'smoke': 20}
LENGTH, BATCH_SIZE = 256, 8


def start(variant: str, geometry: str, arm: str) -> str:
    """Where the grown model of each seed is, `{seed}` left open."""
    return f'{ROOTS[variant]}/starts/{geometry}-{arm}/seed{{seed}}'


def seeds(variant: str) -> tuple[int, ...]:
    """The seeds of a variant."""
    return SEEDS[variant]


def base(variant: str) -> dict[str, Any]:
    """What all runs share: a constant rate, so that curves can be compared at every point."""
    steps = STEPS[variant]
    return {
        'num_steps': steps,
        'batch_size': BATCH_SIZE,
        'evaluate_every': steps // 20,
        'evaluate_rows': 32,
        'prompts': (),
        'data.directory': f'{ROOTS[variant]}/data',
        'data.length': LENGTH,
        'optimizer.schedule': 'constant',
        'optimizer.peak_rate': 3e-3,
        'optimizer.final_rate': 3e-3,
        'optimizer.warmup_steps': steps // 10,
        'checkpoints.every': steps,
        'checkpoints.keep': 1,
    }


def model(sizes: dict[str, int]) -> dict[str, int]:
    """The sizes as overrides of a recipe."""
    return {f'model.{field}': value for field, value in sizes.items()}
