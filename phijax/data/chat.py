"""Conversations as token ids: the formats that the phi models and others were trained on.

A message is `{'role': …, 'content': …}`. Special tokens are placed by their ids, and a content is
encoded as text only: whatever a user writes, it cannot begin or end a turn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from phijax.data.tokenizer import END_OF_TEXT, Tokenizer
from phijax.errors import InputError

Message = Mapping[str, str]

ROLES = ('system', 'user', 'assistant')


@dataclass(frozen=True)
class Format:
    """How turns are written around their contents.

    A piece is either one of the special tokens or plain text.

    Attributes:
        before, after: the pieces around a content, by role. The first one after the assistant's
            is the token that ends its turn.
        special: the special tokens that a tokenizer must have, besides the end of text.
        lead: what stands between the assistant's header and its words; the model writes it.
        stops: texts at which an answer is over, for models that do not end their turns.
        single: whether there is only one question and its answer.
    """

    before: Mapping[str, tuple[str, ...]]
    after: Mapping[str, tuple[str, ...]]
    special: tuple[str, ...] = ()
    lead: str = ''
    stops: tuple[str, ...] = ()
    single: bool = False


class Encoded(NamedTuple):
    """A conversation as ids, and which of them the loss counts."""

    ids: list[int]
    learned: list[bool]


class _Piece(NamedTuple):
    text: str
    special: bool
    learned: bool


class _Joined(NamedTuple):
    """A piece, and what it is encoded as: its text, or also the one before it."""

    piece: _Piece
    whole: str


def _tagged(gap: str) -> Format:
    after = ('<|end|>', gap) if gap else ('<|end|>',)
    return Format(
        before={role: (f'<|{role}|>', gap) if gap else (f'<|{role}|>',) for role in ROLES},
        after=dict.fromkeys(ROLES, after),
        special=(*(f'<|{role}|>' for role in ROLES), '<|end|>'),
    )


# Source: phi3: arXiv:2404.14219, and the chat templates of microsoft/Phi-3-mini-4k-instruct, of
# which this is the later one: no beginning of text, and a system turn only where it says something.
# The tokenizer that was published with the first one drops the line ends after special tokens:
# phi3_stripped has the ids that it makes. Open: which of the two the models were trained with.
# phi2 and phi1_5: the model cards of microsoft/phi-2 and microsoft/phi-1_5; code: all three cards,
# which also advise to cut an answer at the next function. Open: the end of text after an answer is
# our choice, as these models were not trained on questions.
# chatml: the tokenizer_config.json of HuggingFaceTB/SmolLM2-135M-Instruct, without the system turn
# that it adds to conversations that have none.
FORMATS = {
    'phi3': _tagged('\n'),
    'phi3_stripped': _tagged(''),
    'chatml': Format(
        before={role: ('<|im_start|>', f'{role}\n') for role in ROLES},
        after=dict.fromkeys(ROLES, ('<|im_end|>', '\n')),
        special=('<|im_start|>', '<|im_end|>'),
    ),
    'phi2': Format(
        before={'user': ('Instruct: ',), 'assistant': ('Output:',)},
        after={'user': ('\n',), 'assistant': (END_OF_TEXT,)},
        lead=' ',
        stops=('\nInstruct:',),
        single=True,
    ),
    'phi1_5': Format(
        before={'user': (), 'assistant': ('Answer:',)},
        after={'user': ('\n\n',), 'assistant': (END_OF_TEXT,)},
        lead=' ',
        stops=('\nAnswer:',),
        single=True,
    ),
    'code': Format(
        before={'user': (), 'assistant': ()},
        after={'user': ('\n',), 'assistant': (END_OF_TEXT,)},
        stops=('\ndef ', '\nclass '),
        single=True,
    ),
}


def encode(name: str, messages: Sequence[Message], tokenizer: Tokenizer) -> Encoded:
    """The ids of a conversation, and for each whether the loss counts it.

    Counted are the words of the assistant and the token that ends its turn.

    Args:
        name: of one of `FORMATS`, here and below.

    Raises:
        InputError: the format or a role is unknown, a message is not whole, or the tokenizer lacks
            special tokens of the format.
    """
    return encode_all(name, [messages], tokenizer)[0]


def encode_all(
    name: str,
    conversations: Sequence[Sequence[Message]],
    tokenizer: Tokenizer,
    *,
    last_only: bool = False,
) -> list[Encoded]:
    """The ids of each conversation, as of `encode`, computed in parallel.

    Args:
        last_only: only the last turn counts, not what the assistant said before.

    Raises:
        InputError: as `encode`.
    """
    written = []
    for messages in conversations:
        check(name, messages)
        first = len(messages) - 1 if last_only else 0
        written.append(list(_pieces(FORMATS[name], messages, first)))
    return _encode(name, written, tokenizer)


def generation_prompt(name: str, messages: Sequence[Message], tokenizer: Tokenizer) -> list[int]:
    """The ids after which the assistant answers: what `encode` gives before its words.

    Raises:
        InputError: as `encode`.
    """
    check(name, messages)
    chosen = FORMATS[name]
    pieces = [*_pieces(chosen, messages, 0), *_unlearned(chosen, chosen.before['assistant'])]
    return _encode(name, [pieces], tokenizer)[0].ids


def ends(name: str, tokenizer: Tokenizer) -> tuple[int, ...]:
    """The ids that end the assistant's turn: the format's own first, then the end of text.

    Raises:
        InputError: the format is unknown, or the tokenizer lacks special tokens of it.
    """
    known = specials(name, tokenizer)
    own = known[FORMATS[name].after['assistant'][0]]
    return tuple(dict.fromkeys((own, tokenizer.end_of_text)))


def stop_strings(name: str) -> tuple[str, ...]:
    """Texts that end an answer of a model that was not trained to end its turns.

    Raises:
        InputError: the format is unknown.
    """
    check_format(name)
    return FORMATS[name].stops


def specials(name: str, tokenizer: Tokenizer) -> dict[str, int]:
    """The ids of the special tokens of a format, and of the end of text.

    Raises:
        InputError: the format is unknown, or the tokenizer lacks some of them.
    """
    check_format(name)
    found = {token: tokenizer.special(token) for token in FORMATS[name].special}
    lacking = [token for token, number in found.items() if number is None]
    if lacking:
        raise InputError(
            f'The tokenizer has no special token {", ".join(lacking)}, which the format {name} '
            f'needs; of {len(found)} it has {len(found) - len(lacking)}.'
        )
    whole = {token: number for token, number in found.items() if number is not None}
    return whole | {END_OF_TEXT: tokenizer.end_of_text}


def check_format(name: str) -> None:
    """Returns when there is such a format.

    Raises:
        InputError: there is none; the message names those there are.
    """
    if name not in FORMATS:
        raise InputError(f'format is {name!r}; it must be one of {", ".join(FORMATS)}.')


def check(name: str, messages: Any) -> None:
    """Returns when the messages are whole and the format has their roles.

    Raises:
        InputError: they are not; the message counts from 1.
    """
    check_format(name)
    if not isinstance(messages, Sequence) or isinstance(messages, str) or not messages:
        raise InputError(f'messages must be a list of one or more, got {messages!r:.60}')
    for number, message in enumerate(messages, 1):
        _check_message(FORMATS[name], message, f'message {number}')
    _check_order(name, [message['role'] for message in messages])


def _check_order(name: str, roles: list[str]) -> None:
    if FORMATS[name].single and roles not in (['user'], ['user', 'assistant']):
        raise InputError(
            f'the format {name} has one user and one assistant, got {", ".join(roles)}'
        )
    if 'system' in roles[1:]:
        raise InputError(f'message {roles.index("system", 1) + 1} is of the system, not the first')


def _check_message(chosen: Format, message: Any, where: str) -> None:
    if not isinstance(message, Mapping):
        raise InputError(f'{where} must have role and content, got {message!r:.60}')
    for field in ('role', 'content'):
        if field not in message:
            raise InputError(f'{where} has no {field}; it has {", ".join(message) or "nothing"}')
    role, content = message['role'], message['content']
    if role not in tuple(chosen.before):
        raise InputError(f'{where} has role {role!r}; it must be one of {", ".join(chosen.before)}')
    if not isinstance(content, str) or not (content.strip() or role == 'system'):
        raise InputError(f'{where} of {role} must have a text as content, got {content!r:.60}')


def _pieces(chosen: Format, messages: Sequence[Message], first: int) -> Iterator[_Piece]:
    """What is written, with the assistant's part counted from message `first`."""
    for number, message in enumerate(messages):
        role, content = message['role'], message['content']
        if not content.strip():
            continue
        before, after = chosen.before[role], chosen.after[role]
        yield from _unlearned(chosen, before)
        if role != 'assistant' or number < first:
            lead = chosen.lead if role == 'assistant' else ''
            yield _Piece(lead + content, special=False, learned=False)
            yield from _unlearned(chosen, after)
        else:
            yield _Piece(chosen.lead + content, special=False, learned=True)
            yield _Piece(after[0], special=True, learned=True)
            yield from _unlearned(chosen, after[1:])


def _unlearned(chosen: Format, texts: Sequence[str]) -> Iterator[_Piece]:
    for text in texts:
        yield _Piece(text, special=text in (*chosen.special, END_OF_TEXT), learned=False)


def _encode(name: str, written: Sequence[Sequence[_Piece]], tokenizer: Tokenizer) -> list[Encoded]:
    known = specials(name, tokenizer)
    joined = [_joined(pieces) for pieces in written]
    texts = [each.whole for pieces in joined for each in pieces if not each.piece.special]
    plain = iter(tokenizer.encode_batch(texts))
    return [_assembled(pieces, plain, known, tokenizer) for pieces in joined]


def _assembled(
    pieces: Sequence[_Joined], plain: Iterator[list[int]], known: dict[str, int], codec: Tokenizer
) -> Encoded:
    """The ids of a conversation, whose texts are the next ones of `plain`."""
    encoded = Encoded([], [])
    head: list[int] = []
    for piece, whole in pieces:
        own = [known[piece.text]] if piece.special else next(plain)
        if whole != piece.text:
            own = _after(head, own) or codec.encode(piece.text)
        head = own
        encoded.ids.extend(own)
        encoded.learned.extend([piece.learned] * len(own))
    return encoded


def _joined(pieces: Sequence[_Piece]) -> list[_Joined]:
    """Neighbouring texts as one where both are learned or neither is.

    A text after another is seen with it: a word has another token after a line end than alone.
    """
    joined: list[_Joined] = []
    for piece in pieces:
        before = joined[-1].piece if joined else piece._replace(special=True)
        if piece.special or before.special:
            joined.append(_Joined(piece, piece.text))
        elif piece.learned == before.learned:
            text = before.text + piece.text
            joined[-1] = _Joined(piece._replace(text=text), text)
        else:
            joined.append(_Joined(piece, before.text + piece.text))
    return joined


def _after(head: list[int], whole: list[int]) -> list[int]:
    """The ids after those of the head; none where a token goes over its end."""
    return whole[len(head) :] if whole[: len(head)] == head else []
