"""The strict reader: takes the blocks that the fast one does not, and names file, row, column and value of what is wrong.

It also reads what is merely unusual: cells padded with blanks, blank lines, quoted numbers. Rows are lines of the file, the header
being line 1.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from chronos_assets.errors import BarsError
from chronos_assets.ingest.dialect import Dialect
from chronos_assets.ingest.names import Column
from chronos_assets.ingest.number_text import BLANKS
from chronos_assets.ingest.text_block import RawBatch, TextBlock, separators
from chronos_assets.ingest.text_rules import Rules

_LF, _BLANK = 0x0A, 0x20


def read_strictly(block: TextBlock, dialect: Dialect, rules: Rules) -> RawBatch | None:
    """The raw frame of the block, None if it holds blank lines only; raises `BarsError` at its first row that cannot be taken."""
    columns, name = rules.columns, rules.name
    lines = _Lines(block)
    _refuse_ragged(lines, dialect, columns, name)
    row_of = lines.row_of()
    if not len(lines.kept):
        return None
    text = block.text if len(lines.kept) == len(lines.starts) else b"".join(lines.texts(lines.kept))
    schema = {c.label: pl.String for c in columns}
    try:
        frame = pl.read_csv(
            text, has_header=False, schema=schema, separator=dialect.separator, quote_char='"' if len(block.quotes) else None
        )
    except pl.exceptions.PolarsError as error:
        raise _unreadable(str(error), name, row_of(0)) from None
    if frame.height != len(lines.kept):
        raise _unreadable("rows and lines differ", name, row_of(0))
    frame = frame.select(pl.all().str.strip_chars(BLANKS))
    numbers = pl.DataFrame([rules.numbers.read(frame[c.label]) for c in columns if c.is_data])
    _refuse_text(frame, numbers, rules, row_of)
    return RawBatch(frame.with_columns(numbers), row_of, blank_lines=lines.inner_blank)


def _unreadable(why: str, name: str, row: int) -> BarsError:
    return BarsError("this part of the file cannot be read", code="unreadable", file=name, row=row, found=why.splitlines()[0][:200])


class _Lines:
    """Where the lines of a block are, and which of them hold more than blanks."""

    def __init__(self, block: TextBlock) -> None:
        self._block = block
        data = np.frombuffer(block.text, dtype=np.uint8)
        ends = np.flatnonzero(data == _LF)
        if not block.text.endswith(b"\n"):
            ends = np.append(ends, len(data))
        self.ends: npt.NDArray[np.int64] = ends
        self.starts: npt.NDArray[np.int64] = np.concatenate((np.zeros(1, dtype=np.int64), ends[:-1] + 1))
        filled = np.logical_or.reduceat(data > _BLANK, self.starts)
        self.kept: npt.NDArray[np.int64] = np.flatnonzero(filled)
        # Blank lines at the end of the file are how many editors leave it; only those between rows are worth a word.
        last = self.kept[-1] if len(self.kept) else -1
        self.inner_blank = int((~filled[: last + 1] if block.ends_file else ~filled).sum())

    def texts(self, which: npt.NDArray[np.int64]) -> Iterator[bytes]:
        for i in which:
            yield self._block.text[self.starts[i] : self.ends[i]] + b"\n"

    def row_of(self) -> Callable[[int], int]:
        kept, first = self.kept, self._block.first_line
        return lambda index: first + int(kept[index])

    @property
    def block(self) -> TextBlock:
        return self._block


def _refuse_ragged(lines: _Lines, dialect: Dialect, columns: Sequence[Column], name: str) -> None:
    at = np.searchsorted(separators(lines.block, dialect), np.append(lines.starts, len(lines.block.text)))
    fields = np.diff(at) + 1
    odd = lines.kept[fields[lines.kept] != len(columns)]
    if not len(odd):
        return
    line, count = int(odd[0]), int(fields[odd[0]])
    row = lines.block.first_line + line
    last = lines.block.ends_file and line == len(lines.starts) - 1 and not lines.block.text.endswith(b"\n")
    if last and count < len(columns):
        raise BarsError(
            "the last row is cut short",
            code="row_truncated",
            expected=f"{len(columns)} fields",
            found=count,
            file=name,
            row=row,
            hint="The file was probably copied while it was written; export or copy it again.",
        )
    hint = "Every row must have as many fields as the header; a comment or a sum below the table is not a row: remove it."
    if dialect.delimiter == "blanks":
        hint = "A name or a missing value with a blank in it counts as two fields, an empty cell as none; write commas or tabs instead."
    elif count > len(columns):
        hint = "Mind decimal commas and thousands separators: they count as delimiters." if dialect.delimiter == "comma" else hint
    raise BarsError(
        f"the row has too {'few' if count < len(columns) else 'many'} fields",
        code="row_ragged",
        expected=f"{len(columns)} fields, as in the header",
        found=count,
        file=name,
        row=row,
        hint=hint,
    )


def _refuse_text(frame: pl.DataFrame, numbers: pl.DataFrame, rules: Rules, row_of: Callable[[int], int]) -> None:
    """Raise for the first cell, by rows, that should be a number and is none."""
    first: tuple[int, int] | None = None
    for column in rules.columns:
        if not column.is_data:
            continue
        raw, number = frame[column.label], numbers[column.label]
        if number.null_count() == raw.null_count():
            continue
        bad = rules.numbers.unreadable(raw, number).arg_true()
        if len(bad) and (first is None or (bad[0], column.position) < first):
            first = (int(bad[0]), column.position)
    if first is not None:
        index, position = first
        column = rules.columns[position]
        raise text_in_number(str(frame[column.label][index]), rules.name, row_of(index), column.source_name)


def text_in_number(value: str, name: str, row: int, column: str) -> BarsError:
    """The refusal of a cell that should be a number."""
    return BarsError(
        "text in a numeric column",
        code="not_a_number",
        expected="a number, an empty cell or NaN",
        found=repr(value[:60]),
        hint=_advice(value, column),
        file=name,
        row=row,
        column=column,
    )


MARKETS = frozenset({"symbol", "ticker", "instrument", "pair", "asset", "contract", "code", "security", "<ticker>"})
_BOOLEANS = frozenset({"true", "false", "yes", "no", "t", "f", "y", "n"})
MISSING = frozenset({"na", "n/a", "#n/a", "null", "none", "nil", "-", ".", "?", "missing", "<na>", "#div/0!", "#value!", "#ref!", "#num!"})
_ADVICE: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"[+-]?\d{1,3}(\.\d{3})*,\d+|[+-]?\d+,\d+"), "Write the decimal point as '.', without thousands separators."),
    (re.compile(r"[+-]?\d{1,3}([,' _\u00a0\u202f]\d{3})+(\.\d+)?"), "Write numbers without thousands separators."),
    (re.compile(r".*%|[$€£¥].*"), "Write plain numbers, without units."),
    (re.compile("'.*"), "Write numbers without single quotes."),
    (re.compile("\ufeff.*"), "There is a second byte order mark here: two files were joined."),
    (re.compile(r".*[^\x20-\x7e].*"), "Type the cell again: digits, sign and blanks must be those of ASCII."),
)


def _advice(value: str, column: str) -> str:
    """What to do about a cell, judged by its looks."""
    if value == column:
        return "The header is here a second time: two exports were joined; remove this line."
    if value.casefold() in _BOOLEANS:
        return "Write booleans as 1 and 0."
    if value.casefold() in MISSING:
        return "Leave a missing value empty, or write NaN."
    if column.strip().casefold() in MARKETS:
        return "If it names the market of each bar, call the column Market; else leave it out with columns.exclude in the manifest."
    found = (advice for pattern, advice in _ADVICE if pattern.fullmatch(value))
    return next(found, "Correct the cell, or leave the column out with columns.exclude in the manifest.")
