"""The first lines of a file that is refused, split in every way in which they could be a table."""

from __future__ import annotations

import contextlib
import csv
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from chronos_assets.domain.bars_spec import DELIMITERS, BarsSpec, Delimiter, FormatSpec
from chronos_assets.errors import RefusedError
from chronos_assets.ingest.dialect import UTF8_BOM, split_line
from chronos_assets.ingest.source import HashingReader, file_kind, open_source, text_blocks

SAMPLE_BYTES = 1 << 18
_LOOK_LINES = 12
_SAMPLE_ROWS = 400
_NUMBERLIKE = re.compile(r"[+-]?[$€£¥]?[ +-]?[0-9][0-9.,' \u00a0_:/TZ+-]*([eE][+-]?[0-9]+)?[KMBTkmbt%]?|")
_HAS_DIGIT = re.compile(r"[0-9]")


@dataclass(frozen=True)
class Layout:
    """One way to split a file: where its header is (None: it has none), lines above the bars, names, and the first rows as cells."""

    delimiter: Delimiter
    header_line: int | None
    skip_lines: int
    names: list[str]
    rows: list[list[str]]

    def column(self, position: int) -> list[str]:
        """Cells of one column."""
        return [row[position].strip() for row in self.rows]


@dataclass(frozen=True)
class Head:
    """The beginning of a text file: whole lines, and how they are encoded."""

    lines: list[str]
    sample: bytes
    whole: bool
    """Whether that is all of the file."""
    encoding: str


def read_head(source: Path) -> Head | None:
    """The beginning of the file at `source`; None if it is no text that can be read."""
    for encoding in ("utf-8", "by_mark"):
        spec = BarsSpec(format=FormatSpec.model_validate({"encoding": encoding}))
        with contextlib.suppress(RefusedError, UnicodeDecodeError), open_source(source) as file:
            kind = file_kind(file, source.name)
            if kind not in {"text", "gzip", "zstd"}:
                return None
            blocks = text_blocks(HashingReader(file), kind, spec, source.name)
            text = b""
            for block in blocks:
                text += block
                if len(text) >= SAMPLE_BYTES:
                    break
            whole = next(blocks, None) is None
            if not whole:
                text = text[: text.rfind(b"\n", 0, SAMPLE_BYTES) + 1] or text
            decoded = text.removeprefix(UTF8_BOM).decode()
            if "\x00" in decoded:
                continue
            lines = decoded.splitlines() if "\n" not in decoded else decoded.replace("\r\n", "\n").split("\n")
            return Head(lines, text, whole, encoding)
    return None


def layouts(head: Head) -> Iterator[Layout]:
    """Every way in which the first lines are a table: one header line (or none), then rows of as many cells."""
    first = next((number for number, line in enumerate(head.lines) if line.strip()), None)
    if first is None:
        return
    for delimiter in DELIMITERS:
        split = [_split(line, delimiter) for line in head.lines[: _LOOK_LINES + _SAMPLE_ROWS]]
        for at in range(first, min(first + _LOOK_LINES, len(split))):
            names = split[at]
            if len(names) < 2:
                continue
            if at == first and _is_row(names):
                rows = _rows(split[at:], len(names))
                if rows:
                    yield Layout(delimiter, None, at, [], rows)
            elif not _is_row(names):
                below = next((i for i in range(at + 1, min(at + 4, len(split))) if len(split[i]) == len(names) and _is_row(split[i])), None)
                rows = [] if below is None else _rows(split[below:], len(names))
                if rows and below is not None:
                    yield Layout(delimiter, at + 1, below if below > at + 1 else 0, [name.strip() for name in names], rows)


def _split(line: str, delimiter: Delimiter) -> list[str]:
    try:
        return split_line(line, delimiter)
    except csv.Error:
        return []


def _is_row(cells: list[str]) -> bool:
    """Whether these look like cells of a bar: most of them numbers or dates."""
    numbers = sum(1 for cell in cells if _HAS_DIGIT.search(cell) and _NUMBERLIKE.fullmatch(cell.strip()))
    return numbers >= 2 and 2 * numbers >= sum(1 for cell in cells if cell.strip())


def _rows(split: list[list[str]], width: int) -> list[list[str]]:
    """The rows up to the first that has another number of cells."""
    filled = (cells for cells in split if any(cell.strip() for cell in cells))
    return list(itertools.takewhile(lambda cells: len(cells) == width, itertools.islice(filled, _SAMPLE_ROWS)))
