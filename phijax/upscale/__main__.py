"""Grows a model: `python -m phijax.upscale --config=configs/upscale/… --source=… --target=…`."""

from absl import flags

from phijax import command, upscale
from phijax.errors import InputError

_CONFIG = command.define_config()
_SOURCE = flags.DEFINE_string('source', '', 'A workdir, a checkpoint in it, or a Hugging Face one.')
_TARGET = flags.DEFINE_string('target', '', 'The workdir to make.')


def main() -> None:
    """Prints what came of it."""
    plan = upscale.from_dict(command.plain(_CONFIG.value))
    if not _SOURCE.value or not _TARGET.value:
        raise InputError('--source=CHECKPOINT and --target=WORKDIR are both needed')
    try:
        summary = upscale.run(plan, _SOURCE.value, _TARGET.value)
    except (OSError, ValueError) as error:
        raise InputError(str(error)) from error
    print(summary)


if __name__ == '__main__':
    command.main(main)
