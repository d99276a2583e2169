"""Textbooks: prose with programs for code, and prose for general knowledge.

Source: arXiv:2306.11644, sec. 2.2 (code: topic and audience are varied; prose is interleaved with
relevant code snippets); arXiv:2309.05463, sec. 2.2 (general knowledge). The prompts are not
published: wording, forms and factors are our own.
"""

from __future__ import annotations

import ast
import re
import warnings

from phijax.data.synthesis.texts import Genre

_FENCE = re.compile(r'^ {0,3}```', re.MULTILINE)
_PROGRAM = re.compile(r'^ {0,3}```(?:python|py)[ \t]*\n(.*?)^ {0,3}```', re.DOTALL | re.MULTILINE)


def programs(text: str) -> list[str]:
    """The blocks of Python in a text, in their order."""
    return _PROGRAM.findall(text)


def check_programs(text: str) -> str:
    """What is wrong with the programs of a text, in words for its author; '' if nothing is.

    A session with `>>>` is no program, and is left as it is.
    """
    if len(_FENCE.findall(text)) % 2:
        return 'a block of code was not closed'
    found = programs(text)
    if not found:
        return 'it had no ```python block'
    for number, program in enumerate(found, 1):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter('ignore')
                ast.parse('' if program.lstrip().startswith('>>>') else program)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            return f'the program in block {number} is no Python ({type(error).__name__})'
    return ''


# A project is shown whole after each of its stages, so programs repeat themselves.
CODE = Genre('code', ('topic', 'both'), most_repeated=0.7, check=check_programs)
KNOWLEDGE = Genre('knowledge', ('topic', 'extract'), most_repeated=0.4)
