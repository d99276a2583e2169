"""The command, as a user runs it: the completion on one stream, what is wrong on the other."""

import json
import subprocess
import sys

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
        (['--prompt=a'], '--checkpoint=PATH and one of --prompt=TEXT'),
        (['--checkpoint=nowhere/at/all', '--prompt=a'], 'nowhere/at/all'),
        (['--checkpoint={}', '--prompt=a', '--max_new_tokens=40'], 'beyond max_length=32'),
        (['--checkpoint={}', '--prompt=a', '--max_new_tokens=many'], 'max_new_tokens'),
        (['--checkpoint={}', '--prompt=a', '--temperatur=1'], 'temperature'),
        (['--checkpoint={}', '--prompt=a', '--top_k=-1'], 'top_k must be 0'),
        (['--checkpoint={}', '--prompt=a', '--stop='], 'stop must not be empty'),
        (['--checkpoint={}', '--prompt=a', '--quantize=int5'], 'int8'),
        (['--checkpoint={}', '--prompt=a', '--chat'], 'one of --prompt=TEXT'),
        (['--checkpoint={}', '--prompt=a', '--num_samples=2'], 'num_samples=2 needs a temperature'),
        (['--checkpoint={}', '--prompts_file=nowhere.txt'], 'nowhere.txt cannot be read'),
        (['--checkpoint={}', '--chat=phi9'], "format is 'phi9'; it must be one of phi3"),
        (['--checkpoint={}', '--chat'], 'special tokens of none of phi3, chatml'),
        (['--checkpoint={}', '--prompt=caf\udce9'], 'lone surrogate'),
    ],
)
def test_what_is_wrong_is_said_in_a_line_and_ends_with_2(checkpoint, run_command, flags, message):
    done = run_command('phijax.generate', *(flag.format(checkpoint) for flag in flags))
    assert done.returncode == 2
    assert done.stdout == ''
    assert message in done.stderr
    assert 'Traceback' not in done.stderr


def test_several_completions_are_lines_of_json(checkpoint, run_command, tmp_path):
    (tmp_path / 'prompts.txt').write_text('def add\nreturn\n')
    options = {'max_new_tokens': 9, 'temperature': 1.0, 'top_k': 20, 'min_p': 0.01, 'seed': 5}
    flags = [f'--{name}={value}' for name, value in options.items()]
    done = run_command(
        'phijax.generate',
        f'--checkpoint={checkpoint}',
        f'--prompts_file={tmp_path}/prompts.txt',
        '--num_samples=2',
        '--rows_at_once=3',
        '--stop=add',
        '--quantize=int4',
        *flags,
    )
    assert done.returncode == 0, done.stderr
    prompts = ['def add', 'return'] * 2
    expected = generate.complete_with(checkpoint, prompts, stop=['add'], bits=4, **options)
    assert len(set(expected)) > 2
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {'prompt': prompts[i], 'completion': expected[i]} for i in (0, 2, 1, 3)
    ]


def test_a_mistake_in_a_flag_is_answered_before_jax_is_loaded():
    program = (
        'import sys, runpy; sys.argv = ["generate", "--checkpoint=a", "--prompt=b", "--top_p=2"]\n'
        'try: runpy.run_module("phijax.generate", run_name="__main__")\n'
        'except SystemExit as ended: print(ended.code, "jax" in sys.modules)'
    )
    done = subprocess.run(
        [sys.executable, '-c', program], check=False, capture_output=True, text=True
    )
    assert done.stdout == '2 False\n', done.stderr
    assert 'top_p must be in (0, 1], got 2.0' in done.stderr
