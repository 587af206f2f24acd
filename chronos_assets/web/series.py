"""Series and trades as HTTP answers: the format that the caller takes, sent piece by piece, never through row-by-row models.

Rows are written by polars and Arrow. Memory is bounded by one piece, except for JSON columns, whose number of rows is limited.
"""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal

import polars as pl
from fastapi import Query, Request
from starlette.responses import Response, StreamingResponse

from chronos_assets.errors import UsageError
from chronos_assets.views.series import Series
from chronos_assets.web.answers import GZIP_LEVEL, HEADERS, accepts_gzip, etag_of, known

Format = Literal["json", "json-columns", "arrow", "parquet", "csv"]
FormatParameter = Annotated[Format | None, Query(description="Instead of the Accept header; without either, JSON rows.")]
MEDIA_TYPES: dict[Format, str] = {
    "json": "application/json",
    "json-columns": "application/json",
    "arrow": "application/vnd.apache.arrow.stream",
    "parquet": "application/vnd.apache.parquet",
    "csv": "text/csv",
}
ENDINGS: dict[Format, str] = {"arrow": "arrows", "parquet": "parquet", "csv": "csv", "json": "json", "json-columns": "json"}
MOST_JSON_ROWS = 200_000
COMPLETED_SECONDS = 300
# Rows that are text at the same time.
TEXT_ROWS = 5_000
# The routes of series say so in OpenAPI; what JSON holds is declared beside it by each route.
CONTENT: dict[str, Any] = {MEDIA_TYPES[name]: {"schema": {"type": "string", "format": "binary"}} for name in ("arrow", "parquet")}
CONTENT["text/csv"] = {"schema": {"type": "string"}}


def chosen_format(request: Request, asked: Format | None) -> Format:
    """What `?format=` says, else the best of the Accept header; raises `UsageError` (406) if we have none of it."""
    if asked is not None:
        return asked
    offers: dict[str, Format] = {media: name for name, media in MEDIA_TYPES.items() if name != "json-columns"}
    offers |= {"json-columns": "json-columns", "*/*": "json", "application/*": "json", "text/*": "csv"}
    wanted = [_preference(part) for part in request.headers.get("accept", "*/*").split(",")]
    for _, media in sorted((one for one in wanted if one[0] > 0), key=lambda one: -one[0]):
        if media in offers:
            return offers[media]
    raise UsageError("none of the asked media types is served here", code="not_acceptable", expected=", ".join(MEDIA_TYPES.values()))


def series_etag(request: Request, kind: Format, *parts: object) -> str:
    """The ETag of a series: what it is of, in which state, in which form, by which version of the program."""
    query = sorted(request.query_params.multi_items())
    return etag_of(request.url.path, kind, request.app.version, json.dumps(query), *(str(part) for part in parts))


def unchanged(request: Request, etag: str, *, completed: bool) -> Response | None:
    """304 if the caller has this series; no store of series was asked for that."""
    return Response(status_code=304, headers=_headers(etag, completed=completed)) if known(request, etag) else None


def series_answer(
    request: Request,
    series: Series,
    kind: Format,
    *,
    name: str,
    etag: str,
    completed: bool,
    headers: dict[str, str] | None = None,
    extra: dict[str, Any] | None = None,
) -> Response:
    """`series` in the form `kind`. `name`: stem of a downloaded file; `extra`: what JSON columns hold besides the columns."""
    if kind in {"json", "json-columns"} and series.rows > MOST_JSON_ROWS:
        raise UsageError(
            "the series is too long for JSON",
            code="series_too_long",
            expected=f"{MOST_JSON_ROWS:,} rows at most",
            found=f"{series.rows:,}",
            hint="`points=2000` gives as many buckets; `format=arrow` or `parquet` gives every row.",
        )
    kept = {**_headers(etag, completed=completed), **(headers or {})}
    if series.decimated is not None:
        kept["X-Decimated"] = series.decimated
    body = encoded(series, kind, extra=extra)
    if kind in {"arrow", "parquet", "csv"}:
        kept["Content-Disposition"] = f'attachment; filename="{name}.{ENDINGS[kind]}"'
    elif accepts_gzip(request):
        kept["Content-Encoding"], body = "gzip", _compressed(body)
    return StreamingResponse(body, headers=kept, media_type=MEDIA_TYPES[kind])


def file_answer(table: pl.DataFrame, kind: Format, name: str) -> Response:
    """A whole table as a file to keep; it is not kept by the browser, which shall ask for what the table holds by then."""
    headers = {"Content-Disposition": f'attachment; filename="{name}.{ENDINGS[kind]}"', "Cache-Control": "no-store"}
    return Response(b"".join(encoded(Series.of(table), kind)), media_type=MEDIA_TYPES[kind], headers=headers)


def encoded(series: Series, kind: Format, *, extra: dict[str, Any] | None = None) -> Iterator[bytes]:
    """The bytes of a series in one of the forms, piece by piece."""
    pieces = series.pieces()
    if kind == "arrow":
        return _arrow(pieces)
    if kind == "parquet":
        return _parquet(pieces)
    if kind == "csv":
        return _csv(pieces)
    return _json_rows(pieces) if kind == "json" else _json_columns(pieces, extra or {})


class _Outlet(io.RawIOBase):
    """A file that Arrow writes to, and whose bytes are taken away as they come."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._written = 0

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        part = bytes(content)
        self._parts.append(part)
        self._written += len(part)
        return len(part)

    def tell(self) -> int:
        return self._written

    def take(self) -> bytes:
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken


def _arrow(pieces: Iterable[pl.DataFrame]) -> Iterator[bytes]:
    import pyarrow as pa

    outlet, writer = _Outlet(), None
    for piece in pieces:
        table = piece.to_arrow(compat_level=pl.CompatLevel.oldest())
        if writer is None:
            writer = pa.ipc.new_stream(outlet, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd"))
        writer.write_table(table)
        yield outlet.take()
    if writer is not None:
        writer.close()
    yield outlet.take()


def _parquet(pieces: Iterable[pl.DataFrame]) -> Iterator[bytes]:
    import pyarrow.parquet as pq

    outlet, writer = _Outlet(), None
    for piece in pieces:
        table = piece.to_arrow(compat_level=pl.CompatLevel.oldest())
        if writer is None:
            writer = pq.ParquetWriter(outlet, table.schema, compression="zstd")
        writer.write_table(table)
        yield outlet.take()
    if writer is not None:
        writer.close()
    yield outlet.take()


def _csv(pieces: Iterable[pl.DataFrame]) -> Iterator[bytes]:
    for number, piece in enumerate(pieces):
        if number == 0:
            yield piece.clear().write_csv().encode()
        for part in piece.iter_slices(TEXT_ROWS):
            yield part.write_csv(include_header=False).encode()


def _json_rows(pieces: Iterable[pl.DataFrame]) -> Iterator[bytes]:
    yield b"["
    begun = False
    for piece in pieces:
        for part in piece.iter_slices(TEXT_ROWS):
            yield (b"," if begun else b"") + part.write_json()[1:-1].encode()
            begun = True
    yield b"]"


def _json_columns(pieces: Iterable[pl.DataFrame], extra: dict[str, Any]) -> Iterator[bytes]:
    frame = pl.concat(list(pieces))
    # One row of lists is `[{"a": [...], ...}]`.
    text = frame.select(pl.all().implode()).write_json()[1:-1]
    yield (text[:-1] + "".join(f",{json.dumps(name)}:{json.dumps(value)}" for name, value in extra.items()) + "}").encode()


def _compressed(body: Iterator[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(GZIP_LEVEL, wbits=31)
    for part in body:
        if packed := packer.compress(part):
            yield packed
    yield packer.flush()


def _headers(etag: str, *, completed: bool) -> dict[str, str]:
    """A series of something that is complete may be shown for some minutes without asking again."""
    control = f"private, max-age={COMPLETED_SECONDS}" if completed else HEADERS["Cache-Control"]
    return {**HEADERS, "Cache-Control": control, "ETag": etag}


def _preference(part: str) -> tuple[float, str]:
    media, *parameters = [piece.strip().lower() for piece in part.split(";")]
    quality = next((one.removeprefix("q=") for one in parameters if one.startswith("q=")), "1")
    try:
        return float(quality), media
    except ValueError:
        return 0.0, media
