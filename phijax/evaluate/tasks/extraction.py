"""What is taken out of a written answer: the last number, or the program."""

import ast
import re
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from decimal import Decimal

# Source: the stops of HumanEval (arXiv:2107.03374, sec. 2.1), as lm-evaluation-harness has them.
STOPS = ('\nclass', '\ndef', '\n#', '\nif', '\nprint')

# Digits with or without commas between thousands. A minus is a sign where nothing is before it to
# subtract from.
_NUMBER = re.compile(
    r'(?P<minus>(?<![\w.)\]])[-\u2212])?\$?(?P<minus_inside>(?<=\$)[-\u2212])?'
    r'(?P<digits>[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+)?|(?<![0-9])\.[0-9]+)'
)
_FENCED = re.compile(
    r'^(?P<margin>[ \t]*)(?P<fence>`{3,}|~{3,})[ \t]*(?P<language>[\w+.-]*)[^\n`]*\n'
    r'(?P<text>.*?)(?:^[ \t]*(?P=fence)|\Z)',
    re.DOTALL | re.MULTILINE,
)
_PYTHON = frozenset({'', 'py', 'python', 'python3'})
_DEFINITION = re.compile(r'^(?:async +def|def|class) ', re.MULTILINE)
_BEGINNING = re.compile(
    r'^(?:async +def |def |class |import |from +\S+ +import |@\w)', re.MULTILINE
)


def last_number(text: str) -> Decimal | None:
    """The last number in a text; None where there is none.

    `$`, commas between thousands, and a full stop that ends the sentence are not of it.
    Source: arXiv:2405.00332, which takes the last number of an answer to GSM8K too.
    """
    found = list(_NUMBER.finditer(text))
    if not found:
        return None
    last = found[-1]
    value = Decimal(last['digits'].replace(',', ''))
    return -value if last['minus'] or last['minus_inside'] else value


def completed(context: str, text: str) -> str | None:
    """The program that goes on from a context; None where nothing was written."""
    return context + text if text.strip() else None


def program(answer: str, name: str, prompt: str = '') -> str | None:
    """The program in the answer of a chat model; None where there is none.

    It is the first block of Python that defines `name`, else the first one. An answer without
    blocks is one from its first definition or import on, as far as it is Python. What the prompt
    has before its function, imports and other functions, goes in front; a block that only has the
    function's body goes behind the whole prompt.

    Args:
        name: the function that was asked for.
        prompt: the beginning of the program that was asked for, which ends in that function's
            docstring; empty where there was none.
    """
    answer = answer.replace('\r\n', '\n')
    blocks = list(_blocks(answer))
    return _from_blocks(blocks, name, prompt) if blocks else _from_words(answer, name, prompt)


def _from_blocks(blocks: Sequence[str], name: str, prompt: str) -> str:
    block = next((block for block in blocks if _defines(block, name)), blocks[0])
    if _DEFINITION.search(block):
        return preamble(prompt, name) + block
    return prompt + _as_body(block) if prompt else block


def _from_words(answer: str, name: str, prompt: str) -> str | None:
    start = _BEGINNING.search(answer)
    if start:
        return preamble(prompt, name) + _longest_program(answer[start.start() :])
    return prompt + answer if prompt and answer.startswith((' ', '\n ')) else None


def preamble(prompt: str, name: str) -> str:
    """What a prompt has before the function of that name."""
    return prompt[: prompt.find(f'def {name}(')] if f'def {name}(' in prompt else ''


def _blocks(answer: str) -> Iterator[str]:
    """The texts of the blocks of Python, or of no stated language, that are not empty."""
    for match in _FENCED.finditer(answer):
        if match['language'].lower() in _PYTHON and match['text'].strip():
            yield textwrap.dedent(match['text']) if match['margin'] else match['text']


def _defines(text: str, name: str) -> bool:
    return bool(re.search(rf'^(?:(?:async +)?def|class) +{re.escape(name)}\b', text, re.MULTILINE))


def _as_body(block: str) -> str:
    """A block without definitions, as the body of a function."""
    first = block.lstrip('\n')
    return first if first.startswith((' ', '\t')) else textwrap.indent(first, '    ')


def _longest_program(text: str) -> str:
    """As many paragraphs as are Python together; all of it where none is."""
    paragraphs = text.split('\n\n')
    for count in range(len(paragraphs), 0, -1):
        beginning = '\n\n'.join(paragraphs[:count])
        if _is_python(beginning):
            return beginning
    return text


def _is_python(text: str) -> bool:
    try:
        with warnings.catch_warnings(action='ignore'):
            ast.parse(text)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False
    return True
