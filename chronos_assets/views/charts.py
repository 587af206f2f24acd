"""Small charts as SVG text: no script, no outside resource, colours from the page's style (classes), so they follow light and dark.

Long series are decimated: per pixel column the smallest and the largest value survive, so no spike is lost whatever the number of bars.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

WIDTH, LEFT, RIGHT, BOTTOM = 1120, 64, 12, 22
PLOT = WIDTH - LEFT - RIGHT
# A series whose largest value exceeds its smallest so many times is drawn on a logarithmic scale.
LOG_FROM = 4.0
SPARK_POINTS = 40


@dataclass(frozen=True)
class Line:
    """One series of a chart: its values, the class that colours it, and whether its area down to 0 is filled.

    `times`: of the values, if they are not those of the chart.
    """

    values: Floats
    style: str
    area: bool = False
    times: Ints | None = None


def decimate(times: Ints, values: Floats, columns: int = PLOT) -> tuple[Ints, Floats]:
    """At most two points per pixel column, the smallest and the largest of its values in order of time; first and last always stay."""
    n = len(values)
    if n <= 2 * columns:
        return times, values
    edges = np.linspace(0, n, columns + 1).astype(np.int64)
    lows = [a + int(np.nanargmin(values[a:b])) for a, b in itertools.pairwise(edges) if not np.isnan(values[a:b]).all()]
    highs = [a + int(np.nanargmax(values[a:b])) for a, b in itertools.pairwise(edges) if not np.isnan(values[a:b]).all()]
    kept = np.unique(np.array([0, *lows, *highs, n - 1]))
    return times[kept], values[kept]


def line_chart(
    times: Ints,
    lines: Sequence[Line],
    *,
    height: int,
    label: str,
    unit: str = "",
    log: bool | None = None,
    numbered: bool = False,
) -> str:
    """Lines over time with axes, as one `<svg>`. `label` is read out by screen readers.

    `log`: a logarithmic scale, if every value is above 0; None: if values have multiplied. Sums that can cross 0 want False.
    `numbered`: `times` are numbers and not times.
    """
    finite = np.concatenate([line.values[np.isfinite(line.values)] for line in lines])
    low, high = float(finite.min()), float(finite.max())
    if any(line.area for line in lines):
        low, high = min(low, 0.0), max(high, 0.0)
    log = low > 0 and (high / low >= LOG_FROM if log is None else log)
    ticks = _log_ticks(low, high) if log else _ticks(low, high)
    scale = math.log if log else float
    bottom, top = scale(min(low, ticks[0])), scale(max(high, ticks[-1]))
    inner = height - BOTTOM - 8

    def y(value: float) -> float:
        return 8 + inner * (1 - (scale(value) - bottom) / ((top - bottom) or 1.0))

    first, last = float(times[0]), float(times[-1])

    def x(seconds: float) -> float:
        return LEFT + PLOT * (seconds - first) / ((last - first) or 1.0)

    parts = [_svg_open(height, label)]
    parts += [_rule(y(tick), f"{_short(tick)}{unit}") for tick in ticks]
    marks = _number_ticks(first, last) if numbered else _time_ticks(int(first), int(last))
    parts += [_time_mark(x(at), height, text, odd=bool(k % 2)) for k, (at, text) in enumerate(marks)]
    for line in lines:
        stamps, values = decimate(times if line.times is None else line.times, line.values)
        points = [f"{x(t):.1f},{y(v):.1f}" for t, v in zip(stamps.tolist(), values.tolist(), strict=True) if math.isfinite(v)]
        if line.area and points:
            zero = y(0.0)
            parts.append(f'<polygon class="{line.style} area" points="{LEFT},{zero:.1f} {" ".join(points)} {LEFT + PLOT},{zero:.1f}"/>')
        parts.append(f'<polyline class="{line.style}" points="{" ".join(points)}"/>')
    return "".join([*parts, "</svg>"])


def bar_strip(
    values: Sequence[float],
    titles: Sequence[str],
    *,
    height: int,
    label: str,
    styles: Sequence[str] | None = None,
    links: Sequence[str] | None = None,
) -> str:
    """One bar per value, up or down from a zero line; `titles` show when pointed at. More values than pixels are summed in groups.

    `styles`: a further class per bar (`hollow`, `hatched`: outlined over the whole height); `links`: where each bar leads.
    """
    groups = max(1, -(-len(values) // PLOT))
    sums = [math.fsum(values[k : k + groups]) for k in range(0, len(values), groups)]
    shown = [titles[k] if groups == 1 else f"{titles[k]} and {groups - 1} more" for k in range(0, len(values), groups)]
    ticks = _ticks(min(0.0, *sums), max(0.0, *sums))
    bottom, top = ticks[0], ticks[-1]
    inner = height - 16

    def y(value: float) -> float:
        return 8 + inner * (1 - (value - bottom) / ((top - bottom) or 1.0))

    step = PLOT / len(sums)
    opened = _svg_open(height, label, role="img" if links is None or groups > 1 else "group")
    parts = [opened, *(_rule(y(tick), _short(tick)) for tick in ticks)]
    for k, value in enumerate(sums):
        upper, lower = min(y(value), y(0.0)), max(y(value), y(0.0))
        style = "gain" if value >= 0 else "loss"
        across, title = f'x="{LEFT + k * step:.2f}" width="{max(0.6, step * 0.86):.2f}"', f"<title>{escape(shown[k])}</title>"
        drawn = f'<rect class="{style}" {across} y="{upper:.1f}" height="{max(0.8, lower - upper):.1f}">{title}</rect>'
        if groups == 1 and styles is not None and styles[k]:
            drawn += f'<rect class="{styles[k]}" {across} y="8" height="{inner}"/>'
        parts.append(
            drawn
            if groups > 1 or links is None
            else f'<a href="{escape(links[k])}" aria-label="{escape(shown[k])}" tabindex="-1">{drawn}</a>'
        )
    return "".join([*parts, "</svg>"])


def value_bars(values: Sequence[float], titles: Sequence[str], *, label: str, height: int = 180) -> str:
    """A few wide bars up or down from a zero line, numbered from 1."""
    ticks = _ticks(min(0.0, *values), max(0.0, *values))
    inner = height - BOTTOM - 8

    def y(value: float) -> float:
        return 8 + inner * (1 - (value - ticks[0]) / ((ticks[-1] - ticks[0]) or 1.0))

    step = PLOT / len(values)
    parts = [_svg_open(height, label), *(_rule(y(tick), _short(tick)) for tick in ticks)]
    for k, value in enumerate(values):
        upper, lower = min(y(value), y(0.0)), max(y(value), y(0.0))
        size = f'x="{LEFT + (k + 0.07) * step:.1f}" y="{upper:.1f}" width="{step * 0.86:.1f}" height="{max(0.8, lower - upper):.1f}"'
        parts.append(f'<rect class="{"gain" if value >= 0 else "loss"}" {size}><title>{escape(titles[k])}</title></rect>')
        parts.append(f'<text class="tick" x="{LEFT + (k + 0.5) * step:.1f}" y="{height - 5}" text-anchor="middle">{k + 1}</text>')
    return "".join([*parts, "</svg>"])


def sparkline(values: Sequence[float], *, label: str) -> str:
    """A line without axes for a cell of a table; less than two values give nothing."""
    known = [float(value) for value in values if math.isfinite(value)]
    if len(known) < 2:
        return ""
    if len(known) > SPARK_POINTS:
        known = [known[k * (len(known) - 1) // (SPARK_POINTS - 1)] for k in range(SPARK_POINTS)]
    low, high = min(known), max(known)
    step, span = 88 / (len(known) - 1), (high - low) or 1.0
    points = " ".join(f"{1 + k * step:.1f},{20 - 18 * (value - low) / span:.1f}" for k, value in enumerate(known))
    return (
        f'<svg class="inline" viewBox="0 0 90 22" role="img" aria-label="{escape(label)}"><polyline class="both" points="{points}"/></svg>'
    )


def scatter_chart(x: Floats, y: Floats, marks: Sequence[float], *, label: str, height: int = 260, joined: bool = False) -> str:
    """Points (or, `joined`, a line through them) with both axes; `marks` are vertical lines at values of `x`."""
    finite = np.isfinite(x) & np.isfinite(y)
    x, y = x[finite], y[finite]
    if not len(x):
        return _svg_open(height, f"{label}: no values") + "</svg>"
    across, up = (
        _ticks(min([float(x.min()), *marks]), max([float(x.max()), *marks])) if marks else _ticks(float(x.min()), float(x.max())),
        _ticks(float(y.min()), float(y.max())),
    )
    inner = height - BOTTOM - 8

    def place(value: float, ticks: Sequence[float], start: float, length: float) -> float:
        return start + length * (value - ticks[0]) / ((ticks[-1] - ticks[0]) or 1.0)

    def px(value: float) -> float:
        return place(value, across, LEFT, PLOT)

    def py(value: float) -> float:
        return 8 + inner - place(value, up, 0.0, inner)

    parts = [_svg_open(height, label), *(_rule(py(tick), _short(tick)) for tick in up)]
    parts += [_time_mark(px(tick), height, escape(_short(tick)), odd=bool(k % 2)) for k, tick in enumerate(across)]
    parts += [f'<line class="cut" x1="{px(mark):.1f}" x2="{px(mark):.1f}" y1="8" y2="{8 + inner}"/>' for mark in marks]
    pairs = [(px(a), py(b)) for a, b in zip(x.tolist(), y.tolist(), strict=True)]
    if joined:
        parts.append(f'<polyline class="both" points="{" ".join(f"{a:.1f},{b:.1f}" for a, b in pairs)}"/>')
    else:
        parts += [f'<circle class="point" cx="{a:.1f}" cy="{b:.1f}" r="4"/>' for a, b in pairs]
    return "".join([*parts, "</svg>"])


def histogram_chart(edges: Sequence[float], counts: Sequence[int], marks: Sequence[float], *, label: str, height: int = 200) -> str:
    """Counts between `edges` as bars; `marks` are vertical lines."""
    across, up = (
        _ticks(min([edges[0], *marks]), max([edges[-1], *marks])) if marks else _ticks(edges[0], edges[-1]),
        _ticks(0.0, float(max(counts))),
    )
    inner = height - BOTTOM - 8

    def px(value: float) -> float:
        return LEFT + PLOT * (value - across[0]) / ((across[-1] - across[0]) or 1.0)

    def py(value: float) -> float:
        return 8 + inner * (1 - value / (up[-1] or 1.0))

    parts = [_svg_open(height, label), *(_rule(py(tick), _short(tick)) for tick in up)]
    parts += [_time_mark(px(tick), height, escape(_short(tick)), odd=bool(k % 2)) for k, tick in enumerate(across)]
    for (low, high), count in zip(itertools.pairwise(edges), counts, strict=True):
        size = f'x="{px(low):.1f}" y="{py(count):.1f}" width="{max(0.6, px(high) - px(low) - 1):.1f}" height="{py(0) - py(count):.1f}"'
        parts.append(f'<rect class="bar" {size}><title>{low:.4g} to {high:.4g}: {count}</title></rect>')
    parts += [f'<line class="cut" x1="{px(mark):.1f}" x2="{px(mark):.1f}" y1="8" y2="{8 + inner}"/>' for mark in marks]
    return "".join([*parts, "</svg>"])


def heat_map(names: Sequence[str], starts: Sequence[int], rows: Sequence[Sequence[float]], *, label: str) -> str:
    """One row of cells per name, one column per slice of time; a cell is the darker the larger its share (0 to 1) is among all."""
    left, row = 190, 18
    width = (WIDTH - left - RIGHT) / max(1, len(starts))
    height = row * len(names) + BOTTOM + 8
    largest = max((value for values in rows for value in values), default=0.0) or 1.0
    parts = [_svg_open(height, label)]
    for k, (name, values) in enumerate(zip(names, rows, strict=True)):
        y = 8 + k * row
        parts.append(f'<text class="tick" x="{left - 8}" y="{y + row - 5}" text-anchor="end">{escape(name[:28])}</text>')
        for j, value in enumerate(values):
            title = f"{name}, from {datetime.fromtimestamp(starts[j], tz=UTC):%Y-%m-%d}: {100 * value:.0f} %"
            place = f'x="{left + j * width:.1f}" y="{y}" width="{width - 0.5:.1f}" height="{row - 2}"'
            parts.append(f'<rect class="cell" {place} fill-opacity="{value / largest:.2f}"><title>{escape(title)}</title></rect>')
    for j in range(0, len(starts), max(1, len(starts) // 8)):
        text = datetime.fromtimestamp(starts[j], tz=UTC).strftime("%Y-%m")
        parts.append(f'<text class="tick" x="{left + j * width:.1f}" y="{height - 5}">{text}</text>')
    return "".join([*parts, "</svg>"])


def value_map(across: Sequence[str], down: Sequence[str], cells: Sequence[Sequence[float | None]], *, label: str) -> str:
    """A cell per pair of settings with its value written in it, the darker the larger; a pair without a value is empty.

    `cells` has a row per name of `down` and a value per name of `across`. The darkest is half opaque: ink stays readable on it.
    """
    left, row = 190, 34
    width = (WIDTH - left - RIGHT) / max(1, len(across))
    known = [value for values in cells for value in values if value is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    height = row * len(down) + BOTTOM + 8
    parts = [_svg_open(height, label)]
    for k, (name, values) in enumerate(zip(down, cells, strict=True)):
        y = 8 + k * row
        parts.append(f'<text class="tick" x="{left - 8}" y="{y + row / 2 + 3:.1f}" text-anchor="end">{escape(name[:28])}</text>')
        for j, value in enumerate(values):
            if value is None:
                continue
            title = escape(f"{across[j]}, {name}: {value:.4g}")
            shade = 0.05 + 0.45 * ((value - low) / (high - low) if high > low else 0.5)
            place = f'x="{left + j * width:.1f}" y="{y}" width="{width - 2:.1f}" height="{row - 2}"'
            parts.append(f'<rect class="cell" {place} fill-opacity="{shade:.2f}"><title>{title}</title></rect>')
            middle = f'x="{left + (j + 0.5) * width:.1f}" y="{y + row / 2 + 3:.1f}"'
            parts.append(f'<text class="value" {middle} text-anchor="middle">{_short(value)}</text>')
    for j, name in enumerate(across):
        place = f'x="{left + (j + 0.5) * width:.1f}" y="{height - 5}"'
        parts.append(f'<text class="tick" {place} text-anchor="middle">{escape(name[:28])}</text>')
    return "".join([*parts, "</svg>"])


def _svg_open(height: int, label: str, *, role: str = "img") -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="{role}" aria-label="{escape(label)}">'


def _rule(y: float, text: str) -> str:
    return (
        f'<line class="grid" x1="{LEFT}" x2="{LEFT + PLOT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="tick" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{escape(text)}</text>'
    )


def _time_mark(x: float, height: int, text: str, *, odd: bool) -> str:
    """A mark on the axis; a narrow page hides the words of every second one."""
    anchor = "start" if x < LEFT + 30 else "end" if x > LEFT + PLOT - 30 else "middle"
    return (
        f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{height - BOTTOM}" y2="{height - BOTTOM + 4}"/>'
        f'<text class="tick{" odd" if odd else ""}" x="{x:.1f}" y="{height - 5}" text-anchor="{anchor}">{text}</text>'
    )


def _ticks(low: float, high: float, wanted: int = 4) -> list[float]:
    """Round values that enclose `[low, high]`."""
    if not high > low:
        pad = abs(low) * 0.01 or 1.0
        low, high = low - pad, high + pad
    raw = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * k for k in (1, 2, 2.5, 5, 10) if power * k >= raw * 0.999)
    start, stop = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [k * step for k in range(start, stop + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten that enclose `[low, high]`; powers alone if those would be many."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    every = (1, 2, 5) if len(powers) <= 4 else (1,)
    marks = sorted({k * 10.0**p for p in powers for k in every})
    start = max((k for k, m in enumerate(marks) if m <= low), default=0)
    stop = next((k for k, m in enumerate(marks) if m >= high), len(marks) - 1)
    return marks[start : stop + 1]


def _number_ticks(first: float, last: float) -> list[tuple[float, str]]:
    """Round whole numbers from `first` to `last`."""
    return [(tick, f"{tick:.0f}") for tick in _ticks(first, last, 8) if first <= tick <= last and tick == round(tick)]


def _time_ticks(first: int, last: int, wanted: int = 9) -> list[tuple[int, str]]:
    """Starts of years, months or days between two times, and how they are written."""
    start, end = (datetime.fromtimestamp(t, tz=UTC) for t in (first, last))
    months = (end.year - start.year) * 12 + end.month - start.month
    if months < 4:
        days = max(1, math.ceil((last - first) / 86_400 / wanted))
        midnight = -(-first // 86_400) * 86_400
        stamps = range(midnight, last + 1, days * 86_400)
        return [(t, datetime.fromtimestamp(t, tz=UTC).strftime("%d %b")) for t in stamps]
    step = next((k for k in (1, 3, 6, 12, 24, 60, 120, 240, 600) if months / k <= wanted), 1200)
    marks = []
    for month in range(start.year * 12 + start.month, end.year * 12 + end.month):
        if month % step == 0:
            at = datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC)
            marks.append((int(at.timestamp()), at.strftime("%Y" if step >= 12 else "%b %Y")))
    return [(t, text) for t, text in marks if first <= t <= last]


def _short(value: float) -> str:
    """A number as short as an axis wants it."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.4g}{letter}"
    return f"{value:.4g}"
