"""What goes wrong with checkpoints."""

from phijax.errors import InputError


class CheckpointError(InputError):
    """A checkpoint that cannot be used; the message names the files or leaves, and why."""


class DamageError(CheckpointError):
    """A manifest that is missing or is not what was written."""


class WorkdirLocked(CheckpointError):
    """Another process writes to the workdir."""


class SaveFailed(OSError):
    """The latest save did not reach the disk; the checkpoints before it are untouched."""
