"""What goes wrong with data for reasons that a user can put right."""

from phijax.errors import InputError


class MissingDataError(InputError, FileNotFoundError):
    """Data that is not there; the message says how to make it, or what was looked for."""
