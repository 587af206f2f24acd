"""What routes share: the stores of the process, and the description of parameters that many routes have."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Request

from chronos_assets.storage.stores import Stores
from chronos_assets.web.problems import Problem
from chronos_assets.web.source import StoreSource

Fields = Annotated[str | None, Query(description="Only these fields of each entry, separated by commas.", examples=["run_id,status"])]
Limit = Annotated[int, Query(ge=1, le=500, description="Entries of a page.")]
Cursor = Annotated[str | None, Query(max_length=500, description="Where the page begins: `X-Next-Cursor` of the page before.")]
Exact = Annotated[str | None, Query(max_length=200)]
Words = Annotated[str | None, Query(max_length=200, description="Part of a name, in any case.")]
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": text}
    for status, text in (
        (400, "A parameter that is unknown or contradicts another one."),
        (404, "There is no such thing."),
        (422, "A value that cannot be used."),
        (503, "A store cannot be reached, or did not answer in time."),
        ("default", "Any other error."),
    )
}


def stores_of(request: Request) -> Stores:
    """The stores that this process reads; raises `ServiceUnavailableError` while they do not run."""
    source: StoreSource = request.app.state.source
    return source.get()
