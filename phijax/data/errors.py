"""What goes wrong with data for reasons that a user can put right."""

from phijax.errors import InputError


class MissingDataError(InputError, FileNotFoundError):
    """Data that is not there; the message says how to make it, or what was looked for."""


class QualityError(InputError):
    """Too much of what came back cannot be used: going on would spend for nothing."""

    exit_code = 3


class BudgetError(InputError):
    """The budget is spent; with a larger one, the same command goes on where it was."""

    exit_code = 4


class UnavailableError(InputError):
    """An endpoint does not answer; later, the same command goes on where it was."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h: try again
