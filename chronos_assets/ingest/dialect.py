"""The header line: which delimiter the file uses and what its columns are called."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass

from chronos_assets.domain.bars_spec import DELIMITERS, BarsSpec, Delimiter
from chronos_assets.errors import BarsError
from chronos_assets.ingest.names import fold, is_date_and_time, missing_date, renamed

_BOMS = ((b"\xff\xfe\x00\x00", "UTF-32"), (b"\x00\x00\xfe\xff", "UTF-32"), (b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"))
_SAMPLE_BYTES = 256
_MOSTLY = 0.7
UTF8_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Dialect:
    """How a text file is written. `header_line` counts from 1, as a person counts lines; bars begin below it."""

    delimiter: Delimiter
    header: list[str]
    header_line: int

    @property
    def separator(self) -> str:
        """The delimiter's character; runs of blanks are turned to tabs before they are split."""
        return "\t" if self.delimiter == "blanks" else DELIMITERS[self.delimiter]


def refuse_encoding(head: bytes, name: str) -> None:
    """Raise `BarsError` for text that is plainly not UTF-8."""
    for bom, encoding in _BOMS:
        if head.startswith(bom):
            raise _encoding_error(encoding, name)
    if re.match(rb"[^\0]\0\0\0|\0\0\0[^\0]", head):
        raise _encoding_error("UTF-32 without its mark", name)
    if _is_utf16(head[:_SAMPLE_BYTES]):
        raise _encoding_error("UTF-16 without its mark", name)


def _is_utf16(sample: bytes) -> bool:
    """Whether nearly every other byte is NUL and none between them, as in Latin text of two bytes a character."""
    first, second = sample[0::2], sample[1::2]
    clean, zeros = sorted((first, second), key=lambda half: half.count(0))
    return len(zeros) > 1 and not clean.count(0) and zeros.count(0) > _MOSTLY * len(zeros)


def _encoding_error(encoding: str, name: str) -> BarsError:
    return BarsError(
        f"the file is {encoding}, not UTF-8", code="encoding", expected="UTF-8", found=encoding, file=name, hint="Save it as UTF-8."
    )


def not_utf8(text: bytes, at: int, row: int, name: str) -> BarsError:
    """The refusal of a byte that is no UTF-8."""
    return BarsError(
        f"byte 0x{text[at]:02x} is not UTF-8",
        code="encoding",
        expected="UTF-8",
        found="probably Latin-1 or Windows-1252",
        file=name,
        row=row,
        hint="Save the file as UTF-8.",
    )


def read_header(line: bytes, line_number: int, spec: BarsSpec, name: str) -> Dialect:
    """Dialect of a file whose first line that is not blank is `line`."""
    if b"\x00" in line:
        raise BarsError(
            "the file holds a NUL byte", code="nul_byte", file=name, row=line_number, hint="Export it again: it is damaged or not text."
        )
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise not_utf8(line, error.start, line_number, name) from None
    if spec.format.delimiter is not None:
        return Dialect(spec.format.delimiter, split_line(text, spec.format.delimiter), line_number)
    found: list[Dialect] = []
    for delimiter in DELIMITERS:
        header = split_line(text, delimiter)
        if any(fold(field.strip()) == "date" for field in renamed(header, spec.format.rename)):
            found.append(Dialect(delimiter, header, line_number))
    if not found:
        best = max((split_line(text, d) for d in DELIMITERS), key=len)
        raise missing_date([field.strip() for field in best], file=name, row=line_number)
    marked = [dialect for dialect in found if dialect.delimiter != "blanks"]
    if not marked:
        _refuse_joined(text, line_number, name)
    return max(marked or found, key=lambda dialect: len(dialect.header))


def headerless(line: bytes, lines_above: int, spec: BarsSpec, name: str) -> Dialect:
    """Dialect of a file without a header, whose first bar is `line`: the names are those of `format.header`."""
    names = spec.format.header
    assert isinstance(names, list)
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise not_utf8(line, error.start, lines_above + 1, name) from None
    declared = spec.format.delimiter
    fields = {delimiter: len(split_line(text, delimiter)) for delimiter in ((declared,) if declared else DELIMITERS)}
    fitting = [delimiter for delimiter, count in fields.items() if count == len(names)]
    if len(fitting) != 1:
        best = max(fields, key=lambda delimiter: fields[delimiter])
        raise BarsError(
            "the delimiter cannot be told: several give as many fields as format.header has names"
            if fitting
            else "format.header has not as many names as the first row has fields",
            code="header_count",
            expected=f"{len(names)} fields: {', '.join(names)[:100]}",
            found=f"{fields[best]} fields, split by {best}" if not fitting else ", ".join(fitting),
            hint="Declare format.delimiter." if fitting else "Name every column in format.header, in the order of the file.",
            file=name,
            row=lines_above + 1,
        )
    return Dialect(fitting[0], list(names), lines_above)


def _refuse_joined(text: str, line_number: int, name: str) -> None:
    """`Date Time;Open` has a Date only between blanks; split as its delimiter says, it has one column for both."""
    for delimiter in (name for name in DELIMITERS if name != "blanks"):
        header = [field.strip() for field in split_line(text, delimiter)]
        if len(header) > 1 and any(is_date_and_time(field) for field in header):
            raise missing_date(header, file=name, row=line_number)


def split_line(text: str, delimiter: Delimiter) -> list[str]:
    """Fields of one line, quotes taken off; runs of blanks count as one delimiter for `blanks`."""
    if delimiter == "blanks":
        fields = next(csv.reader([" ".join(text.split())], delimiter=" "), [])
    else:
        fields = next(csv.reader([text], delimiter=DELIMITERS[delimiter], skipinitialspace=True), [])
    return list(fields)


def yfinance_hint(lines: Sequence[str]) -> str | None:
    """What to do about the three header lines that yfinance writes: names, tickers, and a line with `Date` alone; None for other lines."""
    if len(lines) < 3:
        return None
    names, tickers, dates = ([field.strip() for field in line.split(",")] for line in lines)
    if [fold(line[0]) for line in (names, tickers, dates)] != ["price", "ticker", "date"] or any(dates[1:]):
        return None
    if len(set(tickers[1:])) > 1:
        return "yfinance wrote several tickers side by side: download each into a file of its own, with multi_level_index=False."
    return "yfinance wrote three header lines: call the first column of line 1 Date, and take out lines 2 and 3."
