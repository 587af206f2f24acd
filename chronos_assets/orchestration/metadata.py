"""What a page of Dagster shows of our results: numbers that plot over time, small pictures, bounded tables, links to the console."""

from __future__ import annotations

import base64
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from dagster import MetadataValue, TableColumn, TableRecord, TableSchema

from chronos_assets.orchestration.dagster_internals import MarkdownMetadataValue, TableMetadataValue
from chronos_assets.settings import Settings
from chronos_assets.storage.dashboard_address import page_address

POINTS, POINTS_OF_TWO = 60, 40
STEPS, LEVELS = 118, 38
WIDTH, HEIGHT = 354, 60  # in pixels; the page shows a data URI inline only if the whole text is below 1,000 characters
TABLE_ROWS = 10


def numbers(values: Mapping[str, Any], prefix: str = "") -> dict[str, int | float]:
    """Those of `values` that are finite numbers (booleans left out), under `prefix` + name: Dagster plots each over time.

    To six digits, which is what a reader can use; the stores hold all of them.
    """
    return {
        f"{prefix}{name}": rounded(value) if isinstance(value, float) else value
        for name, value in values.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    }


def rounded(value: float) -> float:
    """Six digits of it."""
    return float(f"{value:.6g}")


def sparkline(
    values: Sequence[float | None], caption: str, *, dates: tuple[str, str] = ("", ""), beside: Sequence[float | None] | None = None
) -> MarkdownMetadataValue:
    """`values` as one line of at most 60 points, drawn inline below `caption` and its two dates (the text alone if there is no line).

    The dates have a line of their own: an asset's page shows some fifty letters of one, and does not wrap it.

    `beside`: another line on the same scale, in grey and of the same length (a benchmark).
    """
    caption = f"{caption}\n\n{dates[0][:10]} to {dates[1][:10]}" if all(dates) else caption
    line, other = _known(values), _known(beside or ())
    if len(line) < 2:
        return MetadataValue.md(caption)
    largest = max(abs(v) for v in (*line, *other)) or 1.0
    count = POINTS if len(other) < 2 else POINTS_OF_TWO
    lines = [[v / largest for v in _sample(one, count)] for one in (other, line) if len(one) >= 2]  # no difference of two overflows
    low, high = min(map(min, lines)), max(map(max, lines))
    up = line[-1] >= line[0]
    colours = (["#aaa"] if len(lines) == 2 else []) + ["#2a7" if up else "#c43"]
    paths = "".join(
        f"<path stroke='{colour}' d='{_path(one, low, (high - low) or 1.0)}'/>" for colour, one in zip(colours, lines, strict=True)
    )
    svg = (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{HEIGHT}' viewBox='0 0 {2 * STEPS} {LEVELS + 2}' fill='none'>"
        f"{paths}</svg>"
    )
    return MetadataValue.md(f"{caption}\n\n![](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})")


def _known(values: Sequence[float | None]) -> list[float]:
    return [float(v) for v in values if v is not None and math.isfinite(v)]


def _path(line: Sequence[float], low: float, span: float) -> str:
    """A line from left to right as the shortest text: the first point, then steps relative to the one before."""
    xs = [round(2 * STEPS * i / (len(line) - 1)) for i in range(len(line))]
    ys = [1 + round(LEVELS * (1.0 - (v - low) / span)) for v in line]
    steps = zip(itertools.pairwise(xs), itertools.pairwise(ys), strict=True)
    return f"M0 {ys[0]}l" + "".join(
        f"{b - a}{d - c if d < c else f' {d - c}'}" + (" " if i < len(line) - 2 else "") for i, ((a, b), (c, d)) in enumerate(steps)
    )


def fold_strip(sums: Sequence[float], caption: str) -> MarkdownMetadataValue:
    """Folds from left to right below `caption`: green where the signals of a cell gained, red where they lost, grey where they did neither.

    At most 60 cells: with more folds, a cell is the sum of its neighbours.
    """
    if not sums:
        return MetadataValue.md(f"{caption}: none")
    count = min(POINTS, len(sums))
    cells = [math.fsum(sums[i * len(sums) // count : (i + 1) * len(sums) // count]) for i in range(count)]
    marks = [0 if not math.isfinite(cell) else (cell > 0) - (cell < 0) for cell in cells]
    paths = "".join(
        f"<path stroke='{colour}' stroke-width='2' d='{_runs_of(marks, sign)}'/>" for sign, colour in ((1, "#2a7"), (-1, "#c43"))
    )
    size = f"width='{6 * count}' height='12' viewBox='0 0 {count} 2'"
    svg = f"<svg xmlns='http://www.w3.org/2000/svg' {size} style='background:#bbb'>{paths}</svg>"
    many = "" if count == len(sums) else f"{count} cells: "
    text = f"{len(sums)} {caption}\n\n{many}green gained, red lost, grey neither"
    return MetadataValue.md(f"{text}\n\n![](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})")


def share_strips(rows: Sequence[tuple[str, Sequence[float]]], caption: str) -> MarkdownMetadataValue:
    """One strip per name below `caption`: shares (0 to 1) from left to right, the darker the greater, in five steps."""
    if not rows:
        return MetadataValue.md(f"{caption}: none")
    cells = [[min(int(5 * share), 4) for share in _sample(list(shares))] for _, shares in rows]
    paths = "".join(
        f"<path stroke='#258' stroke-opacity='{level / 4:g}' d='{d}'/>"
        for level in range(1, 5)
        if (d := "".join(_strokes([one == level for one in row], 2 * y + 1) for y, row in enumerate(cells)))
    )
    width, height = max(len(row) for row in cells), 2 * len(cells)
    size = f"width='{6 * width}' height='{6 * height}' viewBox='0 0 {width} {height}'"
    svg = f"<svg xmlns='http://www.w3.org/2000/svg' {size} stroke-width='1.6' style='background:#eee'>{paths}</svg>"
    names = ", ".join(plain(name) for name, _ in rows)
    text = f"{caption}; from top to bottom {names}; white below 20 %, darkest from 80 %"
    return MetadataValue.md(f"{text}\n\n![](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})")


def _runs_of(marks: Sequence[int], sign: int) -> str:
    """Horizontal strokes over the cells that bear `sign`, neighbours in one stroke."""
    return _strokes([mark == sign for mark in marks], 1)


def _strokes(cells: Sequence[bool], y: int) -> str:
    """Horizontal strokes at height `y` over the cells that are true, neighbours in one stroke."""
    strokes, start = [], 0
    for marked, group in itertools.groupby(cells):
        length = len(list(group))
        if marked:
            strokes.append(f"M{start} {y}h{length}")
        start += length
    return "".join(strokes)


def table(rows: Sequence[Mapping[str, Any]]) -> TableMetadataValue:
    """At most ten `rows` as a table; columns are those of the first row."""
    shown = [{key: _cell(value) for key, value in row.items()} for row in rows[:TABLE_ROWS]]
    columns = [TableColumn(name, _column_type(shown, name)) for name in (shown[0] if shown else {})]
    return MetadataValue.table([TableRecord(row) for row in shown], schema=TableSchema(columns))


def column_schema(columns: Sequence[tuple[str, str, str]]) -> TableSchema:
    """A schema of (name, type, description)."""
    return TableSchema([TableColumn(name, kind, description=text) for name, kind, text in columns])


def markdown_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """At most ten `rows` as a Markdown table, for the description of a check."""
    if not rows:
        return ""
    names = list(rows[0])
    lines = ["| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]
    lines += ["| " + " | ".join(_escaped(row.get(name)) for name in names) + " |" for row in rows[:TABLE_ROWS]]
    return "\n".join(lines)


def page_link(settings: Settings, path: str) -> MarkdownMetadataValue:
    """A page of the dashboard."""
    return MetadataValue.md(f"[{path}]({page_address(settings, path)})")


def console_link(base: str, sql: str, words: str) -> MarkdownMetadataValue:
    """A link to the QuestDB console with `sql` filled in and run; the console asks who you are."""
    link = f"[{words}]({base}/?query={quote(sql, safe='')}&executeQuery=true)"
    return MetadataValue.md(
        f"{link} in the QuestDB console; it asks for the user and password in the file that `chronos services status` names"
    )


def _sample(values: list[float], count: int = POINTS) -> list[float]:
    """At most `count` of the values, evenly spaced, first and last among them."""
    if len(values) <= count:
        return values
    last = len(values) - 1
    return [values[round(i * last / (count - 1))] for i in range(count)]


def _cell(value: Any) -> str | int | float | bool | None:
    if isinstance(value, float):
        return rounded(value) if math.isfinite(value) else str(value)
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)


def _column_type(rows: list[dict[str, Any]], name: str) -> str:
    kinds = {type(row[name]) for row in rows if row[name] is not None}
    return {frozenset({int}): "int", frozenset({float}): "float", frozenset({bool}): "bool"}.get(frozenset(kinds), "string")


def plain(text: str) -> str:
    """`text` for Markdown that shows it as it is: `<stream end>` would be taken for a tag, and vanish."""
    return text.replace("&", "&amp;").replace("<", "&lt;")


def _escaped(value: object) -> str:
    return plain(str("" if value is None else value)).replace("|", "\\|").replace("\n", " ")
