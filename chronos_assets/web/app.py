"""The web application: routes of `api/`, errors as problems, and the guards around all of it. `create_app` is the one way to make it."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from chronos_assets.domain.web_requests import AllowedHosts
from chronos_assets.errors import ChronosError, ServiceUnavailableError, UsageError
from chronos_assets.settings import Settings
from chronos_assets.storage.stores import Stores
from chronos_assets.views.frame_cache import FrameCache
from chronos_assets.views.open_reads import OpenReads
from chronos_assets.web.api import ROUTERS
from chronos_assets.web.assets import ROUTE as STATIC
from chronos_assets.web.description import describe
from chronos_assets.web.guard import SAFE_METHODS, AccessGuard, RequestGuard
from chronos_assets.web.own_forms import new_key, require_json, require_own_form
from chronos_assets.web.pages import ROUTERS as PAGES
from chronos_assets.web.pages.problem_page import problem_page
from chronos_assets.web.problems import bare_problem, from_validation, log_failure, problem, unknown_parameter
from chronos_assets.web.progress import ProgressWatch
from chronos_assets.web.source import StoreSource
from chronos_assets.web.tokens import TokenCheck

EXPOSED = ["X-Total-Count", "X-Next-Cursor", "Link", "ETag", "X-Decimated", "X-Sums", "X-Request-Id"]
ALLOWED_HEADERS = ["Content-Type", "Authorization", "Idempotency-Key"]
DESCRIPTION = (
    "What the stores of chronos_assets hold: datasets, walk-forward runs, trade simulations. Fields are named as the columns "
    "of the Postgres tables. Lists are bare arrays; paging is in the headers. Nothing here writes, but for requests of feature selections."
)


def create_app(settings: Settings, open_stores: Callable[[], Stores]) -> FastAPI:
    """The application. `open_stores` opens both stores for reading; it is called when the first request needs them."""
    app = FastAPI(
        title="chronos_assets",
        version=version("chronos-assets"),
        description=DESCRIPTION,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        root_path=settings.api_root_path,
        dependencies=[Depends(_check_parameters)],
    )
    app.state.source = StoreSource(open_stores)
    app.state.frames = FrameCache()
    app.state.reads = OpenReads()
    app.state.watch = ProgressWatch(app.state.source.get)
    app.state.form_key = new_key()
    app.state.dagster_url = lambda: _dagster_url(settings)
    for router in (*ROUTERS, *PAGES):
        app.include_router(router)
    app.router.routes.append(STATIC)
    app.openapi = lambda: describe(app)  # type: ignore[method-assign]
    app.add_exception_handler(ChronosError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _of_http)
    token = settings.api_token.get_secret_value() if settings.api_token else None
    app.state.tokens = TokenCheck(token)
    app.add_middleware(AccessGuard, tokens=app.state.tokens, origins=settings.api_cors_origins)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=list(settings.api_cors_origins),
        allow_methods=["GET", "POST"],
        allow_headers=ALLOWED_HEADERS,
        expose_headers=EXPOSED,
    )
    app.add_middleware(RequestGuard, hosts=AllowedHosts.of(settings.api_host, settings.api_hosts))
    return app


async def _check_parameters(request: Request) -> None:
    """Refuse parameters that the route does not have, characters that no store takes, and changes that no own page or program asks for."""
    page = not request.scope["route"].include_in_schema
    if request.method not in SAFE_METHODS:
        await require_own_form(request) if page else require_json(request)
    if page:
        for value in (*request.path_params.values(), *request.query_params.values()):
            _check_text(str(value))
        return  # a page takes what the address of another version may hold
    known = _parameters(request.app, request.scope["route"].path_format, request.method.lower())
    for name, value in request.query_params.multi_items():
        if name not in known:
            raise unknown_parameter(name, known)
        _check_text(value)
    for value in request.path_params.values():
        _check_text(str(value))


def _check_text(value: str) -> None:
    if "\0" in value:
        raise UsageError("a parameter holds a zero byte", code="parameter_invalid")


@cache
def _parameters(app: FastAPI, path: str, method: str) -> list[str]:
    operation: dict[str, Any] = app.openapi()["paths"].get(path, {}).get(method, {})
    return [one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"]


def _ours(request: Request, error: Exception) -> Response:
    assert isinstance(error, ChronosError)
    if isinstance(error, ServiceUnavailableError) and error.code not in {"store_slow", "streams_full", "downloads_full"}:
        request.app.state.source.forget()
    return _answer(request, error)


def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return _answer(request, from_validation(error))


def _answer(request: Request, error: ChronosError) -> Response:
    """The error as a page for a person, as a problem for a program."""
    log_failure(error, request.state.request_id)
    if _is_page(request):
        return problem_page(request, error)
    return problem(error, path=request.url.path, request_id=request.state.request_id)


def _is_page(request: Request) -> bool:
    path = request.url.path.removeprefix(str(request.scope.get("root_path", "")))
    return not path.startswith(("/api/", "/static/"))


def _of_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    codes = {404: "route_unknown", 405: "method_not_allowed"}
    words = {404: "there is no such route", 405: "the route does not take this method"}
    if _is_page(request):
        return problem_page(request, ChronosError("there is no such page", code="page_unknown"), status=error.status_code)
    return bare_problem(
        error.status_code,
        words.get(error.status_code, str(error.detail)),
        code=codes.get(error.status_code, "http"),
        hint="/api/openapi.json lists all routes." if error.status_code in codes else "",
        path=request.url.path,
        request_id=request.state.request_id,
        **{name.replace("-", "_"): value for name, value in (error.headers or {}).items()},
    )


def _dagster_url(settings: Settings) -> str | None:
    """Where Dagster's webserver is: the setting, else what `chronos dev` noted; None if neither says."""
    if settings.dagster_url:
        return settings.dagster_url.rstrip("/")
    try:
        return str(json.loads((settings.home / "dagster" / "dev.json").read_text())["url"])
    except (OSError, ValueError, KeyError):
        return None
