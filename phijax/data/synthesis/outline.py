"""Outlines: trees in plain text, an entry a line, two spaces deeper for each level.

Topics and the levels of factors are written so, because people write and read them:

    Algorithms            # the rest of a line after two spaces and a # is a remark
      Sorting
      Searching
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from phijax.errors import InputError

INDENT = 2
_REMARK = re.compile(r'(?:^|  +)#.*')


class Entry(NamedTuple):
    """A line of an outline: the names on the way to it, its own last, and its number from 1."""

    path: tuple[str, ...]
    line: int


def parse(text: str, name: str) -> list[Entry]:
    """The entries in their order; each comes after the one that it stands in.

    Args:
        name: of the file, for messages.

    Raises:
        InputError: if a line is indented in another way; with its number.
    """
    return list(_entries(text, name))


def _entries(text: str, name: str) -> Iterator[Entry]:
    path: tuple[str, ...] = ()
    for number, written in enumerate(text.splitlines(), 1):
        line = _REMARK.sub('', written).rstrip()
        if not line:
            continue
        depth, rest = divmod(len(line) - len(line.lstrip(' ')), INDENT)
        if rest or depth > len(path) or '\t' in line:
            raise InputError(
                f'{name}, line {number}: {line.strip()!r} must be indented by {INDENT} spaces for '
                f'each level, and at most {INDENT} more than the line before it.'
            )
        path = (*path[:depth], line.strip())
        yield Entry(path, number)
