"""Progress of long work on the standard error: bars with rates and the time left.

Without a terminal there is a line when a piece of work ends, so that a log stays short. The only
module that imports rich.
"""

from __future__ import annotations

import contextlib
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


@contextlib.contextmanager
def bar(name: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
    """Shows a bar of `total` units; what is yielded is told how many more are done.

    Whatever the body raises goes on, after the bar is closed.
    """
    console = Console(stderr=True, soft_wrap=True)
    start, done = time.monotonic(), 0
    columns = (
        TextColumn('{task.description:>13}'),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(f'{unit}, {{task.fields[rate]}}'),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(name, total=total, rate='')

        def advance(more: int) -> None:
            nonlocal done
            done += more
            rate = f'{done / max(time.monotonic() - start, 1e-6):,.1f}/s'
            progress.update(task, completed=done, rate=rate)

        yield advance
    if not console.is_terminal:
        seconds = time.monotonic() - start
        print(f'{name}: {done:,} of {total:,} {unit} in {seconds:,.1f} s', file=sys.stderr)
