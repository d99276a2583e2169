"""Completes a prompt: `python -m phijax.generate --checkpoint=runs/quickstart --prompt='def '`.

The standard output has the completion and nothing else.
"""

from absl import flags

from phijax import command, generate
from phijax.errors import InputError

_CHECKPOINT = flags.DEFINE_string(
    'checkpoint', None, 'A workdir, a Hugging Face directory or a GGUF file.'
)
_PROMPT = flags.DEFINE_string('prompt', None, 'The text to go on from; empty for a new document.')
_MAX_NEW_TOKENS = flags.DEFINE_integer('max_new_tokens', 128, 'Most tokens to write.')
_TEMPERATURE = flags.DEFINE_float('temperature', 0.0, '0 takes the likeliest token each time.')
_TOP_P = flags.DEFINE_float('top_p', 1.0, 'Draw from the fewest tokens that reach this sum.')
_SEED = flags.DEFINE_integer('seed', 0, 'Number of the random draw.')


def main() -> None:
    """Prints the completion that the flags ask for."""
    if _CHECKPOINT.value is None or _PROMPT.value is None:
        raise InputError('--checkpoint=PATH and --prompt=TEXT are both needed')
    [completion] = generate.complete_with(
        _CHECKPOINT.value,
        [_PROMPT.value],
        max_new_tokens=_MAX_NEW_TOKENS.value,
        temperature=_TEMPERATURE.value,
        top_p=_TOP_P.value,
        seed=_SEED.value,
    )
    print(completion)


if __name__ == '__main__':
    command.main(main)
