"""What every request passes before a route sees it, and what every answer carries. Plain ASGI, outermost and innermost around CORS.

`RequestGuard`: an id for the request, the `Host` rule, the security headers, and one answer for failures nobody foresaw.
`AccessGuard`: the token, the origin of requests that change something, and the size of bodies.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterable
from urllib.parse import urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chronos_assets.domain.web_requests import AllowedHosts, from_own_page
from chronos_assets.web.problems import bare_problem
from chronos_assets.web.tokens import LOGIN, TokenCheck, Verdict

LOG = logging.getLogger(__name__)
MOST_BODY_BYTES = 256_000
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; object-src 'none'",
}


class RequestGuard:
    """Outermost: refuses foreign hosts, gives each request an id, and turns a failure into an answer with that id only."""

    def __init__(self, app: ASGIApp, *, hosts: AllowedHosts) -> None:
        self._app, self._hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id
        begun = False

        async def sent(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                for name, value in {**SECURITY_HEADERS, "X-Request-Id": request_id}.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            if not self._hosts.allow(Headers(scope=scope).get("host", "")):
                await self._refuse_host(scope, receive, sent, request_id)
            else:
                await self._app(scope, receive, sent)
        except Exception:
            LOG.exception("request %s failed: %s %s", request_id, scope["method"], scope["path"])
            if begun:
                raise
            answer = bare_problem(
                500,
                "the program failed on this request",
                code="internal",
                hint=f"The log of `chronos serve` says why, under {request_id}.",
                path=scope["path"],
                request_id=request_id,
            )
            await answer(scope, receive, sent)

    async def _refuse_host(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        answer = bare_problem(
            421,
            "this server does not answer to that host name",
            code="host_unknown",
            hint="CHRONOS_API_HOSTS names further ones.",
            path=scope["path"],
            request_id=request_id,
        )
        await answer(scope, receive, send)


class AccessGuard:
    """Innermost: who may ask, from where, and how much may be sent."""

    def __init__(self, app: ASGIApp, *, tokens: TokenCheck, origins: Iterable[str]) -> None:
        self._app, self._tokens, self._origins = app, tokens, frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers, path, request_id = Headers(scope=scope), scope["path"], scope["state"]["request_id"]
        verdict = self._tokens.judge(path, headers, (scope.get("client") or ("",))[0])
        if verdict is Verdict.TOO_MANY:
            answer = bare_problem(
                429, "too many wrong tokens", code="token_tries", path=path, request_id=request_id, hint="Wait a minute.", Retry_After="60"
            )
        elif verdict is Verdict.REFUSED and scope["method"] == "GET" and not path.startswith("/api/"):
            wanted = path + (f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else "")
            root = str(scope.get("root_path", "")).rstrip("/")
            answer = RedirectResponse(f"{root}{LOGIN}?{urlencode({'next': wanted})}", 303, {"Cache-Control": "no-store"})
        elif verdict is Verdict.REFUSED:
            answer = bare_problem(
                401,
                "this server asks for a token",
                code="token_needed",
                hint="Send it as the header Authorization: Bearer TOKEN.",
                path=path,
                request_id=request_id,
                WWW_Authenticate="Bearer",
            )
        elif scope["method"] not in SAFE_METHODS and not self._own(scope["method"], headers):
            message = "a page of another site may not change anything here"
            answer = bare_problem(403, message, code="origin_foreign", path=path, request_id=request_id)
        elif int(headers.get("content-length") or 0) > MOST_BODY_BYTES:
            answer = _too_large(path, request_id)
        else:
            await self._pass_on(scope, receive, send)
            return
        await answer(scope, receive, send)

    def _own(self, method: str, headers: Headers) -> bool:
        origin = headers.get("origin")
        if origin in self._origins:
            return True
        return from_own_page(
            method,
            headers.get("host", ""),
            origin=origin,
            referer=headers.get("referer"),
            site=headers.get("sec-fetch-site"),
            mode=headers.get("sec-fetch-mode"),
        )

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        """To the routes; a body that says no length is counted, and cut off as if the sender had gone."""
        count = 0

        async def counted() -> Message:
            nonlocal count
            message = await receive()
            count += len(message.get("body", b""))
            return message if count <= MOST_BODY_BYTES else {"type": "http.disconnect"}

        await self._app(scope, counted, send)


def _too_large(path: str, request_id: str) -> Response:
    message = f"the request's body is larger than {MOST_BODY_BYTES // 1000} kB"
    return bare_problem(413, message, code="body_too_large", path=path, request_id=request_id)
