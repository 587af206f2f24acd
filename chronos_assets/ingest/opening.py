"""Opens a source: finds out what it is, reads its header, and hands out its rows as raw frames."""

from __future__ import annotations

import contextlib
import csv
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from chronos_assets.domain.bars_spec import BarsSpec
from chronos_assets.errors import BarsError
from chronos_assets.ingest.dialect import UTF8_BOM, Dialect, read_header, refuse_encoding, yfinance_hint
from chronos_assets.ingest.names import Column, resolve_columns
from chronos_assets.ingest.prefetch import ahead
from chronos_assets.ingest.source import HashingReader, Kind, file_kind, open_source, refuse_packed_twice, text_blocks
from chronos_assets.ingest.text import read_text
from chronos_assets.ingest.text_block import RawBatch

_MAX_BLANK_LINES = 10_000
_MAX_PREAMBLE_LINES = 20
_HEADER_BYTES = 1 << 16


@dataclass
class OpenedFile:
    """A source whose header has been read. `batches()` may be called once; `checksum()` after it."""

    name: str
    kind: Kind
    columns: list[Column]
    dialect: Dialect | None
    size: int
    _reader: HashingReader
    _batches: Iterator[RawBatch]

    def batches(self) -> Iterator[RawBatch]:
        return self._batches

    @property
    def bytes_read(self) -> int:
        return self._reader.bytes_read

    def hash_read(self) -> None:
        self._reader.hash_read()

    def checksum(self) -> str:
        return self._reader.checksum()

    def refuse_changed(self) -> None:
        self._reader.refuse_changed(self.name)


@contextlib.contextmanager
def open_bars(source: Path, spec: BarsSpec) -> Iterator[OpenedFile]:
    """The file at `source`, header read; raises `BarsError` for whatever cannot be a file of bars."""
    name = source.name
    with open_source(source) as file, contextlib.ExitStack() as stack:
        kind = file_kind(file, name)
        reader = HashingReader(file)
        size = source.stat().st_size
        if kind in {"parquet", "arrow", "arrow_stream"}:
            from chronos_assets.ingest.columnar import read_columnar

            columns, batches = read_columnar(source, kind, spec, name)
            yield OpenedFile(name, kind, columns, None, size, reader, ahead(batches, stack))
            return
        texts = text_blocks(reader, kind, spec, name)
        # The first of a plain file is its header line: nothing to be busy with while the next one is made.
        texts = itertools.chain(itertools.islice(texts, 1), ahead(texts, stack))
        dialect, rest = _header(texts, kind, spec, name)
        columns = resolve_columns(
            dialect.header, spec.columns, max_columns=spec.max_columns, rename=spec.format.rename, file=name, row=dialect.header_line
        )
        yield OpenedFile(name, kind, columns, dialect, size, reader, read_text(rest, dialect, columns, spec, name, stack=stack))


def _header(texts: Iterator[bytes], kind: Kind, spec: BarsSpec, name: str) -> tuple[Dialect, Iterator[bytes]]:
    """The header's dialect and the text behind it."""
    lines = 0
    first = True
    for text in texts:
        if first:
            refuse_packed_twice(text, kind, name)
            refuse_encoding(text, name)
            text = text.removeprefix(UTF8_BOM)  # noqa: PLW2901 - the mark is no part of the text
            first = False
        start = 0
        while start < len(text):
            end, following = _line(text, start)
            lines += 1
            if lines > _MAX_BLANK_LINES:
                break
            if text[start:end].strip():
                if end - start > spec.max_line_bytes:
                    raise BarsError(
                        "the header line is too long",
                        code="line_too_long",
                        expected=f"at most {spec.max_line_bytes} bytes",
                        hint="The line end behind the header is damaged, or this is not a table: export the file again.",
                        file=name,
                        row=lines,
                    )
                try:
                    return read_header(text[start:end], lines, spec, name), _chain(text[following:], texts)
                except BarsError as error:
                    if error.code == "date_column_missing":
                        with contextlib.suppress(BarsError):
                            text += next(texts, b"")  # noqa: PLW2901 - the first line comes by itself
                        if row := _line_with_date(text, following, lines, spec, name):
                            error.hint = yfinance_hint(text[start : start + _HEADER_BYTES].decode(errors="replace").splitlines()[:3]) or (
                                f"Line {row} names a Date column: take out the lines above it."
                            )
                    raise
                except csv.Error as error:
                    raise BarsError(
                        f"the header cannot be read: {error}",
                        code="header_invalid",
                        file=name,
                        row=lines,
                        hint="Write the names in one line; double the quotes inside a quoted name.",
                    ) from None
            start = following
        if lines > _MAX_BLANK_LINES:
            raise BarsError("the file begins with blank lines only", code="file_empty", file=name, row=lines, hint="Export it again.")
    raise BarsError("the file holds nothing but blanks", code="file_empty", file=name, hint="Export it again.")


def _line_with_date(text: bytes, start: int, lines: int, spec: BarsSpec, name: str) -> int | None:
    """The number of the first of the next lines that could be the header, where the first one is not."""
    for row in range(lines + 1, lines + 1 + _MAX_PREAMBLE_LINES):
        if start >= len(text):
            return None
        end, following = _line(text, start)
        with contextlib.suppress(BarsError, csv.Error):
            if end - start <= spec.max_line_bytes and read_header(text[start:end], row, spec, name):
                return row
        start = following
    return None


def _line(text: bytes, start: int) -> tuple[int, int]:
    """End of the line at `start`, and the start of the next; LF, CR LF and CR end a line."""
    feed, carriage = text.find(b"\n", start), text.find(b"\r", start)
    if feed < 0 and carriage < 0:
        return len(text), len(text)
    if carriage < 0 or (0 <= feed < carriage):
        return feed, feed + 1
    return carriage, carriage + (2 if text[carriage + 1 : carriage + 2] == b"\n" else 1)


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from rest
