"""Opens a source: finds out what it is, reads its header, and hands out its rows as raw frames."""

from __future__ import annotations

import contextlib
import csv
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from chronos_assets.domain.bars_spec import BarsSpec
from chronos_assets.errors import BarsError
from chronos_assets.ingest.dialect import UTF8_BOM, Dialect, headerless, read_header, refuse_encoding, yfinance_hint
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
    price_divisor: int
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
            yield OpenedFile(
                name, kind, columns, None, size, spec.format.price_divisor, reader, _in_order(ahead(batches, stack), spec, stack)
            )
            return
        if kind == "excel":
            from chronos_assets.ingest.excel import read_excel

            columns, batches = read_excel(source, spec, name)
            yield OpenedFile(name, kind, columns, None, size, spec.format.price_divisor, reader, _in_order(batches, spec, stack))
            return
        texts = text_blocks(reader, kind, spec, name)
        # The first of a plain file is its header line: nothing to be busy with while the next one is made.
        texts = itertools.chain(itertools.islice(texts, 1), ahead(texts, stack))
        dialect, rest = _header(texts, kind, spec, name)
        columns = resolve_columns(
            dialect.header,
            spec.columns,
            max_columns=spec.max_columns,
            rename=spec.format.rename,
            optional=spec.format.optional_names,
            file=name,
            row=max(1, dialect.header_line),
        )
        batches = read_text(rest, dialect, columns, spec, name, stack=stack)
        yield OpenedFile(name, kind, columns, dialect, size, spec.format.price_divisor, reader, _in_order(batches, spec, stack))


def _in_order(batches: Iterator[RawBatch], spec: BarsSpec, stack: contextlib.ExitStack) -> Iterator[RawBatch]:
    """The batches, the oldest bar first."""
    if spec.format.order == "ascending":
        return batches
    from chronos_assets.ingest.reversal import turned_round

    return turned_round(batches, stack)


def _header(texts: Iterator[bytes], kind: Kind, spec: BarsSpec, name: str) -> tuple[Dialect, Iterator[bytes]]:
    """The header's dialect and the text behind it, as `format.header` and `format.skip_lines` say where they are."""
    lines = _Lines(texts, kind, spec, name)
    declared, skipped = spec.format.header, spec.format.skip_lines
    if isinstance(declared, list):
        lines.skip(skipped)
        lines.skip_blank()
        dialect = headerless(lines.peek(), lines.taken, spec, name)
        lines.look_further()  # one bar by itself would not show what its column is
        return dialect, lines.rest()
    lines.skip(skipped if declared is None else declared - 1)
    if declared is None:
        lines.skip_blank()
    line = lines.take()
    try:
        dialect = read_header(line, lines.taken, spec, name)
    except BarsError as error:
        if error.code == "date_column_missing":
            _explain_missing_date(error, line, lines, spec, name)
        raise
    except csv.Error as error:
        raise BarsError(
            f"the header cannot be read: {error}",
            code="header_invalid",
            file=name,
            row=lines.taken,
            hint="Write the names in one line; double the quotes inside a quoted name.",
        ) from None
    if declared is not None and skipped > lines.taken:
        lines.skip(skipped - lines.taken)
        dialect = replace(dialect, header_line=lines.taken)
    return dialect, lines.rest()


class _Lines:
    """The first lines of a text, taken one by one; what is behind them is handed on in blocks as it came."""

    def __init__(self, texts: Iterator[bytes], kind: Kind, spec: BarsSpec, name: str) -> None:
        self._texts, self._spec, self._name = texts, spec, name
        self.text = next(texts, b"")
        refuse_packed_twice(self.text, kind, name)
        refuse_encoding(self.text, name)
        self.text = self.text.removeprefix(UTF8_BOM)
        self.start = 0
        self.taken = 0

    def _next(self) -> tuple[int, int] | None:
        """Where the next line ends, and where the one behind it starts; None at the end of the file."""
        while self.start >= len(self.text):
            following = next(self._texts, None)
            if following is None:
                return None
            self.text, self.start = following, 0
        end, following_start = _line(self.text, self.start)
        if end - self.start > self._spec.max_line_bytes:
            raise BarsError(
                "the header line is too long",
                code="line_too_long",
                expected=f"at most {self._spec.max_line_bytes} bytes",
                hint="The line end behind the header is damaged, or this is not a table: export the file again.",
                file=self._name,
                row=self.taken + 1,
            )
        return end, following_start

    def skip(self, count: int) -> None:
        """Pass over `count` lines; raises if the file has no line behind them."""
        for _ in range(count):
            found = self._next()
            if found is None:
                raise self._too_short(count)
            self.start = found[1]
            self.taken += 1
        if count and self._next() is None:
            raise self._too_short(count)

    def _too_short(self, count: int) -> BarsError:
        return BarsError(
            "the file ends before the bars",
            code="header_beyond_end",
            expected=f"more than {count} lines, as format.header and format.skip_lines declare",
            found=f"{self.taken} lines",
            hint="Correct format.header or format.skip_lines.",
            file=self._name,
        )

    def skip_blank(self) -> None:
        """Pass over blank lines; raises if there is nothing else, or too many of them."""
        while True:
            found = self._next()
            if found is None:
                raise BarsError("the file holds nothing but blanks", code="file_empty", file=self._name, hint="Export it again.")
            if self.text[self.start : found[0]].strip():
                return
            self.start = found[1]
            self.taken += 1
            if self.taken >= _MAX_BLANK_LINES:
                raise BarsError(
                    "the file begins with blank lines only",
                    code="file_empty",
                    file=self._name,
                    row=self.taken + 1,
                    hint="Export it again.",
                )

    def peek(self) -> bytes:
        """The next line."""
        found = self._next()
        assert found is not None
        return self.text[self.start : found[0]]

    def take(self) -> bytes:
        """The next line, passed over."""
        found = self._next()
        if found is None:
            raise self._too_short(self.taken)
        line = self.text[self.start : found[0]]
        self.start = found[1]
        self.taken += 1
        return line

    def look_further(self) -> bytes:
        """The text behind the lines taken, with one more block: the first line of a plain file comes by itself."""
        self.text += next(self._texts, b"")
        return self.text[self.start :]

    def rest(self) -> Iterator[bytes]:
        """The text behind the lines taken."""
        return _chain(self.text[self.start :], self._texts)


def _explain_missing_date(error: BarsError, line: bytes, lines: _Lines, spec: BarsSpec, name: str) -> None:
    """A better hint if a line below the first one could be the header."""
    if spec.format.header is not None:
        return
    below = b""
    with contextlib.suppress(BarsError):
        below = lines.look_further()
    if row := _line_with_date(below, 0, lines.taken, spec, name):
        text = line + b"\n" + below[:_HEADER_BYTES]
        error.hint = yfinance_hint(text.decode(errors="replace").splitlines()[:3]) or (
            f"Line {row} names a Date column: take out the lines above it, or declare format: {{header: {row}}} (--format header={row})."
        )


def _line_with_date(text: bytes, start: int, lines: int, spec: BarsSpec, name: str) -> int | None:
    """The number of the first of the next lines that could be the header, if the first one is not."""
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
