"""Stop strings: where a text is over, and how much of one that still grows can be shown."""

from collections.abc import Sequence

from phijax.errors import InputError

_UNKNOWN = '\ufffd'


def cut(text: str, stops: Sequence[str]) -> str:
    """`text` before the stop that is complete first; all of it if it has none.

    So what comes after a stop never changes where the text ends.
    """
    found = [(text.find(stop) + len(stop), -len(stop)) for stop in stops if stop in text]
    end, length = min(found, default=(len(text), 0))
    return text[: end + length]


def settled(text: str, stops: Sequence[str]) -> str:
    """The start of `text` that no later token changes or cuts away.

    A character whose last bytes are still to come is left out, and the beginning of a stop.
    """
    whole = cut(text, stops)
    if whole != text:
        return whole
    text = text.rstrip(_UNKNOWN)
    begun = [
        length for stop in stops for length in range(1, len(stop)) if text.endswith(stop[:length])
    ]
    return text[: len(text) - max(begun, default=0)]


def check(stops: Sequence[str]) -> None:
    """Returns when each of `stops` can end a text.

    Raises:
        InputError: one is empty.
    """
    if '' in stops:
        raise InputError('stop must not be empty: every text begins with an empty one')
