"""A block of text brought to one form, and the raw frame that a reader makes of it: what the fast and the strict reader share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from chronos_assets.errors import BarsError
from chronos_assets.ingest.declared_moments import Moments
from chronos_assets.ingest.dialect import Dialect, not_utf8

_QUOTE, _LF, _BLANK, _TAB = 0x22, 0x0A, 0x20, 0x09


@dataclass(frozen=True)
class RawBatch:
    """Some rows of a file. `frame` has one column per column of the file, under its `label`: keys and excluded ones as text (or
    whatever a typed file holds), all others Float64. `row_of(i)` is the row of the file that row `i` of the frame came from."""

    frame: pl.DataFrame
    row_of: Callable[[int], int]
    blank_lines: int = 0
    moments: Moments | None = None
    """Date and Time in a declared form, if they were read already."""


@dataclass(frozen=True)
class TextBlock:
    """A checked block of text: LF line ends, no NUL, UTF-8, quotes in order."""

    text: bytes
    first_line: int
    quotes: npt.NDArray[np.int64]
    ends_file: bool

    def line_at(self, offset: int) -> int:
        """Line number, counted in the file from 1, of the byte at `offset`."""
        return self.first_line + self.text.count(b"\n", 0, offset)


def separators(block: TextBlock, dialect: Dialect) -> npt.NDArray[np.int64]:
    """Offsets of the delimiters outside quotes."""
    data = np.frombuffer(block.text, dtype=np.uint8)
    found = np.flatnonzero(data == ord(dialect.separator))
    return found[np.searchsorted(block.quotes, found) % 2 == 0] if len(block.quotes) else found


def check_block(text: bytes, first_line: int, dialect: Dialect, name: str, *, ends_file: bool) -> TextBlock:
    """Bring line ends and blanks of a block to one form; raises `BarsError` for NUL bytes, other encodings and stray quotes."""
    if b"\r" in text:
        text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if (at := text.find(b"\x00")) >= 0:
        row = first_line + text.count(b"\n", 0, at)
        raise BarsError(
            "the file holds a NUL byte", code="nul_byte", file=name, row=row, hint="Export it again: it is damaged or not text."
        )
    if not text.isascii():
        try:
            text.decode()
        except UnicodeDecodeError as error:
            raise not_utf8(text, error.start, first_line + text.count(b"\n", 0, error.start), name) from None
    block = TextBlock(text, first_line, _quote_offsets(text), ends_file)
    if dialect.delimiter == "blanks":
        text = _collapse_blanks(block)
        block = TextBlock(text, first_line, _quote_offsets(text), ends_file)
    if len(block.quotes):
        _check_quotes(block, ord(dialect.separator), name)
    return block


def _quote_offsets(text: bytes) -> npt.NDArray[np.int64]:
    if b'"' not in text:
        return np.empty(0, dtype=np.int64)
    return np.flatnonzero(np.frombuffer(text, dtype=np.uint8) == _QUOTE)


def _collapse_blanks(block: TextBlock) -> bytes:
    """Runs of blanks outside quotes become one tab; blanks at either end of a line go."""
    data = np.frombuffer(block.text, dtype=np.uint8)
    blank = (data == _BLANK) | (data == _TAB)
    if len(block.quotes):
        where = np.flatnonzero(blank)
        blank[where[np.searchsorted(block.quotes, where) % 2 == 1]] = False
    line_end = data == _LF
    after = np.concatenate(([True], blank[:-1] | line_end[:-1]))
    collapsed = np.where(blank, np.uint8(_TAB), data)[~(blank & after)]
    # A single tab left before a line end stood at the end of a line.
    tab = collapsed == _TAB
    ends = np.concatenate((collapsed[1:] == _LF, [True]))
    return bytes(collapsed[~(tab & ends)].data)


def _check_quotes(block: TextBlock, separator: int, name: str) -> None:
    """Quotes must open at the start of a cell, close at its end, and hold no line break."""
    data = np.frombuffer(block.text, dtype=np.uint8)
    quotes = block.quotes
    lines = np.flatnonzero(data == _LF)
    inside = lines[np.searchsorted(quotes, lines) % 2 == 1]
    if len(inside) or len(quotes) % 2:
        opened = quotes[np.searchsorted(quotes, inside[0]) - 1] if len(inside) else quotes[-1]
        raise BarsError(
            "a quoted cell is not closed on its line",
            code="quote_open",
            file=name,
            row=block.line_at(int(opened)),
            hint="Close the quote; cells cannot hold line breaks.",
        )
    edges = np.array([separator, _LF, _QUOTE], dtype=np.uint8)
    before = data[np.maximum(quotes[0::2] - 1, 0)]
    after = data[np.minimum(quotes[1::2] + 1, len(data) - 1)]
    stray_open = ~np.isin(before, edges) & (quotes[0::2] > 0)
    stray_close = ~np.isin(after, edges) & (quotes[1::2] < len(data) - 1)
    stray = np.flatnonzero(stray_open | stray_close)
    if len(stray):
        raise BarsError(
            "there is a quote in the middle of a cell",
            code="quote_stray",
            file=name,
            row=block.line_at(int(quotes[2 * stray[0]])),
            hint="Quote the whole cell and double the quotes inside it, or take them out.",
        )
