"""The one kind of error that a command answers with a message instead of a traceback."""


class InputError(ValueError):
    """Something that the user can mend: the message names the value met and those allowed."""
