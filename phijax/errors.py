"""The one kind of error that a command answers with a message instead of a traceback."""

import difflib
from collections.abc import Collection, Mapping
from typing import Any


class InputError(ValueError):
    """Something that the user can mend: the message names the value met and those allowed.

    Attributes:
        exit_code: what a command that stops with it exits with.
    """

    exit_code = 2


def check_keys(prefix: str, fields: Mapping[str, Any], known: Collection[str]) -> None:
    """Returns when `fields` has every known key and no other.

    Args:
        prefix: what stands before a key in the message, such as `optimizer.`.

    Raises:
        InputError: a key is unknown, with the nearest one, or some are missing.
    """
    for key in fields:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f' (did you mean {prefix}{near[0]}?)' if near else ''
            raise InputError(f'unknown key {prefix}{key}{hint}; known: {", ".join(known)}')
    missing = [prefix + key for key in known if key not in fields]
    if missing:
        raise InputError(f'the config lacks {", ".join(missing)}')
