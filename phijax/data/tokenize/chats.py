"""Conversations and preferences as documents, and those documents as tokens that are learned.

A document's text is one record in JSON: `messages`, and for a preference `chosen` and `rejected`,
two answers to them. Unlike other sources these raise where a record is wrong: a line that was
meant to be learned is worth mending.
"""

from __future__ import annotations

import ast
import inspect
import json
import sysconfig
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from phijax.data import chat, document
from phijax.data.chat import Message
from phijax.data.document import Document, Dropped
from phijax.data.tokenize.sources import Found, library_files, matching
from phijax.data.tokenizer import Tokenizer
from phijax.errors import InputError

Record = dict[str, Any]


@dataclass(frozen=True)
class Chats:
    """Conversations from .jsonl files: `{"messages": [{"role": …, "content": …}, …]}` a line.

    Attributes:
        paths: glob patterns; `**` crosses directories.
        format: the name of a format of `phijax.data.chat`.
        max_bytes: reading ends with the document that reaches this; 0 is no bound.
    """

    kind: ClassVar[str] = 'chat'
    form: ClassVar[str] = 'chat'
    paths: tuple[str, ...]
    format: str = 'phi3'
    max_bytes: int = 0

    def __post_init__(self) -> None:
        """Checks the format.

        Raises:
            InputError: there is no such format.
        """
        chat.check_format(self.format)

    def read(self, name: str) -> Found:
        """The conversations in the order of the sorted paths.

        Raises:
            MissingDataError: if no file matches.
            InputError: if a record is wrong, with its file and line.
        """
        return _read(self.paths, name, lambda record: conversation(self.format, record))


@dataclass(frozen=True)
class Preferences(Chats):
    """Two answers to the same messages, from .jsonl files, of which the first is preferred.

    A line is `{"messages": […], "chosen": "…", "rejected": "…"}`; `"prompt": "…"` stands for
    messages with one of the user.
    """

    kind: ClassVar[str] = 'preference'
    form: ClassVar[str] = 'preference'

    def read(self, name: str) -> Found:
        """The pairs in the order of the sorted paths.

        Raises:
            MissingDataError: if no file matches.
            InputError: if a record is wrong, with its file and line.
        """
        return _read(self.paths, name, lambda record: preference(self.format, record))


@dataclass(frozen=True)
class LibraryChats:
    """Questions about the functions of the standard library, answered by their docstrings.

    Attributes:
        format: the name of a format of `phijax.data.chat`.
        max_bytes: reading ends with the document that reaches this; 0 is no bound.
    """

    kind: ClassVar[str] = 'stdlib_chat'
    form: ClassVar[str] = 'chat'
    format: str = 'phi3'
    max_bytes: int = 0

    def __post_init__(self) -> None:
        """Checks the format.

        Raises:
            InputError: there is no such format.
        """
        chat.check_format(self.format)

    def read(self, name: str) -> Found:
        """One conversation for each public function that has a docstring."""
        for function in _functions():
            reply = {'role': 'assistant', 'content': function.answer}
            yield _make({'messages': [*function.messages, reply]}, name, function.path)


@dataclass(frozen=True)
class LibraryPreferences(LibraryChats):
    """The same questions, with the function's own code as the answer to reject.

    Words are preferred to code: a preference that a small model can learn in a minute.
    """

    kind: ClassVar[str] = 'stdlib_preference'
    form: ClassVar[str] = 'preference'

    def read(self, name: str) -> Found:
        """One pair for each public function that has a docstring and code."""
        for function in _functions():
            if function.code:
                record = {'messages': function.messages, 'chosen': function.answer}
                yield _make(record | {'rejected': function.code}, name, function.path)


ChatSource = Chats | LibraryChats


class Learned(NamedTuple):
    """Tokens of a document, which of them are learned, and what they are made from.

    Attributes:
        num_bytes, learned_bytes: of the text, and of what of it is learned.
        path: where the document is from.
    """

    ids: list[int]
    learned: list[bool]
    num_bytes: int
    learned_bytes: int
    path: str

    @property
    def prompt(self) -> int:
        """How many tokens come before the first that is learned."""
        return self.learned.index(True)


def conversation(chat_format: str, record: Record) -> Record:
    """The messages of a record, checked: the last is the assistant's.

    Raises:
        InputError: the record is not one of the format.
    """
    messages = _messages(chat_format, _field(record, 'messages'))
    if messages[-1]['role'] != 'assistant':
        raise InputError(f'the last message is of {messages[-1]["role"]}, not of the assistant')
    return {'messages': messages}


def preference(chat_format: str, record: Record) -> Record:
    """The messages of a record and the two answers to them, checked.

    Raises:
        InputError: the record is not one of the format, or the answers are the same.
    """
    if 'prompt' in record and 'messages' not in record:
        record = record | {'messages': [{'role': 'user', 'content': record['prompt']}]}
    messages = _messages(chat_format, _field(record, 'messages'))
    if messages[-1]['role'] != 'user':
        raise InputError(f'the last message is of {messages[-1]["role"]}, not of the user')
    chosen, rejected = (_answer(record, name) for name in ('chosen', 'rejected'))
    if chosen == rejected:
        raise InputError('chosen and rejected are the same')
    return {'messages': messages, 'chosen': chosen, 'rejected': rejected}


def text_of(sources: Mapping[str, Any]) -> Callable[[Document], str]:
    """What gives the text of a document of these sources: of a record, what is said in it."""

    def text(each: Document) -> str:
        if sources[each.source].form == 'text':
            return each.text
        said = (message['content'] for talk in _conversations(each) for message in talk)
        return '\n'.join(dict.fromkeys(said))

    return text


def encode(
    source: ChatSource, documents: Sequence[Document], tokenizer: Tokenizer
) -> list[Learned]:
    """The tokens of each document, and of each pair those of the chosen and of the rejected answer.

    All end with the end of text; of a pair only the two answers are learned.

    Raises:
        InputError: the tokenizer lacks special tokens of the source's format.
    """
    talks = _talks(documents)
    pairs = source.form == 'preference'
    encoded = chat.encode_all(
        source.format, [talk for talk, _ in talks], tokenizer, last_only=pairs
    )
    found = []
    for (talk, path), (ids, learned) in zip(talks, encoded, strict=True):
        if ids[-1] != tokenizer.end_of_text:
            ids.append(tokenizer.end_of_text)
            learned.append(False)
        size = _num_bytes(talk[-1:] if pairs else talk, 'assistant')
        found.append(Learned(ids, learned, _num_bytes(talk, *chat.ROLES), size, path))
    return found


def _talks(documents: Sequence[Document]) -> list[tuple[list[Message], str]]:
    """All conversations, each with where it is from."""
    return [(talk, each.path) for each in documents for talk in _conversations(each)]


def _conversations(each: Document) -> list[list[Message]]:
    record = json.loads(each.text)
    if 'chosen' not in record:
        return [record['messages']]
    answers = [{'role': 'assistant', 'content': record[name]} for name in ('chosen', 'rejected')]
    return [[*record['messages'], answer] for answer in answers]


def _num_bytes(messages: Sequence[Message], *roles: str) -> int:
    return sum(len(m['content'].encode()) for m in messages if m['role'] in roles)


def _messages(chat_format: str, messages: Any) -> list[Message]:
    chat.check(chat_format, messages)
    return [{'role': message['role'], 'content': message['content']} for message in messages]


def _answer(record: Record, name: str) -> str:
    answer = _field(record, name)
    if not isinstance(answer, str) or not answer.strip():
        raise InputError(f'{name} must be a text that says something, got {answer!r:.60}')
    return answer


def _field(record: Record, name: str) -> Any:
    if name not in record:
        raise InputError(f'there is no {name}; the record has {", ".join(record) or "nothing"}')
    return record[name]


def _read(paths: Sequence[str], name: str, checked: Callable[[Record], Record]) -> Found:
    for path in matching(paths, name):
        with open(path, 'rb') as lines:
            for number, line in enumerate(lines, 1):
                where = f'{path}:{number}'
                if not line.strip():
                    yield Dropped('empty', where)
                    continue
                try:
                    record = checked(_parse(line))
                except InputError as error:
                    raise InputError(f'{where}: {error}') from error
                yield _make(record, name, where)


def _parse(line: bytes) -> Record:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:  # not JSON, or not UTF-8
        raise InputError(f'not a line of JSON: {error}') from error
    if not isinstance(record, dict):
        raise InputError(f'a record must be an object with named fields, got {record!r:.60}')
    return record


def _make(record: Mapping[str, Any], name: str, path: str) -> Document | Dropped:
    return document.make(json.dumps(record, ensure_ascii=False), name, path)


class _Function(NamedTuple):
    messages: list[Message]
    answer: str
    code: str
    path: str


def _functions() -> Iterator[_Function]:
    """The public functions and methods with a docstring, in the order of the library's files."""
    for relative in library_files():
        for name, node in _named(*_module(relative)):
            answer = inspect.cleandoc(ast.get_docstring(node) or '').split('\n\n')[0]
            if answer:
                question = {'role': 'user', 'content': f'What does {name} do?'}
                code = _beginning(node.body[1:], len(answer))
                yield _Function([question], answer, code, f'{relative}:{node.lineno}')


def _module(relative: Path) -> tuple[Sequence[ast.stmt], str]:
    """The statements of a file of the library and its name as a module; none of a private one."""
    module = '.'.join(relative.with_suffix('').parts).removesuffix('.__init__')
    if '._' in f'.{module}':
        return (), module
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # the library's own escapes
        tree = ast.parse((Path(sysconfig.get_paths()['stdlib']) / relative).read_bytes())
    return tree.body, module


def _beginning(body: Sequence[ast.stmt], size: int) -> str:
    """The first lines of code, of about so many characters."""
    kept = ''
    for line in ast.unparse(ast.Module(list(body), [])).splitlines():
        if len(kept) >= size:
            break
        kept += f'{line}\n'
    return kept.rstrip()


def _named(
    body: Sequence[ast.stmt], prefix: str
) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if node.name.startswith('_'):
                continue
            if isinstance(node, ast.ClassDef):
                yield from _named(node.body, f'{prefix}.{node.name}')
            else:
                yield f'{prefix}.{node.name}', node
