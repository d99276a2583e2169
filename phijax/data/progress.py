"""Progress of long work on the standard error: bars with rates and the time left.

Without a terminal there is a line when a piece of work ends, so that a log stays short. The only
module that imports rich.
"""

from __future__ import annotations

import contextlib
import contextvars
import sys
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

# The bars that are on the screen: work within work has a line below.
_shown: contextvars.ContextVar[Progress | None] = contextvars.ContextVar('shown', default=None)


@contextlib.contextmanager
def bar(name: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
    """Shows a bar of `total` units; what is yielded is told how many more are done."""
    start, done = time.monotonic(), 0
    with _screen() as progress:
        task = progress.add_task(name, total=total, rate='')

        def advance(more: int) -> None:
            nonlocal done
            done += more
            rate = done / max(time.monotonic() - start, 1e-6)
            progress.update(task, completed=done, rate=f'{unit}, {rate:,.1f}/s')

        yield advance
    if progress.disable:
        seconds = time.monotonic() - start
        print(f'{name}: {done:,} of {total:,} {unit} in {seconds:,.1f} s', file=sys.stderr)


@contextlib.contextmanager
def _screen() -> Iterator[Progress]:
    """The bars that are there, or new ones that end with the context."""
    there = _shown.get()
    if there is not None:
        yield there
        return
    console = Console(stderr=True, soft_wrap=True)
    columns = (
        TextColumn('{task.description:>13}'),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn('{task.fields[rate]}'),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        token = _shown.set(progress)
        try:
            yield progress
        finally:
            _shown.reset(token)
