"""The tokenizer in a GGUF file, both ways."""

from typing import TYPE_CHECKING, Any

from phijax import models
from phijax.errors import InputError
from phijax.interop.fields import Fields

if TYPE_CHECKING:
    from phijax.data.tokenizer import Tokenizer

# What the files call the models of tokenizers: sentencepiece, byte-level BPE, and none at all.
PIECES, MERGES, NONE = 'llama', 'gpt2', ('none', 'no_vocab')
UNUSED = 5


def read(settings: dict[str, Any]) -> 'Tokenizer | None':
    """The tokenizer of a file, None where it has none.

    Raises:
        InputError: the tokenizer is of another kind than those of phi and Llama, or damaged.
    """
    from phijax.data import tokenizer

    prefix = 'tokenizer.ggml.'
    fields = Fields(
        {k.removeprefix(prefix): v for k, v in settings.items() if k.startswith(prefix)}
    )
    kind = fields.values.get('model')
    if kind is None or kind in NONE:
        return None
    fields.only('model', PIECES, MERGES, *NONE)
    tokens, end = _list(fields, 'tokens', str), fields.integer('eos_token_id')
    types = _list(fields, 'token_type', int)
    if kind == MERGES:
        pre = str(fields.values.get('pre'))
        return tokenizer.from_merges(tokens, _list(fields, 'merges', str), types, pre, end)
    scores = _list(fields, 'scores', float)
    first_space = fields.flag('add_space_prefix', True)
    return tokenizer.from_pieces(tokens, scores, types, end, prefix=first_space)


def write(config: models.Config, tokenizer: 'Tokenizer | None') -> dict[str, Any]:
    """The settings that hold a tokenizer, filled up to the rows of the model.

    Raises:
        InputError: the tokenizer has more ids than the model, or GGUF has no such tokenizer.
    """
    if tokenizer is None:
        return {'tokenizer.ggml.model': NONE[0]}
    lists = tokenizer.lists()
    spare = range(len(lists.tokens), config.vocab_size)
    if len(lists.tokens) > config.vocab_size:
        raise InputError(
            f'the tokenizer has {len(lists.tokens)} ids, the model has only '
            f'{config.vocab_size} rows'
        )
    begin = tokenizer.special('<s>')
    own: dict[str, Any] = {'model': MERGES, 'pre': lists.pre, 'merges': list(lists.merges)}
    if lists.scores:
        own = {
            'model': PIECES,
            'pre': 'default',
            'scores': [*lists.scores, *(-10000.0 for _ in spare)],
            'add_space_prefix': lists.prefix,
        }
    own |= {
        'tokens': [*lists.tokens, *(f'[PAD{i}]' for i in spare)],
        'token_type': [*lists.types, *(UNUSED for _ in spare)],
        'bos_token_id': lists.end_of_text if begin is None else begin,
        'eos_token_id': lists.end_of_text,
        # A model here has seen what its tokenizer gives, and nothing before it.
        'add_bos_token': False,
        'add_eos_token': False,
    }
    return {f'tokenizer.ggml.{key}': value for key, value in own.items()}


def _list(fields: Fields, name: str, kind: type) -> list[Any]:
    values = fields.values.get(name)
    if not isinstance(values, list) or not all(type(value) is kind for value in values):
        raise InputError(
            f'tokenizer.ggml.{name} must be a list of {kind.__name__}, got {values!r:.80}'
        )
    return values
