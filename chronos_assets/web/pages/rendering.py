"""How pages are rendered: the Jinja environment, and an answer that is a whole page or, if the browser swaps, one part of it.

A template extends `base.html` and puts what changes with the filters into `{% block part %}`. htmx says in `HX-Request-Type` if it wants
the whole page or the part; the address is the same, so reload, back and forward show what the address says.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from jinja2 import Environment, PackageLoader, StrictUndefined, Undefined
from markupsafe import Markup
from starlette.responses import HTMLResponse, Response

from chronos_assets.web.answers import GZIP_FROM_BYTES, GZIP_LEVEL, accepts_gzip, etag_of, known
from chronos_assets.web.assets import asset
from chronos_assets.web.own_forms import FIELD
from chronos_assets.web.pages import formats

FORM_KEY = Markup('<input type="hidden" name="{}" value="{}">')
THEMES = ("light", "dark")
HEADERS = {"Cache-Control": "private, no-cache", "Vary": "Accept, Accept-Encoding, Cookie, HX-Request-Type"}


def page(request: Request, template: str, *, status: int = 200, **values: Any) -> Response:
    """`template` with `values` as a page, or its block `part` for a swap; 304 if the browser has it."""
    loaded = environment().get_template(template)
    context = {**_frame(request), **values}
    if request.headers.get("hx-request-type") == "partial" and "part" in loaded.blocks:
        html = "".join(loaded.blocks["part"](loaded.new_context(context)))
    else:
        html = loaded.render(context)
    etag = etag_of(html)
    if status == 200 and known(request, etag):
        return Response(status_code=304, headers={**HEADERS, "ETag": etag})
    body, headers = html.encode(), {**HEADERS, "ETag": etag}
    if len(body) > GZIP_FROM_BYTES and accepts_gzip(request):
        headers["Content-Encoding"], body = "gzip", gzip.compress(body, GZIP_LEVEL, mtime=0)
    return HTMLResponse(body, status, headers)


class PageEnvironment(Environment):
    """Names and attributes are strict; a key that a stored document does not have is None: a run that waits has no metrics yet."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        """`obj.attribute`, else `obj["attribute"]`."""
        found = super().getattr(obj, attribute)
        return None if isinstance(found, Undefined) and isinstance(obj, Mapping) else found

    def getitem(self, obj: Any, argument: Any) -> Any:
        """`obj[argument]`, else the attribute."""
        found = super().getitem(obj, argument)
        return None if isinstance(found, Undefined) and isinstance(obj, Mapping) else found


@cache
def environment() -> Environment:
    """The one Jinja environment, with the filters of `formats`."""
    made = PageEnvironment(
        loader=PackageLoader("chronos_assets.web"), autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    made.filters |= formats.FILTERS
    made.globals["product_version"] = version("chronos-assets")
    return made


def page_url(request: Request, path: str) -> str:
    """The address of one of our pages, behind the prefix of a proxy too."""
    return f"{str(request.scope.get('root_path', '')).rstrip('/')}{path}"


def _frame(request: Request) -> dict[str, Any]:
    """What the frame of every page needs."""
    root = str(request.scope.get("root_path", "")).rstrip("/")
    theme = request.cookies.get("theme", "")

    def url(path: str, **parameters: Any) -> str:
        chosen = {name: value for name, value in parameters.items() if value not in (None, "", [])}
        return f"{root}{path}" + (f"?{urlencode(chosen, doseq=True)}" if chosen else "")

    def again(**changes: Any) -> str:
        """This page with other parameters; None takes one away."""
        now: dict[str, Any] = {}
        for name, value in request.query_params.multi_items():
            now.setdefault(name, []).append(value)
        return url(request.url.path.removeprefix(root), **{**now, **changes})

    return {
        "url": url,
        "again": again,
        "asset": lambda name: _asset(root, name),
        "theme": theme if theme in THEMES else "",
        "section": request.url.path.removeprefix(root).strip("/").split("/")[0],
        "address": request.url.path,
        "query": request.query_params,
        "form_key": FORM_KEY.format(FIELD, request.app.state.form_key),
        "dagster_url": request.app.state.dagster_url(),
    }


def _asset(root: str, name: str) -> dict[str, str]:
    found = asset(name)
    return {"url": f"{root}{found.url}", "integrity": found.integrity}
