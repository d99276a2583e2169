"""The command, as a user runs it: the completion on one stream, what is wrong on the other."""

import jax
import pytest

from phijax import generate, models
from phijax.data import tokenizer as tokenizers
from phijax.interop import huggingface

PROMPT = 'def add(a, b):\n'


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    config = models.config(
        'phi1',
        vocab_size=320,
        embed_dim=32,
        num_layers=1,
        num_heads=4,
        num_kv_heads=4,
        head_dim=8,
        mlp_dim=64,
        rotary_dim=4,
        max_length=32,
        init_std=0.3,
    )
    directory = tmp_path_factory.mktemp('models') / 'tiny'
    tokenizer = tokenizers.train([PROMPT + '    return a + b\n'] * 4, 270)
    params = models.init(config, jax.random.key(0))
    huggingface.save(config, params, directory, tokenizer=tokenizer)
    return directory


def test_the_standard_output_is_the_completion(checkpoint, run_command):
    options = {'max_new_tokens': 12, 'temperature': 0.8, 'top_p': 0.9, 'seed': 3}
    flags = [f'--{name}={value}' for name, value in options.items()]
    done = run_command(
        'phijax.generate', f'--checkpoint={checkpoint}', f'--prompt={PROMPT}', *flags
    )
    assert done.returncode == 0, done.stderr
    [expected] = generate.complete_with(checkpoint, [PROMPT], **options)
    assert expected.strip()
    assert done.stdout == expected + '\n'


@pytest.mark.parametrize(
    ('flags', 'message'),
    [
        (['--prompt=a'], '--checkpoint=PATH and --prompt=TEXT are both needed'),
        (['--checkpoint=nowhere/at/all', '--prompt=a'], 'nowhere/at/all'),
        (['--checkpoint={}', '--prompt=a', '--max_new_tokens=40'], 'beyond max_length=32'),
        (['--checkpoint={}', '--prompt=a', '--max_new_tokens=many'], 'max_new_tokens'),
        (['--checkpoint={}', '--prompt=a', '--temperatur=1'], 'temperature'),
    ],
)
def test_what_is_wrong_is_said_in_a_line_and_ends_with_2(checkpoint, run_command, flags, message):
    done = run_command('phijax.generate', *(flag.format(checkpoint) for flag in flags))
    assert done.returncode == 2
    assert done.stdout == ''
    assert message in done.stderr
    assert 'Traceback' not in done.stderr
