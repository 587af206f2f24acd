"""Small files of bars for the tests of reading them: the table is built here, each test bends one thing in it."""

from __future__ import annotations

from pathlib import Path

from chronos_assets.ingest import BarsReport, BarsSpec, normalize

HEADER = "Date,Time,Open,RSI,TGT"


def lines(count: int = 12) -> list[str]:
    """`count` rows of 4h bars from 2024-05-01, HHMM without padding, three numbers each."""
    return [f"{20240501 + i // 6},{i % 6 * 400},{100 + i},{i * 1.5},{i * 7919 % 13}" for i in range(count)]


def table(rows: list[str] | None = None, header: str = HEADER, end: str = "\n") -> bytes:
    """A file of `rows` (the usual twelve by default)."""
    return (end.join([header, *(lines() if rows is None else rows)]) + end).encode()


def bend(row: int, text: str) -> bytes:
    """The usual file with line `row` (the header is line 1) replaced by `text`."""
    rows = lines()
    rows[row - 2] = text
    return table(rows)


def read(folder: Path, content: bytes, spec: BarsSpec | None = None, name: str = "case.csv") -> BarsReport:
    """Write `content` to a file in `folder` and normalize it to `bars.arrow` beside it."""
    source = folder / name
    source.write_bytes(content)
    return normalize(source, spec or BarsSpec(), folder / "out" / "bars.arrow")
