"""Blocks of text into raw frames: fast where the text is well formed, strict where anything is odd.

The fast path is Polars' CSV reader with a fixed schema (its floats are correctly rounded, as Python's are). It alone would pass over
rows that are too short, so every block is checked for them; whatever it refuses or leaves odd goes to `text_strict`, which
names row, column and value.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from chronos_assets.domain.bars_spec import BarsSpec
from chronos_assets.errors import BarsError
from chronos_assets.ingest.dialect import Dialect, not_utf8
from chronos_assets.ingest.names import Column
from chronos_assets.ingest.prefetch import side_by_side

_QUOTE, _LF, _BLANK, _TAB = 0x22, 0x0A, 0x20, 0x09
_COUNT_BYTES = 1 << 18
_SIDE_BY_SIDE = 2


@dataclass(frozen=True)
class RawBatch:
    """Some rows of a file. `frame` has one column per column of the file, under its `label`: keys and excluded ones as text (or
    whatever a typed file holds), all others Float64. `row_of(i)` is the row of the file that row `i` of the frame came from."""

    frame: pl.DataFrame
    row_of: Callable[[int], int]
    blank_lines: int = 0


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


def read_text(
    texts: Iterator[bytes], dialect: Dialect, columns: Sequence[Column], spec: BarsSpec, name: str, *, stack: contextlib.ExitStack
) -> Iterator[RawBatch]:
    """Raw frames of the lines below the header. `texts` yields the blocks of the file after the header line.

    Two blocks are tried side by side, so that Polars' threads find work between them; what is odd is then read strictly, in order.
    """
    from chronos_assets.ingest.text_strict import read_strictly

    line = dialect.header_line + 1
    blank = 0  # lines since the last row, in blocks that hold nothing else
    schema: pl.Schema = pl.Schema({c.label: pl.Float64() if c.is_data else pl.String() for c in columns})
    plain = dialect.delimiter != "blanks" and _may_be_plain(columns)

    def attempt(text: bytes) -> pl.DataFrame | bytes | int:
        if text.isspace() and long_line(text, spec.max_line_bytes) is None:
            return _count_lines(text)
        frame = _read_plain(text, dialect, schema, columns, spec) if plain else None
        if frame is None:
            frame = _read_checked(text, dialect, schema, columns, spec=spec, name=name)
        return text if frame is None else frame

    made = side_by_side(attempt, texts, _SIDE_BY_SIDE, stack)
    coming = next(made, None)
    while coming is not None:
        found = coming
        if isinstance(found, pl.DataFrame):
            yield RawBatch(found, _counter(line), blank)
            blank = 0
            line += found.height
            coming = next(made, None)
            continue
        coming = next(made, None)
        if isinstance(found, int):
            blank += found
            line += found
            continue
        block = check_block(found, line, dialect, name, ends_file=coming is None)
        if not block.text:
            # Blanks without a line end, at the end of a file between blanks.
            continue
        _refuse_long_line(block, spec, name)
        lines = _count_lines(block.text)
        batch = read_strictly(block, dialect, columns, name)
        if batch is None:
            blank += lines
        else:
            yield replace(batch, blank_lines=batch.blank_lines + blank)
            blank = 0
        line += lines


def _may_be_plain(columns: Sequence[Column]) -> bool:
    """Whether every cell but Date and Time must be a number, the last one of a row too."""
    return all(column.is_data or column.key in {"date", "time"} for column in columns) and columns[-1].is_data


def _read_plain(text: bytes, dialect: Dialect, schema: pl.Schema, columns: Sequence[Column], spec: BarsSpec) -> pl.DataFrame | None:
    """The frame of a block where every cell but Date and Time must be a number (`_may_be_plain`): whatever is odd then fails to parse.

    NUL bytes, quotes, other encodings and lone CRs are no part of a number, so none of them needs a look; a row that is too short leaves
    its last cell null, and a blank line its date. Date and Time are read as text (leading zeros tell), so they are tried as numbers here.
    """
    if long_line(text, spec.max_line_bytes):
        return None
    most = _most_rows(text, columns)
    try:
        frame = pl.read_csv(text, has_header=False, schema=schema, separator=dialect.separator, quote_char=None, n_rows=most + 1)
    except pl.exceptions.PolarsError:
        return None
    if frame.height > most:
        return None
    if any(frame[column.label].cast(pl.Int64, strict=False).null_count() for column in columns if column.key):
        return None
    if frame.to_series(frame.width - 1).null_count() and not _is_rectangular(text, dialect, frame):
        return None
    return frame.rechunk()


def long_line(text: bytes, limit: int) -> tuple[int, int] | None:
    """Start and end of a line of more than `limit` bytes, or None. Such a line covers at least one whole window of half the limit."""
    window = max(1, limit // 2)
    for start in range(0, len(text) - window + 1, window):
        if text.find(b"\n", start, start + window) < 0:
            begin, end = text.rfind(b"\n", 0, start) + 1, text.find(b"\n", start)
            end = len(text) if end < 0 else end
            if end - begin > limit:
                return begin, end
    return None


def _refuse_long_line(block: TextBlock, spec: BarsSpec, name: str) -> None:
    found = long_line(block.text, spec.max_line_bytes)
    if found is not None:
        raise BarsError(
            "a line is too long",
            code="line_too_long",
            expected=f"at most {spec.max_line_bytes} bytes",
            found=f"{found[1] - found[0]} bytes",
            hint="A cell or the line end is damaged: export the file again.",
            file=name,
            row=block.line_at(found[0]),
        )


def _most_rows(text: bytes, columns: Sequence[Column]) -> int:
    """Rows that a text can hold where none is too short; with more (a block of blank lines) a frame could be far larger than the text."""
    return len(text) // len(columns) + 1


def _count_lines(text: bytes) -> int:
    """How many there are, whatever ends them."""
    ends = text.count(b"\n") + text.count(b"\r") - text.count(b"\r\n")
    return ends + (0 if text.endswith((b"\n", b"\r")) else 1)


def _is_rectangular(text: bytes, dialect: Dialect, frame: pl.DataFrame) -> bool:
    """Whether there are as many delimiters as a full table has (no row can have more: that is an error of the reader)."""
    return _count(text, ord(dialect.separator)) == frame.height * (frame.width - 1)


def _count(text: bytes, byte: int) -> int:
    """How often `byte` occurs. By numpy, faster than `bytes.count` and without the interpreter lock; in pieces that stay in the cache."""
    data = np.frombuffer(text, dtype=np.uint8)
    found = np.empty(min(_COUNT_BYTES, len(data)), dtype=np.bool_)
    pieces = (data[start : start + _COUNT_BYTES] for start in range(0, len(data), _COUNT_BYTES))
    return sum(int(np.count_nonzero(np.equal(piece, byte, out=found[: len(piece)]))) for piece in pieces)


def _date(columns: Sequence[Column]) -> str:
    return next(c.label for c in columns if c.key == "date")


def _counter(first: int) -> Callable[[int], int]:
    return lambda index: first + index


def _read_checked(
    text: bytes, dialect: Dialect, schema: pl.Schema, columns: Sequence[Column], *, spec: BarsSpec, name: str
) -> pl.DataFrame | None:
    """The frame of a block brought to one form, or None if anything about it needs the strict reader (which then says what)."""
    try:
        block = check_block(text, 1, dialect, name, ends_file=False)
    except BarsError:
        return None
    lines = _count_lines(block.text)
    if not block.text or long_line(block.text, spec.max_line_bytes) or lines > _most_rows(block.text, columns):
        return None
    try:
        frame = pl.read_csv(
            block.text,
            has_header=False,
            schema=schema,
            separator=dialect.separator,
            quote_char='"' if len(block.quotes) else None,
        )
    except pl.exceptions.PolarsError:
        return None
    if frame.height != lines or frame[_date(columns)].null_count():
        return None
    last = frame.to_series(frame.width - 1)
    if last.null_count() and len(separators(block, dialect)) != lines * (frame.width - 1):
        return None
    return frame.rechunk()


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
