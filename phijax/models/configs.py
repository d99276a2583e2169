"""Sizes and rates of every model, by name. Pure Python: errors here answer before jax is loaded."""

import dataclasses
import difflib
from collections.abc import Mapping
from typing import Any

from phijax.models.published import PUBLISHED

DTYPES = ('float32', 'bfloat16', 'float16')
REMATS = ('none', 'dots', 'full')
ATTENTIONS = ('blocked', 'cudnn')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sparsity:
    """Which key blocks a query block sees besides none after it: the last few, and one of a stride.

    Head h of query block q sees key block j <= q when q - j < `local`, or when j + h * step + 1 is
    a multiple of `stride`, where step is max(1, stride // heads), or 0 for a `homogeneous` pattern.

    Source: arXiv:2404.14219, sec. 2 and fig. 1; `_get_sparse_attn_mask` of
    microsoft/Phi-3-small-8k-instruct.

    Attributes:
        block: positions in a block, of queries and of keys.
        local: blocks that are seen whatever their number, that of the query included.
        stride: of the blocks before those, each head sees one in so many.
        homogeneous: all heads see the same of them.
    """

    block: int = 64
    local: int = 16
    stride: int = 8
    homogeneous: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reach:
    """How far back the attention of a layer reaches; by default to the first position.

    Attributes:
        window: how many keys a query sees at most, itself included.
        sparsity: which blocks of keys it sees.
    """

    window: int | None = None
    sparsity: Sparsity | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """What every decoder of this project is built from.

    The letters of the axes are those of `sizes`; a family adds its own fields in a subclass.

    Attributes:
        family: which block the layers are made of.
        rotary_dim: how many features of each head are rotated, from the first on.
        max_length: longest sequence, in tokens, that the model is meant for.
        short_factors: what LongRoPE divides the frequency of each rotated pair by, in rows of at
            most `original_length` tokens; none means no LongRoPE.
        long_factors: the same for longer rows.
        original_length: longest row before the context was extended.
        short_magnitude: what rotated queries and keys of short rows are multiplied by; 0 takes the
            published formula.
        long_magnitude: the same for longer rows.
        dtype: what products are computed in; parameters are always float32.
        remat: what the backward pass keeps of a layer: everything (`none`), only the results of
            matrix products (`dots`), or only its input (`full`).
        unroll: layers per iteration of the loop over the stack; 0 unrolls all of a stack of at
            most 12 layers on a CPU or 40 on a GPU, and none elsewhere.
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
    short_factors: tuple[float, ...] = ()
    long_factors: tuple[float, ...] = ()
    original_length: int = 0
    short_magnitude: float = 0.0
    long_magnitude: float = 0.0
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
        self._check_longrope()
        if self.unroll < 0:
            raise ValueError(f'unroll must be 0 (choose) or a number of layers, got {self.unroll}')
        if self.attention == 'cudnn' and (self.dtype == 'float32' or self.attention_dropout):
            raise ValueError(
                "attention='cudnn' needs dtype bfloat16 or float16 and attention_dropout 0, got "
                f'{self.dtype} and {self.attention_dropout}'
            )

    def _check_longrope(self) -> None:
        """LongRoPE is there whole or not at all."""
        for field in ('original_length', 'short_magnitude', 'long_magnitude'):
            if getattr(self, field) < 0:
                raise ValueError(f'{field} must not be negative, got {getattr(self, field)}')
        for field in ('short_factors', 'long_factors'):
            self._check_factors(field, getattr(self, field))

    def _check_factors(self, field: str, factors: tuple[float, ...]) -> None:
        if factors and not self.original_length:
            raise ValueError(f'{field} needs a positive original_length, got 0')
        if self.original_length and len(factors) != self.rotary_dim // 2:
            raise ValueError(
                f'{field} must be {self.rotary_dim // 2} numbers (rotary_dim / 2) with an '
                f'original_length ({self.original_length}), got {len(factors)}'
            )
        for factor in factors:
            _check_positive(field, factor)

    @property
    def pattern(self) -> tuple[Reach, ...]:
        """What attention reaches in the first layers of the stack, which the rest repeat."""
        return (Reach(),)

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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Phi3Config(Config):
    """phi-3-mini, phi-3-medium and models of Llama's shape: RMSNorm, gated MLP, no biases.

    Attributes:
        window: how many keys a query sees at most, itself included; 0 is no limit.
        tied_head: the head multiplies by the embedding's table.
    """

    family: str = 'phi3'
    window: int = 0
    tied_head: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.window < 0:
            raise ValueError(f'window must be 0 (no limit) or a number of keys, got {self.window}')

    @property
    def pattern(self) -> tuple[Reach, ...]:
        """The same window in every layer."""
        return (Reach(window=self.window or None),)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Phi3SmallConfig(Config):
    """phi-3-small: LayerNorm, GEGELU, muP's multipliers, blocksparse and dense layers by turns.

    Attributes:
        activation_limit: what the two halves of GEGELU are clamped to.
        attention_multiplier: scores are multiplied by this over `head_dim`.
        embed_multiplier: what embeddings are multiplied by, after their dropout.
        width_multiplier: what logits are divided by.
        dense_every: each layer of this many is dense, the others are sparse; 1 is all dense.
        dummy_tokens: ids that stand for nothing; their logits are the lowest number.
    """

    family: str = 'phi3_small'
    activation_limit: float = 20.0
    attention_multiplier: float = 1.0
    embed_multiplier: float = 10.0
    width_multiplier: float = 8.0
    block: int = 64
    local_blocks: int = 16
    stride: int = 8
    homogeneous: bool = False
    dense_every: int = 2
    dummy_tokens: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        for field in ('block', 'local_blocks', 'stride', 'dense_every', 'activation_limit'):
            _check_positive(field, getattr(self, field))
        for field in ('attention_multiplier', 'embed_multiplier', 'width_multiplier'):
            _check_positive(field, getattr(self, field))
        if self.num_layers % self.dense_every:
            raise ValueError(
                f'num_layers must be a multiple of dense_every ({self.dense_every}), as sparse and '
                f'dense layers take turns, got {self.num_layers}'
            )
        wrong = [token for token in self.dummy_tokens if not 0 <= token < self.vocab_size]
        if wrong:
            raise ValueError(f'dummy_tokens must be in 0..{self.vocab_size - 1}, got {wrong[0]}')

    @property
    def pattern(self) -> tuple[Reach, ...]:
        """Sparse layers and, last, a dense one."""
        sparsity = Sparsity(
            block=self.block,
            local=self.local_blocks,
            stride=self.stride,
            homogeneous=self.homogeneous,
        )
        return (Reach(sparsity=sparsity),) * (self.dense_every - 1) + (Reach(),)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CodegenConfig(Config):
    """CodeGen: phi-1's block without biases in its attention."""

    family: str = 'codegen'


FAMILIES: dict[str, type[Config]] = {
    'phi': PhiConfig,
    'phi3': Phi3Config,
    'phi3_small': Phi3SmallConfig,
    'codegen': CodegenConfig,
}
_NUMBERS: dict[Any, type] = {tuple[int, ...]: int, tuple[float, ...]: float}


def config(name: str, **overrides: Any) -> Config:
    """The published configuration called `name`, with some fields changed.

    Raises:
        ValueError: no such name or field, or a value of another type or outside its range.
    """
    _check_choice('model', name, tuple(PUBLISHED))
    fields = PUBLISHED[name] | overrides
    return _build(FAMILIES[fields['family']], fields)


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
        if known[name].type in _NUMBERS:
            fields[name] = _tuple(name, value, known[name].type)
        else:
            _check_type(name, value, known[name].type)
    missing = [
        name
        for name, field in known.items()
        if field.default is dataclasses.MISSING and name not in fields
    ]
    if missing:
        raise ValueError(f'a {family.__name__} also needs {", ".join(missing)}')
    return family(**fields)


def _tuple(field: str, values: Any, kind: Any) -> tuple:
    """Numbers in a row; JSON has them in lists."""
    if not isinstance(values, list | tuple):
        raise ValueError(f'{field} must be a list of numbers, got {values!r}')
    number = _NUMBERS[kind]
    for value in values:
        _check_type(field, value, number)
    return tuple(number(value) for value in values)


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
