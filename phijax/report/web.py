"""One-page reports in HTML that need nothing else: no script, no picture file, no network."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;color:#222}
h2{margin-top:2.5rem;border-bottom:1px solid #ddd}
table{border-collapse:collapse;margin:1rem 0;width:100%}td,th{padding:.3rem .6rem;text-align:left}
th{border-bottom:2px solid #888}td{border-bottom:1px solid #ddd;vertical-align:top}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.bar{position:relative;height:.8rem;min-width:8rem;background:#eee}
.bar i{position:absolute;height:100%}
.bar .range{background:#56B4E9}.bar .at{width:2px;background:#003f66}
.bar .chance{width:1px;background:#D55E00}.bar .lost{background:#E69F00}
pre{background:#f6f6f6;padding:.6rem;white-space:pre-wrap;overflow-wrap:anywhere;font-size:13px}
summary{cursor:pointer;padding:.2rem 0}details pre{max-height:28rem;overflow:auto}
.two{display:grid;grid-template-columns:1fr 1fr;gap:1rem}.two>*{min-width:0}
.note{color:#666}
svg{width:100%;height:auto;background:#fafafa}svg text{font:11px system-ui,sans-serif;fill:#555}
"""


class Markup(str):
    """Text that is HTML already; any other text is escaped."""


def page(title: str, parts: Iterable[str]) -> str:
    """A whole page of the parts below its title."""
    head = f'<meta charset="utf-8"><title>{html.escape(title)}</title><style>{_STYLE}</style>'
    body = f'<h1>{html.escape(title)}</h1>{"".join(parts)}'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{body}</body></html>'


def section(heading: str, *parts: str) -> str:
    """The parts below a heading; nothing when there is no part."""
    body = ''.join(parts)
    return f'<h2>{html.escape(heading)}</h2>{body}' if body else ''


def paragraph(text: str) -> Markup:
    """A paragraph of plain text."""
    return Markup(f'<p>{html.escape(text)}</p>')


def table(rows: Sequence[Mapping[str, Any]]) -> Markup:
    """A table whose columns are the first row's keys; numbers stand on the right."""
    if not rows:
        return Markup('')
    columns = list(rows[0])
    marks = {c: _mark([row.get(c) for row in rows]) for c in columns}
    head = ''.join(f'<th{marks[c]}>{html.escape(c)}</th>' for c in columns)
    lines = [
        ''.join(f'<td{marks[c]}>{_cell(row.get(c, ""))}</td>' for c in columns) for row in rows
    ]
    body = ''.join(f'<tr>{line}</tr>' for line in lines)
    return Markup(f'<table><tr>{head}</tr>{body}</table>')


def listed(lines: Iterable[str]) -> Markup:
    """A list of the lines that are not empty; nothing when all are."""
    items = ''.join(f'<li>{html.escape(line)}</li>' for line in lines if line)
    return Markup(f'<ul>{items}</ul>' if items else '')


def code(text: str) -> Markup:
    """Text as it is, in a box."""
    return Markup(f'<pre>{html.escape(text)}</pre>')


def folded(summary: str, body: str) -> Markup:
    """A line that opens to show the body, which is HTML."""
    return Markup(f'<details><summary>{html.escape(summary)}</summary>{body}</details>')


def beside(left: str, right: str) -> Markup:
    """Two pieces of HTML side by side."""
    return Markup(f'<div class="two"><div>{left}</div><div>{right}</div></div>')


def bar(*spans: tuple[str, float, float], marks: Mapping[str, float] | None = None) -> Markup:
    """A bar from 0 to 1 with spans (`range` or `lost`, from, to) and marks (`at` or `chance`)."""
    items = [
        f'<i class="{kind}" style="left:{100 * low:.1f}%;width:{100 * (high - low):.1f}%"></i>'
        for kind, low, high in spans
    ]
    items += [
        f'<i class="{kind}" style="left:{100 * place:.1f}%"></i>'
        for kind, place in (marks or {}).items()
    ]
    return Markup(f'<div class="bar">{"".join(items)}</div>')


def columns(values: Sequence[float], low: float, high: float, label: str) -> Markup:
    """A histogram of equally wide columns between two numbers."""
    top, width = max([*values, 1e-12]), 700 / max(len(values), 1)
    rects = ''.join(
        f'<rect x="{20 + number * width:.1f}" y="{150 - 130 * value / top:.1f}" '
        f'width="{max(width - 1, 1):.1f}" height="{130 * value / top:.1f}" fill="#0072B2"/>'
        for number, value in enumerate(values)
    )
    return Markup(
        f'<svg viewBox="0 0 740 185">{rects}<text x="20" y="168">{low:.3g}</text>'
        f'<text x="720" y="168" text-anchor="end">{high:.3g}</text>'
        f'<text x="370" y="180" text-anchor="middle">{html.escape(label)}</text></svg>'
    )


def lines(x: Sequence[float], curves: Mapping[str, Sequence[float | None]], label: str) -> Markup:
    """Curves over a common axis, both from 0 to 1; a None is a gap."""
    colours = ('#0072B2', '#D55E00', '#009E73', '#CC79A7')
    drawn = []
    for number, (name, values) in enumerate(curves.items()):
        colour = colours[number % len(colours)]
        points = ' '.join(
            f'{40 + 660 * a:.1f},{160 - 140 * b:.1f}'
            for a, b in zip(x, values, strict=True)
            if b is not None
        )
        drawn.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
            f'<text x="{50 + 220 * number}" y="12" style="fill:{colour}">{html.escape(name)}</text>'
        )
    frame = ''.join(
        f'<line x1="40" x2="700" y1="{y}" y2="{y}" stroke="#ddd"/>'
        f'<text x="34" y="{y + 4}" text-anchor="end">{(160 - y) / 140:.1f}</text>'
        for y in (20, 90, 160)
    )
    ticks = ''.join(
        f'<text x="{40 + 660 * place:.0f}" y="174" text-anchor="middle">{place:.1f}</text>'
        for place in (0.0, 0.25, 0.5, 0.75, 1.0)
    )
    return Markup(
        f'<svg viewBox="0 0 740 192">{frame}{ticks}{"".join(drawn)}'
        f'<text x="370" y="188" text-anchor="middle">{html.escape(label)}</text></svg>'
    )


def _mark(values: Sequence[Any]) -> str:
    numbers = [isinstance(value, int | float) for value in values if value not in ('', None)]
    return ' class="n"' if numbers and all(numbers) else ''


def _cell(value: Any) -> str:
    if value is None:
        return ''
    if isinstance(value, Markup):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return html.escape(str(value))
    return f'{value:,}' if isinstance(value, int) else f'{value:,.4g}'
