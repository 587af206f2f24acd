"""Bytes of a source file: its checksum, what its first bytes say it is, and blocks of text that end at a line.

Compressed files are expanded as they are read, within limits on size and ratio, so a small file cannot fill memory or disk. The
checksum is that of the file as it lies on disk; what was read is hashed later, when the threads that parse leave a core idle.
"""

from __future__ import annotations

import codecs
import hashlib
import io
import itertools
import os
import threading
import zipfile
import zlib
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from chronos_assets.domain.bars_spec import BarsSpec, Encoding
from chronos_assets.errors import BarsError, SourceChangedError

Kind = Literal["text", "gzip", "zstd", "parquet", "arrow", "arrow_stream", "excel"]

_MAGIC: tuple[tuple[bytes, Kind], ...] = (
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    *((bytes([0x50 + i]) + b"\x2a\x4d\x18", "zstd") for i in range(16)),  # a frame to be skipped comes first
    (b"PAR1", "parquet"),
    (b"ARROW1\x00\x00", "arrow"),
    (b"\xff\xff\xff\xff", "arrow_stream"),
)
_REFUSED: tuple[tuple[bytes, str, str], ...] = (
    (b"PK\x03\x04", "a zip archive or an Excel workbook", "Unpack it, or save the sheet as CSV."),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook", "Save the sheet as CSV."),
    (b"BZh", "a bzip2 file", "Unpack it, or compress with gzip or zstd."),
    (b"\xfd7zXZ\x00", "an xz file", "Unpack it, or compress with gzip or zstd."),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "Unpack it."),
    (b"%PDF", "a PDF document", "Export the table as CSV."),
    (b"SQLite format 3\x00", "an SQLite database", "Export the table as CSV."),
    (b"\x89HDF", "an HDF5 file", "Export the table as CSV, Parquet or Arrow."),
    (b"Obj\x01", "an Avro file", "Export the table as CSV, Parquet or Arrow."),
    (b"ORC", "an ORC file", "Export the table as CSV, Parquet or Arrow."),
    (b"FEA1", "a Feather file of version 1", "Export the table as CSV, Parquet or Arrow."),
    (b"\x04\x22\x4d\x18", "an lz4 file", "Unpack it, or compress with gzip or zstd."),
    (b"PK\x05\x06", "an empty zip archive", "Export the table again."),
    (b"\x89PNG", "a picture", "Export the table as CSV."),
    (b"version https://git-lfs", "a Git LFS pointer", "Fetch the file itself: git lfs pull."),
    (b"<!DOCTYPE", "a web page", "Download the file again: a server answered with a page."),
    (b"<html", "a web page", "Download the file again: a server answered with a page."),
)
_TAR_AT, _TAR = 257, b"ustar"
_READ_BYTES = 1 << 20
_PEEK_BYTES = 1 << 16
_MARK_BYTES = 2
_MAX_UNHASHED = 4
_RATIO_FROM_BYTES = 16 << 20


def file_checksum(path: Path) -> str:
    """`sha256:<64 hex>` of the file as it lies on disk."""
    with open_source(path) as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def open_source(path: Path) -> io.BufferedReader:
    """The file, opened for reading; raises `BarsError` if it is missing, no plain file, or not readable."""
    try:
        if path.exists() and not path.is_file():
            raise BarsError(
                "the source is not a plain file",
                code="file_unreadable",
                file=str(path),
                hint="Name one file; a folder or a pipe cannot be read.",
            )
        return path.open("rb")
    except FileNotFoundError:
        raise BarsError("the source file does not exist", code="file_missing", file=str(path), hint="Look at the path.") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise BarsError(f"the source file cannot be read: {reason}", code="file_unreadable", file=str(path)) from None


def file_kind(file: io.BufferedReader, name: str) -> Kind:
    """What the first bytes of `file` say it is; the position is left at the start."""
    head = file.read(_TAR_AT + len(_TAR))
    file.seek(0)
    if not head:
        raise BarsError("the file is empty", code="file_empty", file=name, hint="Export it again.")
    if head.startswith(b"PK\x03\x04") and _is_workbook(file):
        return "excel"
    for magic, what, hint in _REFUSED:
        if head.startswith(magic):
            raise BarsError(f"the file is {what}, not text", code="file_kind", file=name, hint=hint)
    if _is_tar(head):
        raise BarsError("the file is a tar archive, not text", code="file_kind", file=name, hint="Unpack it.")
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    return "text"


def _is_workbook(file: io.BufferedReader) -> bool:
    """Whether a zip archive is an Excel workbook; the position is left at the start."""
    try:
        with zipfile.ZipFile(file) as archive:
            return "xl/workbook.xml" in archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError):
        return False
    finally:
        file.seek(0)


def _is_tar(head: bytes) -> bool:
    return head[_TAR_AT : _TAR_AT + len(_TAR)] == _TAR


def refuse_packed_twice(head: bytes, kind: Kind, name: str) -> None:
    """Raise `BarsError` if what came out of a gzip or zstd file is no text either."""
    names = [*((magic, f"{inner} data") for magic, inner in _MAGIC), *((magic, what) for magic, what, _ in _REFUSED)]
    found = next((what for magic, what in names if head.startswith(magic)), "a tar archive" if _is_tar(head) else None)
    if kind in {"gzip", "zstd"} and found is not None:
        raise BarsError(
            f"the {kind} file holds no text",
            code="file_kind",
            expected="text",
            found=found,
            hint="Unpack it once; Parquet and Arrow files are compressed inside already.",
            file=name,
        )


class HashingReader(io.RawIOBase):
    """A file that remembers what is read from it until `hash_read()`; `checksum()` reads on to the end."""

    def __init__(self, file: io.BufferedReader) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self._hashing = threading.Lock()
        self._unhashed: deque[bytes] = deque()
        self.bytes_read = 0
        self._found = self._state()

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._file.fileno()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        if data:
            self._unhashed.append(data)
        self.bytes_read += len(data)
        self._hash(leave=_MAX_UNHASHED)
        return data

    def hash_read(self) -> None:
        """Hash what was read so far; may run beside `read`."""
        self._hash(leave=0)

    def _hash(self, leave: int) -> None:
        if len(self._unhashed) > leave:
            with self._hashing:
                while len(self._unhashed) > leave:
                    self._digest.update(self._unhashed[0])
                    self._unhashed.popleft()

    def bytes_to_line_end(self, ahead: int, spec: BarsSpec, name: str) -> int:
        """Bytes from `ahead` bytes on to behind the next line end; 0 beyond the end of the file."""
        start, looked = self.bytes_read + ahead, 0
        carriage = -1
        while piece := os.pread(self._file.fileno(), _PEEK_BYTES, start + looked):
            if (at := piece.find(b"\n")) >= 0:
                return looked + at + 1
            if carriage < 0 and (at := piece.find(b"\r", 0, len(piece) - 1)) >= 0:
                carriage = looked + at + 1
            looked += len(piece)
            if looked > spec.max_line_bytes:
                if carriage < 0:
                    _refuse_endless(looked, spec, name)
                return carriage
        return looked

    def _state(self) -> tuple[int, int]:
        state = os.fstat(self._file.fileno())
        return state.st_size, state.st_mtime_ns

    def refuse_changed(self, name: str) -> None:
        """Raise `SourceChangedError` if the file was written to since it was opened: what was read may be half old, half new."""
        if self._state() != self._found:
            raise SourceChangedError(
                "the file changed while it was read", code="source_changed", file=name, hint="Wait until it is written, then try again."
            )

    def checksum(self) -> str:
        """`sha256:<64 hex>` of the whole file."""
        while self.read(_READ_BYTES):
            pass
        self.hash_read()
        return f"sha256:{self._digest.hexdigest()}"


def text_blocks(file: HashingReader, kind: Kind, spec: BarsSpec, name: str) -> Iterator[bytes]:
    """Blocks of text of a plain, gzip or zstd file that end at a line end; raises `BarsError` for endless lines."""
    declared = spec.format.encoding
    if kind == "text":
        encoding = _encoding(declared, os.pread(file.fileno(), _MARK_BYTES, 0))
        if encoding == "utf-8":
            return plain_blocks(file, spec, name)
        return blocks(_transcoded(iter(lambda: file.read(_READ_BYTES), b""), encoding, name), spec, name)
    pieces = expanded(file, kind, spec, name)
    if declared != "utf-8":
        first = next(pieces, b"")
        encoding = _encoding(declared, first[:_MARK_BYTES])
        pieces = itertools.chain([first], pieces)
        pieces = pieces if encoding == "utf-8" else _transcoded(pieces, encoding, name)
    return blocks(pieces, spec, name)


def _encoding(declared: Encoding, head: bytes) -> str:
    """The encoding of a text that begins with `head`."""
    if declared == "by_mark":
        return "utf-16" if head in {b"\xff\xfe", b"\xfe\xff"} else "utf-8"
    return declared


def _transcoded(pieces: Iterator[bytes], encoding: str, name: str) -> Iterator[bytes]:
    """The same text as UTF-8."""
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        for piece in pieces:
            yield decoder.decode(piece).encode()
        yield decoder.decode(b"", final=True).encode()
    except UnicodeError as error:
        raise BarsError(
            f"the file is not {encoding.upper()}",
            code="encoding",
            expected=f"{encoding.upper()}, as format.encoding declares",
            found=str(error)[:100],
            file=name,
            hint="Correct format.encoding, or copy the file again: it may be cut short.",
        ) from None


def expanded(file: HashingReader, kind: Kind, spec: BarsSpec, name: str) -> Iterator[bytes]:
    """Pieces of text of a gzip or zstd file; raises `BarsError` if it is cut short, damaged, or grows beyond the limits."""
    total = 0
    for piece in _gunzip(file, name) if kind == "gzip" else _unzstd(file, name):
        total += len(piece)
        if total > spec.max_expanded_bytes:
            raise _bomb(name, f"expands to more than {spec.max_expanded_bytes} bytes")
        if total > max(_RATIO_FROM_BYTES, spec.max_expansion_ratio * file.bytes_read):
            raise _bomb(name, f"expands by more than {spec.max_expansion_ratio:g} times")
        yield piece


def _bomb(name: str, what: str) -> BarsError:
    return BarsError(f"the compressed file {what}", code="expansion_limit", file=name, hint="Unpack it yourself if you trust it.")


def _gunzip(file: HashingReader, name: str) -> Iterator[bytes]:
    """Members of a gzip file, one after the other, in pieces of bounded size."""
    data = file.read(_READ_BYTES)
    while data:
        member = zlib.decompressobj(wbits=31)
        while not member.eof:
            if not data:
                raise BarsError("the gzip file is cut short", code="compression_damaged", file=name, hint="Copy it again.")
            try:
                piece = member.decompress(data, _READ_BYTES)
            except zlib.error as error:
                raise BarsError(
                    f"the gzip file is damaged: {error}", code="compression_damaged", file=name, hint="Copy it again."
                ) from None
            data = member.unconsumed_tail if not member.eof else b""
            if piece:
                yield piece
            if not data and not member.eof:
                data = file.read(_READ_BYTES)
                if not data:
                    try:
                        rest = member.flush()
                    except zlib.error as error:
                        raise BarsError(
                            f"the gzip file is damaged: {error}", code="compression_damaged", file=name, hint="Copy it again."
                        ) from None
                    if rest:
                        yield rest
        data = (member.unused_data or file.read(_READ_BYTES)).lstrip(b"\x00")


def _unzstd(file: HashingReader, name: str) -> Iterator[bytes]:
    import pyarrow as pa

    try:
        with pa.CompressedInputStream(pa.PythonFile(file, mode="r"), "zstd") as stream:
            while piece := stream.read(_READ_BYTES):
                yield piece
    except (OSError, pa.ArrowException) as error:
        raise BarsError(
            f"the zstd file is damaged or cut short: {error}", code="compression_damaged", file=name, hint="Copy it again."
        ) from None


def blocks(pieces: Iterator[bytes], spec: BarsSpec, name: str) -> Iterator[bytes]:
    """Text in blocks of about `block_bytes` that end at a line end (the last one wherever the file ends)."""
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size < spec.block_bytes:
            continue
        text = b"".join(held)
        cut = _line_end(text)
        _refuse_endless(size - cut, spec, name)
        if cut:
            yield text[:cut]
        held, size = [text[cut:]], len(text) - cut
    rest = b"".join(held)
    if rest:
        yield rest


def _refuse_endless(line_bytes: int, spec: BarsSpec, name: str) -> None:
    if line_bytes > spec.max_line_bytes:
        raise BarsError(
            "a line is too long",
            code="line_too_long",
            expected=f"at most {spec.max_line_bytes} bytes",
            hint="A cell or the line end is damaged: export the file again.",
            file=name,
        )


def plain_blocks(file: HashingReader, spec: BarsSpec, name: str) -> Iterator[bytes]:
    """The same for a plain file, the first line by itself: the end of each is looked up first, so that nothing is copied twice."""
    ahead = 0  # the first line is the header as a rule: to cut it off a whole block would copy that
    while text := file.read(ahead + file.bytes_to_line_end(ahead, spec, name)):
        yield text
        ahead = spec.block_bytes


def _line_end(text: bytes) -> int:
    """Position behind the last line end in `text`: LF, or CR if there is no LF (never between CR and LF)."""
    at = text.rfind(b"\n")
    if at < 0:
        at = text.rfind(b"\r", 0, len(text) - 1)
    return at + 1
