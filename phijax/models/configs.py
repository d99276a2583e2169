"""Sizes and rates of every model, by name. Pure Python: errors here answer before jax is loaded."""

import dataclasses
import difflib
from collections.abc import Mapping
from typing import Any

DTYPES = ('float32', 'bfloat16', 'float16')
REMATS = ('none', 'dots', 'full')
ATTENTIONS = ('blocked', 'cudnn')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """What every decoder of this project is built from.

    The letters of the axes are those of `sizes`; a family adds its own fields in a subclass.

    Attributes:
        family: which block the layers are made of.
        rotary_dim: how many features of each head are rotated, from the first on.
        max_length: longest sequence, in tokens, that the model is meant for.
        dtype: what products are computed in; parameters are always float32.
        remat: what the backward pass keeps of a layer: everything (`none`), only the results of
            matrix products (`dots`), or only its input (`full`).
        unroll: layers per iteration of the loop over the stack; 0 unrolls all of a stack of at
            most 12 layers on a CPU and none elsewhere.
        attention: `blocked` runs everywhere; `cudnn` is NVIDIA's flash attention (half precision,
            no attention dropout).
    """

    family: str
    vocab_size: int
    embed_dim: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    mlp_dim: int
    rotary_dim: int
    rope_theta: float = 10000.0
    max_length: int = 2048
    norm_eps: float = 1e-5
    init_std: float = 0.02
    embed_dropout: float = 0.0
    residual_dropout: float = 0.0
    attention_dropout: float = 0.0
    dtype: str = 'float32'
    remat: str = 'none'
    unroll: int = 0
    attention: str = 'blocked'

    def __post_init__(self) -> None:
        for field in ('vocab_size', 'embed_dim', 'num_layers', 'num_heads', 'num_kv_heads'):
            _check_positive(field, getattr(self, field))
        for field in ('head_dim', 'mlp_dim', 'max_length', 'rope_theta', 'norm_eps'):
            _check_positive(field, getattr(self, field))
        for field in ('embed_dropout', 'residual_dropout', 'attention_dropout'):
            if not 0 <= getattr(self, field) < 1:
                raise ValueError(f'{field} must be in [0, 1), got {getattr(self, field)}')
        _check_choice('dtype', self.dtype, DTYPES)
        _check_choice('remat', self.remat, REMATS)
        _check_choice('attention', self.attention, ATTENTIONS)
        if self.num_heads % self.num_kv_heads:
            raise ValueError(
                f'num_kv_heads must divide num_heads ({self.num_heads}), got {self.num_kv_heads}'
            )
        if self.rotary_dim % 2 or not 0 < self.rotary_dim <= self.head_dim:
            raise ValueError(
                f'rotary_dim must be even and in 2..{self.head_dim} (head_dim), '
                f'got {self.rotary_dim}'
            )
        if self.unroll < 0:
            raise ValueError(f'unroll must be 0 (choose) or a number of layers, got {self.unroll}')
        if self.attention == 'cudnn' and (self.dtype == 'float32' or self.attention_dropout):
            raise ValueError(
                "attention='cudnn' needs dtype bfloat16 or float16 and attention_dropout 0, got "
                f'{self.dtype} and {self.attention_dropout}'
            )

    @property
    def sizes(self) -> dict[str, int]:
        """Length of each named axis: `{'d': 2048, 'n': 32, ...}`."""
        return {
            'l': self.num_layers,
            'd': self.embed_dim,
            'n': self.num_heads,
            'k': self.num_kv_heads,
            'h': self.head_dim,
            'f': self.mlp_dim,
            'v': self.vocab_size,
            'r': self.rotary_dim,
        }


@dataclasses.dataclass(frozen=True, kw_only=True)
class PhiConfig(Config):
    """phi-1, phi-1.5 and phi-2: a parallel block with one LayerNorm, and biases everywhere."""

    family: str = 'phi'
    qk_layernorm: bool = False


FAMILIES: dict[str, type[Config]] = {'phi': PhiConfig}

# Source: arXiv:2306.11644, sec. 2.3 (phi-1-small, phi-1); config.json of microsoft/phi-1,
# microsoft/phi-1_5 and microsoft/phi-2 (rows of the vocabulary, widths, rotary share, dropout).
# Open: the rows of phi-1-small, which was never released, are taken to be phi-1's.
_PHI1_SMALL = {
    'vocab_size': 51200,
    'embed_dim': 1024,
    'num_layers': 20,
    'num_heads': 16,
    'num_kv_heads': 16,
    'head_dim': 64,
    'mlp_dim': 4096,
    'rotary_dim': 32,
}
_PHI1 = _PHI1_SMALL | {
    'embed_dim': 2048,
    'num_layers': 24,
    'num_heads': 32,
    'num_kv_heads': 32,
    'mlp_dim': 8192,
}
_PHI2 = _PHI1 | {
    'embed_dim': 2560,
    'num_layers': 32,
    'head_dim': 80,
    'mlp_dim': 10240,
    'residual_dropout': 0.1,
}
_NAMED: dict[str, tuple[type[Config], dict[str, Any]]] = {
    'phi1_small': (PhiConfig, _PHI1_SMALL),
    'phi1': (PhiConfig, _PHI1),
    'phi1_5': (PhiConfig, _PHI1),
    'phi2': (PhiConfig, _PHI2),
}


def config(name: str, **overrides: Any) -> Config:
    """The published configuration called `name`, with some fields changed.

    Raises:
        ValueError: no such name or field, or a value of another type or outside its range.
    """
    _check_choice('model', name, tuple(_NAMED))
    family, fields = _NAMED[name]
    return _build(family, fields | overrides)


def from_dict(fields: Mapping[str, Any]) -> Config:
    """The configuration that `to_dict` turned into plain values.

    Raises:
        ValueError: an unknown family, an unknown or missing field, or a value of another type or
            outside its range.
    """
    family = str(fields.get('family'))
    _check_choice('family', family, tuple(FAMILIES))
    return _build(FAMILIES[family], dict(fields))


def to_dict(config: Config) -> dict[str, Any]:
    """Every field of a configuration as plain values, ready for JSON."""
    return dataclasses.asdict(config)


def _build(family: type[Config], fields: dict[str, Any]) -> Config:
    known = {field.name: field for field in dataclasses.fields(family)}
    for name, value in fields.items():
        _check_choice('model field', name, tuple(known))
        _check_type(name, value, known[name].type)
    missing = [
        name
        for name, field in known.items()
        if field.default is dataclasses.MISSING and name not in fields
    ]
    if missing:
        raise ValueError(f'a {family.__name__} also needs {", ".join(missing)}')
    return family(**fields)


def _check_type(field: str, value: Any, kind: Any) -> None:
    """A whole number is a float too; True and False are no numbers."""
    kinds = (int, float) if kind is float else (kind,)
    if type(value) not in kinds:
        raise ValueError(f'{field} must be {kind.__name__}, got {value!r}')


def _check_positive(field: str, value: float) -> None:
    if not value > 0:
        raise ValueError(f'{field} must be positive, got {value}')


def _check_choice(what: str, value: Any, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        near = difflib.get_close_matches(str(value), allowed, n=1)
        hint = f' (did you mean {near[0]!r}?)' if near else ''
        raise ValueError(f'{what} {value!r} is not one of {", ".join(allowed)}{hint}')
