"""Static files of the pages: named by their content, so that a browser keeps them for ever and never shows an old one."""

from __future__ import annotations

import base64
import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from chronos_assets.web.answers import accepts_gzip

FOLDER = Path(__file__).resolve().parent / "static"
PREFIX = "/static"
_KEPT = {"Cache-Control": "public, max-age=31536000, immutable"}


@dataclass(frozen=True)
class Asset:
    """One file: its address, and the digest that a page states so that the browser refuses any other content."""

    url: str
    integrity: str


@cache
def asset(name: str) -> Asset:
    """The file `name` below `static/`; raises `FileNotFoundError` for one that is not there."""
    content = (FOLDER / name).read_bytes()
    stem, _, suffix = name.rpartition(".")
    digest = hashlib.sha256(content).hexdigest()[:12]
    integrity = base64.b64encode(hashlib.sha384(content).digest()).decode()
    return Asset(f"{PREFIX}/{stem}.{digest}.{suffix}", f"sha384-{integrity}")


@cache
def _files() -> dict[str, Path]:
    names = (path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if path.suffix in {".css", ".js", ".svg"})
    return {asset(name).url: FOLDER / name for name in names}


async def _serve(request: Request) -> Response:
    path = _files().get(request.url.path)
    if path is None:
        return Response("there is no such file\n", 404, media_type="text/plain")
    headers = {**_KEPT, "Vary": "Accept-Encoding"}
    if accepts_gzip(request):
        return Response(_packed(path), headers={**headers, "Content-Encoding": "gzip"}, media_type=mimetypes.guess_type(path.name)[0])
    return FileResponse(path, headers=headers)


@cache
def _packed(path: Path) -> bytes:
    return gzip.compress(path.read_bytes(), mtime=0)


ROUTE = Route(PREFIX + "/{name:path}", _serve)
