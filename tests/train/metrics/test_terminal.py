"""Every kind of line against its published pattern, and terminals that are narrow, grey or gone."""

import datetime
import io
import math
import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phijax.train.metrics import LINES, terminal

NOW = datetime.datetime(2026, 3, 4, 20, 29)
VALUES = {
    'step': 1240,
    'loss': 3.2172,
    'loss_ema': 3.231,
    'learning_rate': 9.8e-4,
    'grad_norm': 0.84,
    'loss_scale': 1.0,
    'skipped': 3,
}
TIMING = {
    'tokens_per_second': 412_345.0,
    'mfu': 0.4131,
    'data_share': 0.012,
    'eta_seconds': 11_520.0,
    'memory_bytes': 61.2e9,
    'memory_limit_bytes': 79.6e9,
}
WHOLE = (
    'step   1240/20000   6.2%  loss  3.2172 (ema 3.2310)  lr 9.80e-4  gnorm   0.84  tok/s  412k'
    '  mfu 41.3%  mem 61.2/79.6G  data  1.2%  eta  3h12m (23:41)  skip 3'
)


def _fields(line):
    match = LINES[line[:4]].fullmatch(line)
    assert match, line
    return match.groupdict()


def test_step_line_is_the_published_one():
    line = terminal.step_line(20_000, VALUES, TIMING, now=NOW)
    assert line == WHOLE
    fields = _fields(line)
    assert [fields[name] for name in ('step', 'num_steps', 'percent')] == ['1240', '20000', '6.2']
    assert float(fields['loss']) == VALUES['loss']
    assert float(fields['loss_ema']) == VALUES['loss_ema']
    assert float(fields['learning_rate']) == VALUES['learning_rate']
    assert float(fields['grad_norm']) == VALUES['grad_norm']
    assert fields['tokens_per_second'] == '412k'
    assert (fields['mfu'], fields['data'], fields['skipped']) == ('41.3%', '1.2%', '3')
    assert (fields['eta'], fields['finish'], fields['memory']) == ('3h12m', '23:41', '61.2/79.6G')


def test_step_line_of_a_run_that_knows_little():
    line = terminal.step_line(20, {'step': 1, 'loss': 10.8}, {})
    fields = _fields(line)
    assert float(fields['loss']) == 10.8
    for name in ('loss_ema', 'learning_rate', 'grad_norm', 'tokens_per_second', 'mfu', 'eta'):
        assert fields[name] == 'n/a'
    assert fields['memory'] is None
    assert fields['skipped'] == '0'


_POSITIVE = st.one_of(st.none(), st.floats(0, 1e15))
_ANY = st.floats(width=32)


@given(
    st.integers(0, 10**6),
    st.fixed_dictionaries(
        {'loss': _ANY, 'loss_ema': st.none() | st.floats(0, 100), 'skipped': st.integers(0, 10**5)},
        optional={
            'learning_rate': st.floats(0, 1),
            'grad_norm': _ANY,
            'loss_scale': st.sampled_from([1.0, 65536.0, 2.0**-14]),
        },
    ),
    st.fixed_dictionaries(
        {'tokens_per_second': _POSITIVE, 'eta_seconds': _POSITIVE, 'mfu': st.none()},
        optional={'data_share': st.floats(0, 1)},
    ),
)
def test_any_step_line_parses(step, values, timing):
    fields = _fields(terminal.step_line(10**6, {'step': step, **values}, timing))
    assert int(fields['step']) == step
    assert float(fields['loss']) == pytest.approx(values['loss'], abs=1e-4, nan_ok=True)
    assert int(fields['skipped']) == values['skipped']
    if 'grad_norm' in values:
        shown = float(fields['grad_norm'])
        assert shown == pytest.approx(values['grad_norm'], rel=0.01, nan_ok=True)
    assert (fields['loss_scale'] is not None) == (values.get('loss_scale', 1) != 1)


def test_lines_of_a_run_have_one_width():
    numbers = [(7, 10.71, 3.1e-6), (1240, 3.2172, 9.8e-4), (19_999, 0.5, 0.0)]
    lines = [
        terminal.step_line(20_000, VALUES | {'step': s, 'loss': x, 'learning_rate': r}, TIMING)
        for s, x, r in numbers
    ]
    assert len({len(line) for line in lines}) == 1


@pytest.mark.parametrize('columns', [80, 100, 120, 160])
def test_narrow_terminal_gets_what_matters(columns):
    line = terminal.step_line(20_000, VALUES, TIMING, columns=columns, now=NOW)
    assert len(line) <= max(columns, 86)
    fields = _fields(line)
    for name in ('loss', 'loss_ema', 'eta', 'skipped'):
        assert fields[name]
    assert (fields['memory'] is None) == (columns < len(WHOLE))


def test_far_finish_has_its_day():
    fields = _fields(terminal.step_line(9, {'step': 1, 'loss': 1.0}, {'eta_seconds': 2e5}, now=NOW))
    assert (fields['eta'], fields['finish']) == ('2d08h', 'Mar 07 04:02')


def test_evaluation_line():
    values = {'loss': 3.3, 'bits_per_byte': 1.0123}
    line = terminal.evaluation_line(1000, 20_000, values, (3.3, 1000), 4.1)
    assert line == 'eval   1000/20000  loss  3.3000  ppl 27.11  bpb 1.012  best  3.3000 @1000  4.1s'
    fields = _fields(line)
    assert float(fields['perplexity']) == pytest.approx(math.exp(3.3), rel=1e-3)
    assert (fields['best'], fields['best_step'], fields['seconds']) == ('3.3000', '1000', '4.1s')
    assert fields['sources'] is None


def test_lines_of_a_preference_tell_the_accuracy():
    values = {'loss': 0.52, 'accuracy': 0.8125, 'reward_margin': 0.4}
    line = terminal.evaluation_line(5, 20, values, (0.52, 5), 4.1)
    assert line == 'eval      5/20  loss  0.5200  acc 81.2%  best  0.5200 @5  4.1s'
    assert terminal.LINES['eval'].fullmatch(line)['accuracy'] == '81.2%'
    line = terminal.step_line(20, values | {'step': 5}, {})
    assert '  acc 81.2%  eta' in line
    assert terminal.LINES['step'].fullmatch(line)['accuracy'] == '81.2%'


def test_evaluation_line_of_several_sources():
    values = {
        'loss': math.nan,
        'bits_per_byte': 1.5,
        'bits_per_byte/python': 1.25,
        'bits_per_byte/web': 1.75,
        'loss/python': 2.0,
    }
    fields = _fields(terminal.evaluation_line(5, 10, values, None, None))
    assert fields['sources'] == 'python 1.250, web 1.750'
    assert (fields['loss'], fields['best'], fields['seconds']) == ('nan', 'n/a', None)


@pytest.mark.parametrize(
    ('blocked', 'detail', 'end'),
    [(0.07, 'verified  keep 3', ' (blocked 0.07s)  verified  keep 3'), (None, '', '')],
)
def test_checkpoint_line(blocked, detail, end):
    timing = {'num_bytes': 5_100_000_000, 'seconds': 3.2, 'blocked_seconds': blocked}
    line = terminal.checkpoint_line(1000, 20_000, timing, detail)
    assert line == f'ckpt   1000/20000  saved 5.10GB in 3.2s{end}'
    assert (_fields(line)['blocked'] is None) == (blocked is None)
    assert _fields(line)['detail'] == (detail or None)


@given(st.text())
def test_any_message_parses(message):
    lines = terminal.message_lines('note', message)
    shown = [_fields(lines[0])['message'], *(_fields(line)['message'] for line in lines[1:])]
    assert shown == (message.splitlines() or [''])


def test_warning_line():
    (line,) = terminal.message_lines('warn   1233/20000', 'update skipped')
    assert _fields(line) == {'step': '1233', 'num_steps': '20000', 'message': 'update skipped'}


def test_summary_lines():
    goodput = {'compile': 10.0, 'data': 2.0, 'step': 180.0, 'evaluate': 8.0, 'other': 0.0}
    summary = {
        'tokens': 12_300_000,
        'tokens_per_second': 61_500.0,
        'training_tokens_per_second': 67_582.4,
    }
    done, rate, time = terminal.summary_lines(20_000, VALUES, (3.1, 900), summary, goodput)
    assert _fields(done)['best_step'] == '900'
    assert _fields(done)['skipped'] == '3'
    assert rate == ('rate  12.3M tokens in 3m20s: 61.5k tok/s, 67.6k while training (this session)')
    assert _fields(rate)['tokens_per_second'] == '61.5k'
    assert time == 'time  compile 5.0%  data 1.0%  step 90.0%  evaluate 4.0%  other 0.0%'
    assert _fields(time)


def test_summary_lines_of_a_session_without_a_step():
    summary = {'tokens': 0, 'tokens_per_second': 0.0, 'training_tokens_per_second': None}
    lines = terminal.summary_lines(9, {'step': 9}, None, summary, {'other': 0.5})
    assert _fields(lines[0])['loss'] == 'n/a'
    assert _fields(lines[1])['training_tokens_per_second'] == 'n/a'


def test_closing_lines():
    lines = terminal.closing_lines('runs/a/report.md', ['phijax one', 'phijax two'])
    assert [_fields(line) for line in lines] == [
        {'path': 'runs/a/report.md'},
        {'command': 'phijax one'},
        {'command': 'phijax two'},
    ]
    assert terminal.closing_lines(None, []) == []


@pytest.mark.parametrize(
    ('number', 'text'),
    [
        (None, 'n/a'),
        (0, '0'),
        (7.4, '7'),
        (11.46875, '11'),
        (999.4, '999'),
        (999.6, '1.00k'),
        (1000, '1.00k'),
        (41_234, '41.2k'),
        (412_345, '412k'),
        (1.2e6, '1.20M'),
        (5.1e9, '5.10G'),
        (2e12, '2.00T'),
        (4e16, '40000T'),
    ],
)
def test_count(number, text):
    assert terminal.count(number) == text


@given(st.floats(1, 9.9e14))
def test_count_has_three_digits(number):
    prefixes = {'': 1, 'k': 1e3, 'M': 1e6, 'G': 1e9, 'T': 1e12}
    digits, prefix = re.fullmatch(r'([\d.]+)(\D?)', terminal.count(number)).groups()
    error = abs(float(digits) * prefixes[prefix] - number)
    assert error <= max(0.00501 * number, 0.5)


@pytest.mark.parametrize(
    ('seconds', 'text'),
    [
        (0, '0s'),
        (0.07, '0.07s'),
        (4.1, '4.1s'),
        (9.96, '10s'),
        (59.4, '59s'),
        (59.6, '1m00s'),
        (221, '3m41s'),
        (3599.6, '1h00m'),
        (11_520, '3h12m'),
        (187_200, '2d04h'),
    ],
)
def test_span(seconds, text):
    assert terminal.span(seconds) == text


class _Screen:
    """A pseudo-terminal: its end for the program as a stream, and what the person sees."""

    def __init__(self):
        self.inner, outer = os.openpty()
        self.stream = os.fdopen(outer, 'w', encoding='utf-8')

    def close(self):
        """What was shown, after which nobody looks any more."""
        shown = os.read(self.inner, 65536).decode()
        os.close(self.inner)
        return shown


def _complaints():
    heard = []
    return heard, heard.append


def test_colour_on_a_terminal(monkeypatch):
    monkeypatch.delenv('NO_COLOR', raising=False)
    monkeypatch.setenv('TERM', 'xterm')
    screen = _Screen()
    terminal.Terminal(screen.stream, pytest.fail).write(WHOLE)
    shown = screen.close().removesuffix('\r\n')
    assert '\033[1m 3.2172\033[0m' in shown
    assert re.sub(r'\033\[\d+m', '', shown) == WHOLE


@pytest.mark.parametrize(('name', 'value'), [('NO_COLOR', '1'), ('TERM', 'dumb')])
def test_no_colour_where_it_is_not_wanted(monkeypatch, name, value):
    monkeypatch.delenv('NO_COLOR', raising=False)
    monkeypatch.setenv('TERM', 'xterm')
    monkeypatch.setenv(name, value)
    screen = _Screen()
    terminal.Terminal(screen.stream, pytest.fail).write(WHOLE)
    assert screen.close() == WHOLE + '\r\n'


def test_no_colour_nor_cut_in_a_pipe(monkeypatch):
    monkeypatch.setenv('TERM', 'xterm')
    monkeypatch.setenv('COLUMNS', '20')
    stream = io.StringIO()
    shown = terminal.Terminal(stream, pytest.fail)
    shown.write(WHOLE)
    assert shown.columns is None
    assert stream.getvalue() == WHOLE + '\n'


def test_closed_window_ends_nothing():
    screen = _Screen()
    heard, complain = _complaints()
    shown = terminal.Terminal(screen.stream, complain)
    shown.write('first')
    screen.close()
    shown.write('second')
    shown.write('third')
    screen.stream.close()
    assert len(heard) == 1


def test_reader_that_leaves_ends_nothing():
    reader, writer = os.pipe()
    heard, complain = _complaints()
    with os.fdopen(writer, 'w') as stream:
        shown = terminal.Terminal(stream, complain)
        shown.write('first')
        os.close(reader)
        shown.write('second')
        shown.write('third')
    assert len(heard) == 1
    assert isinstance(heard[0], BrokenPipeError)


def test_log_on_a_full_disk_is_tried_again():
    heard, complain = _complaints()
    with open('/dev/full', 'w') as full, open(os.devnull, 'w') as empty:
        shown = terminal.Terminal(full, complain)
        shown.write('first')
        shown.write('second')
        assert len(heard) == 1
        os.dup2(empty.fileno(), full.fileno())
        shown.write('third')
    assert len(heard) == 1


def test_letters_that_the_terminal_lacks():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding='ascii')
    terminal.Terminal(stream, pytest.fail).write('note  φ-1')
    assert raw.getvalue() == b'note  \\u03c6-1\n'
