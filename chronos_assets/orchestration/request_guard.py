"""What stands between a browser and Dagster's web application: a middleware that refuses what Dagster itself would do for anyone.

Dagster executes mutations sent by GET, and answers to any `Host` and any `Origin`, so that every web page a user has open can delete runs.
The rules on headers are `domain.web_requests`; here is what is Dagster's: which requests change something.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qs

from graphql import GraphQLError, OperationDefinitionNode, OperationType, parse
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chronos_assets.domain.web_requests import AllowedHosts, from_own_page

_GRAPHQL = "/graphql"
_JSON = ("application/json", "application/graphql")
_POLICY_VIOLATION = 1008  # close code of RFC 6455
_ADDED_HEADERS = {
    "X-Frame-Options": "DENY",  # nobody clicks through an invisible frame
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


@dataclass(frozen=True)
class Refusal:
    """Why a request is not passed on: an HTTP status and one sentence."""

    status: int
    message: str


class RequestGuard:
    """ASGI middleware: passes on only what comes from the user's own page, or from a program that is no browser."""

    def __init__(self, app: ASGIApp, allowed: AllowedHosts) -> None:
        self._app = app
        self._allowed = allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        refusal = refusal_of(scope, self._allowed)
        if refusal is None:
            await self._app(scope, receive, _with_headers(send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": refusal.message[:120]})
        else:
            await PlainTextResponse(f"{refusal.message}\n", refusal.status)(scope, receive, send)


def refusal_of(scope: Scope, allowed: AllowedHosts) -> Refusal | None:
    """Why this request is refused, or None if it may pass."""
    headers = Headers(scope=scope)
    hosts = headers.getlist("host")
    if len(hosts) != 1 or not allowed.allow(hosts[0]):
        found = hosts[0] if hosts else "none"
        return Refusal(421, f"This server does not answer to the host {found!r}. Name it in CHRONOS_DAGSTER_HOSTS if it is yours.")
    method = "WEBSOCKET" if scope["type"] == "websocket" else scope["method"]
    origins = headers.getlist("origin")
    own = len(origins) <= 1 and from_own_page(
        method,
        hosts[0],
        origin=origins[0] if origins else None,
        referer=headers.get("referer"),
        site=headers.get("sec-fetch-site"),
        mode=headers.get("sec-fetch-mode"),
    )
    if not own:
        page = origins[0] if origins else headers.get("referer") or "another page"
        return Refusal(403, f"This request comes from {page!r}, not from a page of this server ({hosts[0]}).")
    return None if method == "WEBSOCKET" else _graphql_refusal(scope, headers)


def _graphql_refusal(scope: Scope, headers: Headers) -> Refusal | None:
    """Changes come as JSON by POST: what a link, an image or a form of another page cannot send."""
    if not scope["path"].rstrip("/").endswith(_GRAPHQL):
        return None
    if scope["method"] == "POST":
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        return None if kind in _JSON else Refusal(415, f"GraphQL by POST takes {' or '.join(_JSON)}; this is {kind or 'of no type'}.")
    queries = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True).get("query", [])
    if any(_may_change(query) for query in queries):
        return Refusal(405, "A GraphQL mutation is taken by POST only, never by GET.")
    return None


def _may_change(query: str) -> bool:
    """Whether a GraphQL document holds anything but queries; one that cannot be read is passed on, for Dagster to say why."""
    try:
        document = parse(query)
    except GraphQLError:
        return False
    except RecursionError:
        return True
    return any(isinstance(node, OperationDefinitionNode) and node.operation is not OperationType.QUERY for node in document.definitions)


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _ADDED_HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sending
