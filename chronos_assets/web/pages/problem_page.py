"""An error as a page: what happened, what to do next, and, while a store is down, the promise to ask again."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import Request
from starlette.responses import Response

from chronos_assets.errors import ChronosError, ServiceUnavailableError
from chronos_assets.web.pages.rendering import page
from chronos_assets.web.problems import RETRY_SECONDS, public, status_of


def problem_page(request: Request, error: ChronosError, *, status: int | None = None) -> Response:
    """`error` in the frame of every page, with the status that the API would answer."""
    status = status_of(error) if status is None else status
    down = isinstance(error, ServiceUnavailableError)
    error = public(error)
    return page(
        request,
        "problem.html",
        status=status,
        title="A store is down" if down else HTTPStatus(status).phrase,
        message=str(ChronosError(error.message, expected=error.expected, found=error.found, **error.where)),
        hint=error.hint,
        retry=RETRY_SECONDS if down else 0,
        request_id=request.state.request_id,
    )
