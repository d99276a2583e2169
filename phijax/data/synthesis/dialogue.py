"""Dialogue: conversations to learn from, and pairs of answers of which one is preferred.

A document's text is a record of `phijax.data.tokenize.chats` in JSON: its `chat` and `preference`
sources read the files of lines that the stages write. The rejected answer of a pair is the chosen
one rewritten by the teacher with a flaw, which is a factor.
Source: arXiv:2404.14219, sec. 2 (chat data for supervised fine-tuning, pairs for DPO). How they
were made is not published; all of this is our own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from phijax.data.client import Answer
from phijax.data.document import Document
from phijax.data.synthesis import checks, prompts
from phijax.data.synthesis.asking import Problem, Prompt
from phijax.data.synthesis.factors import Sampler
from phijax.data.synthesis.texts import Genre
from phijax.data.tokenize import chats
from phijax.errors import InputError

FORMAT = 'phi3'
# Our choice: six turns of about 200 words.
MAX_TOKENS = 2000
# A rewritten answer that shares so many runs of five words with the first has no flaw to see.
MOST_ALIKE = 0.95

_TURN = {
    'type': 'object',
    'properties': {
        'role': {'type': 'string', 'enum': ['user', 'assistant']},
        'content': {'type': 'string', 'minLength': 1},
    },
    'required': ['role', 'content'],
}
SCHEMA: Mapping[str, Any] = {
    'type': 'object',
    'properties': {
        'messages': {'type': 'array', 'items': _TURN, 'minItems': 2, 'maxItems': 20},
    },
    'required': ['messages'],
}


def text(answer: Answer) -> str:
    """The record of an answer, in JSON; what it wrote, where it wrote no JSON of the schema."""
    if answer.value is None:
        return answer.text.strip()
    turns = [{name: turn[name] for name in _TURN['required']} for turn in answer.value['messages']]
    return json.dumps({'messages': turns}, ensure_ascii=False)


def check(record: str) -> str:
    """What is wrong with a record, in words for its author; '' if nothing is."""
    try:
        turns = chats.conversation(FORMAT, json.loads(record))['messages']
    except InputError as error:
        return str(error)
    except ValueError:
        return 'it was not JSON'
    roles = [turn['role'] for turn in turns]
    in_turn = roles == ['user', 'assistant'] * (len(roles) // 2)
    return '' if in_turn else 'the two did not speak in turn, the user first'


def said(record: str) -> str:
    """What the people of a conversation say; of a text that is no record, all of it."""
    if not record.startswith('{"messages": '):
        return record
    return '\n'.join(turn['content'] for turn in json.loads(record)['messages'])


DIALOGUE = Genre(
    'dialogue',
    ('topic',),
    most_repeated=0.5,
    check=check,
    schema=SCHEMA,
    max_tokens=MAX_TOKENS,
    text=text,
    said=said,
)


class Flawed:
    """Rewritten last answers of conversations; a `Kind` of `asking`."""

    def __init__(self, conversations: Iterable[Document], seed: int = 0) -> None:
        """Of documents whose texts are records with messages."""
        self._records = {each.id: json.loads(each.text)['messages'] for each in conversations}
        self._template = prompts.load('pairs')['flawed']
        self._flaws = prompts.load_levels('pairs')['flaw']
        self.sampler = Sampler(
            {'conversation': list(self._records), 'flaw': list(self._flaws)}, seed
        )

    def prompt(self, index: int, factors: Mapping[str, str]) -> Prompt:
        """The request for a flaw in the last answer of a conversation."""
        *before, last = self._records[factors['conversation']]
        values = {
            'flaw': self._flaws[factors['flaw']],
            'conversation': '\n\n'.join(f'{turn["role"]}: {turn["content"]}' for turn in before),
            'answer': last['content'],
        }
        template = self._template
        return Prompt(
            index,
            factors,
            template.name,
            template.digest,
            template.render(values),
            MAX_TOKENS,
            seeds=(factors['conversation'],),
        )

    def text(self, _: Prompt, answer: Answer, /) -> str:
        """The rejected answer; `pair` makes the record of it."""
        return answer.text.strip()

    def check(self, prompt: Prompt, text: str) -> Problem | None:
        """Whether there is no pair in it: the same as before, or a refusal."""
        chosen = self._records[prompt.factors['conversation']][-1]['content']
        if checks.alike(text, chosen) > MOST_ALIKE:
            return Problem('unchanged', 'it was the answer as it had been')
        if not text or checks.is_refusal(text):
            return Problem('refused', 'it was a refusal')
        return None

    def said(self, text: str) -> str:
        """All of it."""
        return text

    def pair(self, prompt: Prompt, rejected: str) -> dict[str, Any]:
        """The record of a pair."""
        *before, last = self._records[prompt.factors['conversation']]
        return {'messages': before, 'chosen': last['content'], 'rejected': rejected}


def lines(records: Sequence[Mapping[str, Any]]) -> str:
    """Records as a file of lines."""
    return ''.join(json.dumps(record, ensure_ascii=False) + '\n' for record in records)
