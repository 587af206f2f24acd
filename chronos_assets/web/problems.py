"""Errors as HTTP answers: `application/problem+json` (RFC 9457) with the fields that every error of the product has."""

from __future__ import annotations

import json
import logging
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.responses import Response

from chronos_assets import errors
from chronos_assets.domain.redaction import name_of_path, without_folders
from chronos_assets.domain.strict import nearest

LOG = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 5
_STATUS: tuple[tuple[type[errors.ChronosError], int], ...] = (
    (errors.UsageError, 400),
    (errors.RefusedError, 422),
    (errors.NotPublishedError, 404),
    (errors.ConflictError, 409),
    (errors.ValidationFailedError, 409),
    (errors.ServiceUnavailableError, 503),
    (errors.ServiceStartError, 503),
    (errors.DeviceError, 503),
    (errors.StoreError, 502),
    (errors.FileError, 502),
)
# Codes that say more about the status than their class does.
_CODES = {
    "artifact_missing": 404,
    "series_too_long": 413,
    "not_acceptable": 406,
    "media_type": 415,
    "form_foreign": 403,
    "parameter_invalid": 422,
    "postgres_cancelled": 503,
}
# What a server said when it refused: it may quote the statement, and is for the log only.
_SERVERS_WORDS = frozenset({"postgres_refused", "questdb_refused", "questdb_answer", "questdb_rows_refused"})


class Problem(BaseModel):
    """What is answered instead of a result. `message` is `detail` with the hint, for programs that show one text."""

    type: str
    title: str
    status: int
    detail: str
    message: str
    code: str
    hint: str | None
    expected: str | None
    found: str | None
    instance: str
    request_id: str


def status_of(error: errors.ChronosError) -> int:
    """The HTTP status of one of our errors."""
    if error.code in _CODES:
        return _CODES[error.code]
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def public(error: errors.ChronosError) -> errors.ChronosError:
    """`error` as callers may see it: names of files without their folders, and no words of a store that may quote its statement."""
    found = None if error.code in _SERVERS_WORDS else error.found
    return errors.ChronosError(
        without_folders(error.message),
        code=error.code,
        expected=None if error.expected is None else without_folders(str(error.expected)),
        found=None if found is None else without_folders(str(found)),
        hint=without_folders(error.hint),
        **{name: name_of_path(value) if isinstance(value, str) else value for name, value in error.where.items()},
    )


def log_failure(error: errors.ChronosError, request_id: str) -> None:
    """Write what a caller is not told of a failure of this machine into the log, under the request's id."""
    if status_of(error) >= HTTPStatus.INTERNAL_SERVER_ERROR:
        LOG.warning("request %s: %s", request_id, error)


def problem(error: errors.ChronosError, *, path: str, request_id: str) -> Response:
    """`error` as an answer."""
    status, error = status_of(error), public(error)
    fields = error.as_dict()
    detail = str(errors.ChronosError(error.message, expected=error.expected, found=error.found, **error.where))
    code = "store_slow" if error.code == "postgres_cancelled" else error.code
    body = {
        **{name: value for name, value in fields.items() if name not in {"message", "code"}},
        "type": f"/problems/{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "message": str(error),
        "code": code,
        "instance": path,
        "request_id": request_id,
    }
    headers = {"Cache-Control": "no-store"}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = str(RETRY_SECONDS)
    return Response(json.dumps(body, allow_nan=False), status, headers, MEDIA_TYPE)


def bare_problem(status: int, message: str, *, code: str, path: str, request_id: str, hint: str = "", **headers: str) -> Response:
    """An answer of the web server itself: an unknown route, a method, a body, a failure of the program."""
    answer = problem(errors.ChronosError(message, code=code, hint=hint), path=path, request_id=request_id)
    body = {**json.loads(bytes(answer.body)), "status": status, "title": HTTPStatus(status).phrase}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(json.dumps(body), status, {"Cache-Control": "no-store", **named}, MEDIA_TYPE)


def from_validation(error: RequestValidationError) -> errors.ChronosError:
    """The first fault that FastAPI found in a request, as one of our errors."""
    first: dict[str, Any] = dict(error.errors()[0])
    place, *path = [str(part) for part in first["loc"]]
    name, found = ".".join(path), str(first.get("input"))[:200]
    if place == "body":
        return errors.ProfileError(f"the request's body: {name}: {first['msg']}", code="body_invalid", found=found)
    return errors.UsageError(f"the parameter {name} cannot be used: {first['msg']}", code="parameter_invalid", found=found)


def unknown_parameter(name: str, known: list[str]) -> errors.UsageError:
    """A parameter that a route does not have."""
    close = nearest(name, known)
    return errors.UsageError(
        f"there is no parameter {name[:100]!r} here",
        code="parameter_unknown",
        expected=f"one of {', '.join(known)}" if known else "none",
        hint=f"Did you mean {close!r}?" if close else "",
    )
