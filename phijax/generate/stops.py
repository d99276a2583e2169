"""Stop strings: where a text is over, and how much of one that still grows can be shown."""

from collections.abc import Sequence

_UNKNOWN = '\ufffd'


def cut(text: str, stops: Sequence[str]) -> str:
    """`text` before the first of `stops` that it has; all of it if it has none."""
    found = [place for place in map(text.find, stops) if place >= 0]
    return text[: min(found, default=len(text))]


def settled(text: str, stops: Sequence[str]) -> str:
    """The start of `text` that no later token changes or cuts away.

    A character whose last bytes are still to come is left out, and the beginning of a stop.
    """
    text = cut(text, stops).rstrip(_UNKNOWN)
    begun = [
        length for stop in stops for length in range(1, len(stop)) if text.endswith(stop[:length])
    ]
    return text[: len(text) - max(begun, default=0)]
