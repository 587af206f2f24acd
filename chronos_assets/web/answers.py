"""JSON answers of documents and lists: chosen fields, an ETag of what is answered, 304 if the caller has it, gzip if it helps."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from pydantic import TypeAdapter
from starlette.responses import Response

from chronos_assets.domain.strict import nearest
from chronos_assets.errors import UsageError
from chronos_assets.views.documents import Document
from chronos_assets.views.pages import Page

GZIP_FROM_BYTES, GZIP_LEVEL = 1_000, 4
HEADERS = {"Cache-Control": "private, no-cache", "Vary": "Accept, Accept-Encoding, HX-Request-Type, Origin"}


def answer(request: Request, document: Document | Sequence[Document], kind: Any, *, fields: str | None = None) -> Response:
    """`document` as JSON; `kind` is its declared type, `fields` the names of those asked for (of each entry of a list)."""
    body = _adapter(kind).dump_json(document, include=_chosen(fields, kind) if fields else None)
    return json_answer(request, body)


def page_answer(request: Request, page: Page[Any], kind: Any, *, fields: str | None = None) -> Response:
    """A page of a list as a bare array; how many there are in all, and where the next page begins, are in the headers."""
    response = answer(request, page.items, kind, fields=fields)
    response.headers["X-Total-Count"] = str(page.total)
    response.headers.update(next_page(request, page.cursor))
    return response


def next_page(request: Request, cursor: str | None) -> dict[str, str]:
    """The headers that lead to the page of `cursor`; none on the last page."""
    if cursor is None:
        return {}
    kept = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
    return {"X-Next-Cursor": cursor, "Link": f'<{request.url.path}?{urlencode([*kept, ("cursor", cursor)])}>; rel="next"'}


def json_answer(request: Request, body: bytes, headers: Mapping[str, str] | None = None) -> Response:
    """A whole JSON body with its ETag, or 304."""
    etag = etag_of(body, request.url.path)
    if known(request, etag):
        return Response(status_code=304, headers={**HEADERS, "ETag": etag})
    kept = {**HEADERS, **(headers or {}), "ETag": etag}
    if len(body) > GZIP_FROM_BYTES and accepts_gzip(request):
        kept["Content-Encoding"], body = "gzip", gzip.compress(body, GZIP_LEVEL, mtime=0)
    return Response(body, headers=kept, media_type="application/json")


def etag_of(*parts: bytes | str) -> str:
    """A weak ETag: the same content may be sent with and without compression."""
    digest = hashlib.blake2b(digest_size=12)
    for part in parts:
        digest.update(part if isinstance(part, bytes) else part.encode())
        digest.update(b"\0")
    return f'W/"{digest.hexdigest()}"'


def known(request: Request, etag: str) -> bool:
    """Whether the caller says that it has this content."""
    said = request.headers.get("if-none-match", "")
    return said.strip() == "*" or etag.removeprefix("W/") in {tag.strip().removeprefix("W/") for tag in said.split(",")}


def accepts_gzip(request: Request) -> bool:
    """Whether the caller takes gzip."""
    offers = [part.strip().lower() for part in request.headers.get("accept-encoding", "").split(",")]
    return any(offer.partition(";")[0] in {"gzip", "*"} and not offer.replace(" ", "").endswith(";q=0") for offer in offers)


def _chosen(fields: str, kind: Any) -> Any:
    """What `?fields=a,b` names, as pydantic's `include`; raises `UsageError` that names the nearest field."""
    is_list = getattr(kind, "__origin__", None) is list
    model: type[Document] = kind.__args__[0] if is_list else kind
    names = {name.strip() for name in fields.split(",") if name.strip()}
    for name in sorted(names - set(model.model_fields)):
        close = nearest(name, model.model_fields)
        raise UsageError(
            f"there is no field {name[:100]!r}",
            code="field_unknown",
            expected=f"some of {', '.join(model.model_fields)}",
            hint=f"Did you mean {close!r}?" if close else "",
        )
    return {"__all__": names} if is_list else names


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
