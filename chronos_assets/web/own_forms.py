"""Forms of our own pages. Each carries a field that only pages of this process know, so that no other site can send one for a person.

Requests of programs are JSON: a form cannot send that, and a script of another site has to ask first (CORS).
"""

from __future__ import annotations

import hmac
import secrets
from urllib.parse import parse_qs

from fastapi import Request

from chronos_assets.errors import UsageError

FIELD = "csrf"
FORM_TYPE = "application/x-www-form-urlencoded"
JSON_TYPE = "application/json"


def new_key() -> str:
    """The field's value, made once per process: a page that was open before a restart has to be opened again."""
    return secrets.token_urlsafe(24)


async def form_of(request: Request) -> dict[str, list[str]]:
    """The fields of a form as they were sent."""
    return parse_qs((await request.body()).decode("utf-8", "replace"))


async def require_own_form(request: Request) -> None:
    """Raise `UsageError` (`form_foreign`) unless the request is a form of one of our pages."""
    given = (await form_of(request)).get(FIELD, [""])[0] if media_type(request) == FORM_TYPE else ""
    if not hmac.compare_digest(given.encode(), str(request.app.state.form_key).encode()):
        raise UsageError(
            "this form is not one that this server made since it was started",
            code="form_foreign",
            hint="Open the page again and send the form once more.",
        )


def require_json(request: Request) -> None:
    """Raise `UsageError` (`media_type`) if the request has a body that is not JSON."""
    kind = media_type(request)
    if kind not in {"", JSON_TYPE}:
        raise UsageError("the body must be JSON", code="media_type", expected=f"Content-Type: {JSON_TYPE}", found=kind[:100])


def media_type(request: Request) -> str:
    """The media type of the body, without parameters; empty if none is given."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
