"""The lines of a training run's terminal: how each is written, and the pattern that reads it."""

import datetime
import errno
import math
import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TextIO

_NUMBER = r'-?(?:\d+\.?\d*(?:e[+-]?\d+)?|nan|inf)'
_COUNT = r'\d+(?:\.\d+)?[kMGT]?'
_SPAN = r'\d+(?:\.\d+)?[a-z]+\d*[a-z]*'

LINES: Mapping[str, re.Pattern[str]] = {
    'step': re.compile(
        rf'step +(?P<step>\d+)/(?P<num_steps>\d+) +(?P<percent>[\d.]+)%'
        rf'  loss +(?P<loss>{_NUMBER}) \(ema +(?P<loss_ema>{_NUMBER}|n/a)\)'
        rf'(?:  lr +(?P<learning_rate>{_NUMBER}|n/a))?'
        rf'(?:  gnorm +(?P<grad_norm>{_NUMBER}|n/a))?'
        rf'(?:  tok/s +(?P<tokens_per_second>{_COUNT}|n/a))?'
        r'(?:  mfu +(?P<mfu>[\d.]+%|n/a))?'
        r'(?:  mem +(?P<memory>[\d.]+/[\d.]+G))?'
        r'(?:  data +(?P<data>[\d.]+%|n/a))?'
        r'(?:  acc +(?P<accuracy>[\d.]+%|n/a))?'
        rf'  eta +(?P<eta>{_SPAN}|n/a) \((?P<finish>[^)]+)\)'
        rf'(?:  scale +(?P<loss_scale>{_NUMBER}))?'
        r'  skip (?P<skipped>\d+)'
    ),
    'eval': re.compile(
        rf'eval +(?P<step>\d+)/(?P<num_steps>\d+)'
        rf'  loss +(?P<loss>{_NUMBER})(?:  ppl +(?P<perplexity>{_NUMBER}))?'
        r'(?:  acc +(?P<accuracy>[\d.]+%|n/a))?'
        rf'(?:  bpb +(?P<bits_per_byte>{_NUMBER}))?(?: \((?P<sources>[^)]*)\))?'
        rf'  best +(?P<best>{_NUMBER}|n/a) @(?P<best_step>\d+|n/a)(?:  (?P<seconds>{_SPAN}))?'
    ),
    'ckpt': re.compile(
        rf'ckpt +(?P<step>\d+)/(?P<num_steps>\d+)'
        rf'  saved (?P<size>{_COUNT})B in (?P<seconds>{_SPAN})'
        rf'(?: \(blocked (?P<blocked>{_SPAN})\))?(?:  (?P<detail>.+))?'
    ),
    'warn': re.compile(r'warn +(?P<step>\d+)/(?P<num_steps>\d+)  (?P<message>.*)'),
    'note': re.compile(r'note  (?P<message>.*)'),
    'done': re.compile(
        r'done +(?P<step>\d+)/(?P<num_steps>\d+)'
        rf'  loss +(?P<loss>{_NUMBER}|n/a) \(ema +(?P<loss_ema>{_NUMBER}|n/a)\)'
        rf'  best +(?P<best>{_NUMBER}|n/a) @(?P<best_step>\d+|n/a)  skip (?P<skipped>\d+)'
    ),
    'rate': re.compile(
        rf'rate  (?P<tokens>{_COUNT}) tokens in (?P<wall>{_SPAN}): '
        rf'(?P<tokens_per_second>{_COUNT}|n/a) tok/s, (?P<training_tokens_per_second>{_COUNT}|n/a)'
        r' while training \(this session\)'
    ),
    'time': re.compile(r'time  (?P<split>[a-z]+ [\d.]+%(?:  [a-z]+ [\d.]+%)*)'),
    'file': re.compile(r'file  (?P<path>.+)'),
    'next': re.compile(r'next  (?P<command>.+)'),
    '    ': re.compile(r'      (?P<message>.*)'),
}
"""What the lines look like, by their first four characters: `LINES[line[:4]].fullmatch(line)`.

Fields that a narrow terminal has no room for are left out there, never in a pipe or a file. Lines
that go on with a message of several lines start with six spaces.
"""

_COLOURS = {'warn': '33', 'eval': '36', 'ckpt': '34', 'done': '32', 'next': '32'}
_LEAST = ('scale', 'mem', 'data', 'mfu', 'gnorm', 'lr', 'tok/s')
_PREFIXES = ('', 'k', 'M', 'G', 'T')
_UNITS = (('d', 'h', 24, 3600), ('h', 'm', 60, 60), ('m', 's', 60, 1))
_CENTURY = 100 * 365 * 86400
_HUNG_UP = (errno.EPIPE, errno.EIO)


class Terminal:
    """A stream that a person reads: colour where it is wanted, and silence once nobody listens."""

    def __init__(self, stream: TextIO | None, complain: Callable[[OSError], None]) -> None:
        """Writes to `stream`; None is silence. `complain` hears of it when that fails."""
        self._stream = stream
        self._complain = complain
        self._failing = False
        tty = stream is not None and stream.isatty()
        self._colour = tty and wants_colour(os.environ)
        self.columns = shutil.get_terminal_size().columns if tty else None

    def write(self, line: str) -> None:
        """Shows `line`; a reader that leaves (`| head`, a closed window) ends no training run."""
        if self._stream is None:
            return
        encoding = self._stream.encoding or 'utf-8'
        line = line.encode(encoding, 'backslashreplace').decode(encoding)
        try:
            self._stream.write((paint(line) if self._colour else line) + '\n')
            self._stream.flush()
            self._failing = False
        except OSError as error:
            if error.errno in _HUNG_UP:
                _redirect(self._stream)
                self._stream = None
            if not self._failing:
                self._complain(error)
            self._failing = True


def _redirect(stream: TextIO) -> None:
    """Sends what comes later nowhere, the last flush of the interpreter too."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def wants_colour(environment: Mapping[str, str]) -> bool:
    """Whether a terminal is to be coloured: it knows how, and nobody set NO_COLOR.

    Source: no-color.org
    """
    return not environment.get('NO_COLOR') and environment.get('TERM') != 'dumb'


def paint(line: str) -> str:
    """The line in colour: what kind it is, and the loss."""
    tag, rest = line[:4], line[4:]
    rest = re.sub(r'(?<=loss )( *\S+)', '\033[1m\\1\033[0m', rest, count=1)
    return f'\033[{_COLOURS.get(tag, "2")}m{tag}\033[0m{rest}'


def step_line(
    num_steps: int,
    values: Mapping[str, Any],
    timing: Mapping[str, Any],
    *,
    columns: int | None = None,
    now: datetime.datetime | None = None,
) -> str:
    """The line of one training step.

    Args:
        values: step, loss, loss_ema, learning_rate, grad_norm, skipped and, if scaled, loss_scale;
            for a preference also accuracy.
        timing: what `Meter.timing` gives, and memory_bytes with memory_limit_bytes if known.
        columns: the room there is; the fields that say least are left out until the rest fits.
    """
    step, scale = values['step'], values.get('loss_scale', 1)
    fields = {
        'step': f'{step:6d}/{num_steps} {100 * step / num_steps:5.1f}%',
        'loss': f'{values["loss"]:7.4f} (ema {_fixed(values.get("loss_ema"))})',
        'lr': _scientific(values.get('learning_rate')),
        'gnorm': _significant(values.get('grad_norm')),
        'tok/s': f'{count(timing.get("tokens_per_second")):>5}',
        'mfu': f'{_percent(timing.get("mfu")):>5}',
        'mem': _memory(timing),
        'data': f'{_percent(timing.get("data_share")):>5}',
        'acc': _accuracy(values),
        'eta': _eta(timing.get('eta_seconds'), now or datetime.datetime.now()),
        'scale': f'{scale:g}' if scale != 1 else '',
        'skip': f'{int(values.get("skipped", 0))}',
    }
    shown = {name: f'{name} {text}' for name, text in fields.items() if text}
    for name in _LEAST:
        if columns and len('  '.join(shown.values())) > columns:
            shown.pop(name, None)
    return '  '.join(shown.values())


def evaluation_line(
    step: int,
    num_steps: int,
    values: Mapping[str, float],
    best: tuple[float, int] | None,
    seconds: float | None,
) -> str:
    """The line of one evaluation; `values` has `loss`, `bits_per_byte/SOURCE` if more than one."""
    line = f'eval {step:6d}/{num_steps}{_heldout(values)}'
    if 'bits_per_byte' in values:
        line += f'  bpb {values["bits_per_byte"]:.3f}'
    sources = [
        f'{name.partition("/")[2]} {value:.3f}'
        for name, value in values.items()
        if name.startswith('bits_per_byte/')
    ]
    line += f' ({", ".join(sources)})' if len(sources) > 1 else ''
    for name, value in benchmarks(values).items():
        line += f'  {name} {100 * value:.1f} %'
    line += f'  {_best(best)}' if 'loss' in values else ''
    return line + (f'  {span(seconds)}' if seconds is not None else '')


def _heldout(values: Mapping[str, float]) -> str:
    """The loss and what it means; nothing where there is no held-out text."""
    if 'loss' not in values:
        return ''
    pairs = _accuracy(values)  # theirs is no loss per token
    shown = f'acc {pairs}' if pairs else f'ppl {_perplexity(values):.4g}'
    return f'  loss {values["loss"]:7.4f}  {shown}'


def benchmarks(values: Mapping[str, float]) -> dict[str, float]:
    """The score of each benchmark of an evaluation, from 0 to 1."""
    pairs = ((name.removeprefix('benchmark/'), value) for name, value in values.items())
    return {
        name: value
        for name, value in pairs
        if f'benchmark/{name}' in values and f'benchmark/{name}_low' in values
    }


def checkpoint_line(step: int, num_steps: int, timing: Mapping[str, Any], detail: str) -> str:
    """The line of one saved checkpoint; `timing` has num_bytes, seconds and blocked_seconds."""
    size, seconds, blocked = timing['num_bytes'], timing['seconds'], timing['blocked_seconds']
    line = f'ckpt {step:6d}/{num_steps}  saved {count(size)}B in {span(seconds)}'
    line += f' (blocked {span(blocked)})' if blocked is not None else ''
    return line + (f'  {detail}' if detail else '')


def message_lines(tag: str, message: str) -> list[str]:
    """The message with a tag before its first line and six spaces before the others."""
    first, *others = message.splitlines() or ['']
    return [f'{tag}  {first}', *(f'      {line}' for line in others)]


def summary_lines(
    num_steps: int,
    values: Mapping[str, Any],
    best: tuple[float, int] | None,
    summary: Mapping[str, float | None],
    goodput: Mapping[str, float],
) -> list[str]:
    """The lines at the end: the totals, this session's rates, and where its time went.

    Args:
        values: of the last step, as for `step_line`; only `step` where there was none.
        summary, goodput: what `Meter.summary` and `Meter.goodput` give.
    """
    wall = sum(goodput.values()) or 1.0
    skipped = int(values.get('skipped', 0))
    shares = '  '.join(f'{name} {_percent(part / wall)}' for name, part in goodput.items())
    return [
        f'done {values["step"]:6d}/{num_steps}  loss {_fixed(values.get("loss"))}'
        f' (ema {_fixed(values.get("loss_ema"))})  {_best(best)}  skip {skipped}',
        f'rate  {count(summary["tokens"])} tokens in {span(wall)}: '
        f'{count(summary["tokens_per_second"])} tok/s, '
        f'{count(summary["training_tokens_per_second"])} while training (this session)',
        f'time  {shares}',
    ]


def closing_lines(report: os.PathLike[str] | None, next_commands: Sequence[str]) -> list[str]:
    """The lines that say where to read on and what to do next."""
    files = [f'file  {os.fspath(report)}'] if report else []
    return files + [f'next  {command}' for command in next_commands]


def count(number: float | None) -> str:
    """The number with three digits and a decimal prefix: `412k`, `1.23M`, `n/a` if unknown."""
    if number is None:
        return 'n/a'
    exact, number, power = number, float(f'{number:.3g}'), 0
    while number >= 1000 and power < len(_PREFIXES) - 1:
        number, power = number / 1000, power + 1
    if not power:
        return f'{exact:.0f}'  # rounded once
    digits = 2 - int(math.log10(number))
    return f'{number:.{max(0, digits)}f}{_PREFIXES[power]}'


def span(seconds: float) -> str:
    """The time in its two largest units: `0.07s`, `4.1s`, `3m41s`, `3h12m`, `2d04h`."""
    for large, small, size, unit in _UNITS:
        units = round(seconds / unit)
        if units >= size:
            return f'{units // size}{large}{units % size:02d}{small}'
    digits = 0 if seconds == 0 or seconds >= 9.95 else 2 if seconds < 1 else 1
    return f'{seconds:.{digits}f}s'


def _fixed(value: float | str | None) -> str:
    return 'n/a' if value is None else f'{float(value):.4f}'


def _scientific(value: float | None) -> str:
    """Two decimals and the shortest exponent: `9.80e-4`."""
    if not value:
        return 'n/a' if value is None else '      0'
    mantissa, _, exponent = f'{value:.2e}'.partition('e')
    return f'{mantissa}e{int(exponent)}' if exponent else mantissa


def _significant(value: float | None) -> str:
    return f'{"n/a" if value is None else format(value, ".3g"):>6}'


def _percent(share: float | None) -> str:
    return 'n/a' if share is None else f'{100 * share:.1f}%'


def _memory(timing: Mapping[str, Any]) -> str:
    if not timing.get('memory_bytes'):
        return ''
    return f'{timing["memory_bytes"] / 1e9:.1f}/{timing["memory_limit_bytes"] / 1e9:.1f}G'


def _eta(seconds: float | None, now: datetime.datetime) -> str:
    """The time to go and the clock at the end, with its day if that is not soon."""
    if seconds is None or seconds > _CENTURY:
        return '   n/a (--:--)'
    finish = now + datetime.timedelta(seconds=seconds)
    return f'{span(seconds):>6} ({finish:{"%H:%M" if seconds < 72000 else "%b %d %H:%M"}})'


def _accuracy(values: Mapping[str, float]) -> str:
    """How often the preferred answer leads; nothing where there are no pairs."""
    return _percent(values['accuracy']) if 'accuracy' in values else ''


def _perplexity(values: Mapping[str, float]) -> float:
    return math.exp(min(values['loss'], 700))


def _best(best: tuple[float, int] | None) -> str:
    return f'best {best[0]:7.4f} @{best[1]}' if best else 'best n/a @n/a'
