"""The tokenizer in a GGUF file, both ways."""

from typing import TYPE_CHECKING, Any

from phijax import models
from phijax.errors import InputError
from phijax.interop.fields import Fields

if TYPE_CHECKING:
    from phijax.data.tokenizer import Tokenizer
    from phijax.data.tokenizer.codec import Lists

# What the files call the models of tokenizers: sentencepiece, byte-level BPE, and none at all.
PIECES, MERGES, NONE = 'llama', 'gpt2', ('none', 'no_vocab')
UNUSED = 5


def read(config: models.Config, settings: dict[str, Any]) -> 'Tokenizer | None':
    """The tokenizer of a file, None where it has none.

    Raises:
        InputError: the tokenizer is of another kind than those of phi and Llama, or damaged, or
            has more ids than the model.
    """
    prefix = 'tokenizer.ggml.'
    fields = Fields(
        {k.removeprefix(prefix): v for k, v in settings.items() if k.startswith(prefix)}
    )
    fields.only('model', PIECES, MERGES, *NONE)
    if fields.values.get('model', NONE[0]) in NONE:
        return None
    tokenizer = _make(fields)
    _check_size(tokenizer.vocab_size, config)
    return tokenizer


def write(config: models.Config, tokenizer: 'Tokenizer | None') -> dict[str, Any]:
    """The settings that hold a tokenizer, filled up to the rows of the model.

    Raises:
        InputError: the tokenizer has more ids than the model, or GGUF has no such tokenizer.
    """
    if tokenizer is None:
        return {'tokenizer.ggml.model': NONE[0]}
    lists = tokenizer.lists()
    _check_size(len(lists.tokens), config)
    spare = config.vocab_size - len(lists.tokens)
    begin = tokenizer.special('<s>')
    own = _own_lists(lists, spare) | {
        'tokens': lists.tokens + [f'[PAD{len(lists.tokens) + i}]' for i in range(spare)],
        'token_type': lists.types + [UNUSED] * spare,
        'bos_token_id': tokenizer.end_of_text if begin is None else begin,
        'eos_token_id': lists.end_of_text,
        # A model here has seen what its tokenizer gives, and nothing before it.
        'add_bos_token': False,
        'add_eos_token': False,
    }
    return {f'tokenizer.ggml.{key}': value for key, value in own.items()}


def _make(fields: Fields) -> 'Tokenizer':
    from phijax.data import tokenizer

    tokens, types = _list(fields, 'tokens', str), _list(fields, 'token_type', int)
    end = fields.integer('eos_token_id')
    if fields.values['model'] == MERGES:
        pre = str(fields.values.get('pre'))
        return tokenizer.from_merges(tokens, _list(fields, 'merges', str), types, pre, end)
    scores = _list(fields, 'scores', float)
    prefix = fields.flag('add_space_prefix', True)
    return tokenizer.from_pieces(tokens, scores, types, end, prefix=prefix)


def _own_lists(lists: 'Lists', spare: int) -> dict[str, Any]:
    """What sentencepiece and byte-level BPE have each for themselves."""
    if not lists.scores:
        if not lists.merges:
            raise InputError('llama.cpp reads no byte-level tokenizer without merges')
        return {'model': MERGES, 'pre': lists.pre, 'merges': list(lists.merges)}
    return {
        'model': PIECES,
        'pre': 'default',
        'scores': [*lists.scores, *[-10000.0] * spare],
        'add_space_prefix': lists.prefix,
    }


def _check_size(size: int, config: models.Config) -> None:
    if size > config.vocab_size:
        raise InputError(
            f'the tokenizer has {size} ids, the model has only {config.vocab_size} rows'
        )


def _list(fields: Fields, name: str, kind: type) -> list[Any]:
    values = fields.values.get(name)
    if not isinstance(values, list) or not all(type(value) is kind for value in values):
        raise InputError(
            f'tokenizer.ggml.{name} must be a list of {kind.__name__}, got {values!r:.80}'
        )
    return values
