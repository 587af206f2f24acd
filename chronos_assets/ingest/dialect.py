"""The header line: which delimiter the file uses and what its columns are called."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass

from chronos_assets.domain.bars_spec import DELIMITERS, BarsSpec, Delimiter
from chronos_assets.errors import BarsError
from chronos_assets.ingest.names import fold, missing_date

_BOMS = ((b"\xff\xfe\x00\x00", "UTF-32"), (b"\x00\x00\xfe\xff", "UTF-32"), (b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"))
_ORDER: tuple[Delimiter, ...] = ("tab", "semicolon", "comma", "pipe", "blanks")
UTF8_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Dialect:
    """How a text file is written. `header_line` counts from 1, as a person counts lines."""

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
    if b"\x00" in head[:4] and head[:4].replace(b"\x00", b"").isalnum():
        raise _encoding_error("UTF-16 without its mark", name)


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
    for delimiter in _ORDER:
        header = split_line(text, delimiter)
        if any(fold(field.strip()) == "date" for field in header):
            found.append(Dialect(delimiter, header, line_number))
    if not found:
        best = max((split_line(text, d) for d in _ORDER), key=len)
        raise missing_date([field.strip() for field in best], file=name, row=line_number)
    marked = [dialect for dialect in found if dialect.delimiter != "blanks"]
    return max(marked or found, key=lambda dialect: len(dialect.header))


def split_line(text: str, delimiter: Delimiter) -> list[str]:
    """Fields of one line, quotes taken off; runs of blanks count as one delimiter for `blanks`."""
    if delimiter == "blanks":
        fields = next(csv.reader([" ".join(text.split())], delimiter=" "), [])
    else:
        fields = next(csv.reader([text], delimiter=DELIMITERS[delimiter], skipinitialspace=True), [])
    return list(fields)
