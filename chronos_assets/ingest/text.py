"""Blocks of text into raw frames: fast if the text is well formed, strict if anything is odd.

The fast path is Polars' CSV reader with a fixed schema (its floats are correctly rounded, as Python's are). It alone would pass over
rows that are too short, so every block is checked for them; whatever it refuses or leaves odd goes to `text_strict`, which
names row, column and value.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from chronos_assets.domain.bars_spec import BarsSpec
from chronos_assets.errors import BarsError
from chronos_assets.ingest.dialect import Dialect
from chronos_assets.ingest.names import Column
from chronos_assets.ingest.prefetch import side_by_side
from chronos_assets.ingest.text_block import RawBatch, TextBlock, check_block, separators
from chronos_assets.ingest.text_rules import ReadFrame, Rules
from chronos_assets.ingest.text_strict import read_strictly

_COUNT_BYTES = 1 << 18
_SIDE_BY_SIDE = 2


def read_text(
    texts: Iterator[bytes], dialect: Dialect, columns: Sequence[Column], spec: BarsSpec, name: str, *, stack: contextlib.ExitStack
) -> Iterator[RawBatch]:
    """Raw frames of the lines below the header. `texts` yields the blocks of the file after the header line.

    Two blocks are tried side by side, so that Polars' threads find work between them; what is odd is then read strictly, in order.
    """
    line = dialect.header_line + 1
    blank = 0  # lines since the last row, in blocks that hold nothing else
    rules = Rules.of(columns, spec, name)
    plain = dialect.delimiter != "blanks" and _may_be_plain(columns)

    def attempt(text: bytes) -> ReadFrame | bytes | int:
        if text.isspace() and long_line(text, spec.max_line_bytes) is None:
            return _count_lines(text)
        found = _read_plain(text, dialect, rules) if plain else None
        if found is None:
            found = _read_checked(text, dialect, rules)
        return text if found is None else found

    made = side_by_side(attempt, texts, _SIDE_BY_SIDE, stack)
    coming = next(made, None)
    while coming is not None:
        found = coming
        if isinstance(found, tuple):
            frame, moments = found
            yield RawBatch(frame, _counter(line), blank, moments)
            blank = 0
            line += frame.height
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
        batch = read_strictly(block, dialect, rules)
        if batch is None:
            blank += lines
        else:
            yield replace(batch, blank_lines=batch.blank_lines + blank)
            blank = 0
        line += lines


def _may_be_plain(columns: Sequence[Column]) -> bool:
    """Whether every cell but Date and Time must be a number, the last one of a row too."""
    return all(column.is_data or column.key in {"date", "time"} for column in columns) and columns[-1].is_data


def _read_plain(text: bytes, dialect: Dialect, rules: Rules) -> ReadFrame | None:
    """The frame of a block in which every cell but Date and Time must be a number (`_may_be_plain`): whatever is odd then fails to parse.

    NUL bytes, quotes, other encodings and lone CRs are no part of a number, so none of them needs a look; a row that is too short leaves
    its last cell null, and a blank line its date. Date and Time are read as text (leading zeros tell), so they are tried as numbers here,
    or in their declared form.
    """
    if long_line(text, rules.spec.max_line_bytes):
        return None
    most = _most_rows(text, rules.columns)
    comma = rules.numbers.has_comma_alone and b"." not in text and dialect.separator != ","
    schema = rules.schema(with_comma=comma)
    try:
        frame = pl.read_csv(
            text,
            has_header=False,
            schema=schema,
            separator=dialect.separator,
            quote_char=None,
            n_rows=most + 1,
            decimal_comma=comma,
        )
    except pl.exceptions.PolarsError:
        return None
    if frame.height > most:
        return None
    as_text = rules.declared.text_labels if rules.declared is not None else frozenset()
    keys = [column.label for column in rules.columns if column.key and column.label not in as_text]
    if any(frame[label].cast(pl.Int64, strict=False).null_count() for label in keys):
        return None
    found = rules.finished(frame.rechunk(), with_comma=comma)
    if found is None or (found[0].to_series(frame.width - 1).null_count() and not _is_rectangular(text, dialect, frame)):
        return None
    return found


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
    """Rows that a text can hold if none is too short; with more (a block of blank lines) a frame could be far larger than the text."""
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


def _read_checked(text: bytes, dialect: Dialect, rules: Rules) -> ReadFrame | None:
    """The frame of a block brought to one form, or None if anything about it needs the strict reader (which then says what)."""
    try:
        block = check_block(text, 1, dialect, rules.name, ends_file=False)
    except BarsError:
        return None
    lines = _count_lines(block.text)
    if not block.text or long_line(block.text, rules.spec.max_line_bytes) or lines > _most_rows(block.text, rules.columns):
        return None
    try:
        frame = pl.read_csv(
            block.text,
            has_header=False,
            schema=rules.schema(),
            separator=dialect.separator,
            quote_char='"' if len(block.quotes) else None,
        )
    except pl.exceptions.PolarsError:
        return None
    if frame.height != lines or frame[_date(rules.columns)].null_count():
        return None
    last = frame.to_series(frame.width - 1)
    if last.null_count() and len(separators(block, dialect)) != lines * (frame.width - 1):
        return None
    return rules.finished(frame.rechunk())
