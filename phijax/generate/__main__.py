"""Completes prompts: `python -m phijax.generate --checkpoint=runs/quickstart --prompt='def '`.

The standard output has the completion and nothing else. Several, of `--prompts_file` or
`--num_samples`, are a line of JSON each: `{"prompt": "…", "completion": "…"}`.

With `--chat` the lines of the standard input are answered instead, as they come; `/new` starts
again and `/quit` ends.
"""

import sys

from absl import flags

from phijax import command, generate
from phijax.errors import InputError

_BITS = {None: None, 'int8': 8, 'int4': 4}

_CHECKPOINT = flags.DEFINE_string(
    'checkpoint', None, 'A workdir, a Hugging Face directory, or a GGUF file.'
)
_PROMPT = flags.DEFINE_string('prompt', None, 'The text to go on from; empty for a new document.')
_PROMPTS_FILE = flags.DEFINE_string('prompts_file', None, 'A prompt a line, or a .jsonl.')
_CHAT: flags.FlagHolder = flags.DEFINE_flag(
    flags.Flag(
        flags.ArgumentParser(),
        flags.ArgumentSerializer(),
        'chat',
        None,
        'Speak with the model; --chat=FORMAT where its tokenizer does not tell the format.',
        boolean=True,
    )
)
_NUM_SAMPLES = flags.DEFINE_integer('num_samples', 1, 'Completions of each prompt.')
_ROWS_AT_ONCE = flags.DEFINE_integer('rows_at_once', 16, 'Most completions in one batch.')
_QUANTIZE = flags.DEFINE_enum('quantize', None, ['int8', 'int4'], 'Bits of the kernels.')
_STOP = flags.DEFINE_multi_string('stop', [], 'End before this text; may be given several times.')
flags.DEFINE_integer('max_new_tokens', 128, 'Most tokens to write.')
flags.DEFINE_float('temperature', 0.0, '0 takes the likeliest token each time.')
flags.DEFINE_integer('top_k', 0, 'Draw from so many of the likeliest tokens; 0 is all.')
flags.DEFINE_float('top_p', 1.0, 'Draw from the fewest tokens that reach this sum.')
flags.DEFINE_float('min_p', 0.0, 'Draw from tokens at least this share of the likeliest.')
flags.DEFINE_float('repetition_penalty', 1.0, 'Above 1, what is there already is less likely.')
flags.DEFINE_integer('seed', 0, 'Number of the random draw.')

_DRAWING = (
    'max_new_tokens',
    'temperature',
    'top_k',
    'top_p',
    'min_p',
    'repetition_penalty',
    'seed',
)


def main() -> None:
    """Prints the completions that the flags ask for, or speaks."""
    drawing: dict = {name: flags.FLAGS[name].value for name in _DRAWING}
    generate.Options(**drawing)
    asked = (_PROMPT.value, _PROMPTS_FILE.value, _CHAT.value)
    if _CHECKPOINT.value is None or asked.count(None) != 2:
        raise InputError(
            '--checkpoint=PATH and one of --prompt=TEXT, --prompts_file=FILE and --chat are needed'
        )
    options = {'stop': _STOP.value, 'bits': _BITS[_QUANTIZE.value], **drawing}
    if _CHAT.value is not None:
        streams = (sys.stdin.buffer, sys.stdout, sys.stderr)
        generate.converse(_CHECKPOINT.value, *streams, format=_CHAT.value, **options)
        return
    prompts = generate.prompts_of(_PROMPT.value, _PROMPTS_FILE.value)
    options |= {'num_samples': _NUM_SAMPLES.value, 'rows_at_once': _ROWS_AT_ONCE.value}
    print(generate.write(_CHECKPOINT.value, prompts, **options))


if __name__ == '__main__':
    command.main(main)
