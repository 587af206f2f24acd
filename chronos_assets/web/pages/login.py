"""`/login`: a person gives the token once, and the browser keeps a signed cookie for twelve hours. The token is never in an address."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from starlette.responses import RedirectResponse

from chronos_assets.web.own_forms import form_of
from chronos_assets.web.pages.forms import own_path
from chronos_assets.web.pages.rendering import page
from chronos_assets.web.tokens import COOKIE, SESSION_SECONDS, TokenCheck, Verdict

router = APIRouter(include_in_schema=False)
_SAID = {Verdict.REFUSED: (401, "That is not the token."), Verdict.TOO_MANY: (429, "Too many wrong tries. Wait a minute.")}


@router.get("/login")
def ask(request: Request, wanted: Annotated[str, Query(alias="next", max_length=2000)] = "/") -> Response:
    """The form."""
    return page(request, "login.html", wanted=own_path(wanted), said="")


@router.post("/login")
async def enter(request: Request) -> Response:
    """Compare the token and go on to the page that was asked for."""
    form = await form_of(request)
    given, wanted = form.get("token", [""])[0], own_path(form.get("next", ["/"])[0])
    tokens: TokenCheck = request.app.state.tokens
    verdict = tokens.try_token(given, request.client.host if request.client else "")
    if verdict is not Verdict.ALLOWED:
        status, said = _SAID[verdict]
        return page(request, "login.html", status=status, wanted=wanted, said=said)
    answer = RedirectResponse(f"{str(request.scope.get('root_path', '')).rstrip('/')}{wanted}", 303)
    if tokens.needed:
        secure = request.url.scheme == "https"
        answer.set_cookie(COOKIE, tokens.session(), max_age=SESSION_SECONDS, httponly=True, samesite="strict", secure=secure)
    return answer
