"""What routes share: the stores of the process, and the description of parameters that many routes have."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Query, Request
from pydantic import AfterValidator
from pydantic_core import core_schema

from chronos_assets.storage.stores import Stores
from chronos_assets.views.frame_cache import FrameCache
from chronos_assets.views.open_reads import OpenReads
from chronos_assets.web.problems import Problem
from chronos_assets.web.source import StoreSource


class OneOf:
    """Annotates a text that must be one of some names, known only at run time."""

    def __init__(self, *names: str) -> None:
        self._names = names

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        return core_schema.literal_schema(list(self._names))


def in_utc(moment: datetime | None) -> datetime | None:
    """A time without an offset is one of UTC."""
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


Fields = Annotated[str | None, Query(description="Only these fields of each entry, separated by commas.")]
Limit = Annotated[int, Query(ge=1, le=500, description="Entries of a page.")]
Cursor = Annotated[str | None, Query(max_length=500, description="Where the page begins: `X-Next-Cursor` of the page before.")]
Exact = Annotated[str | None, Query(max_length=200)]
Current = Annotated[
    bool | None,
    Query(description="`true`: only current runs, of each profile the completed one on the registered content that was requested last."),
]
ProfileName = Annotated[str | None, Query(max_length=100, description="Only what this profile of the manifest asked for.")]
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


Moment = Annotated[
    datetime | None, AfterValidator(in_utc), Query(description="ISO 8601; without an offset, UTC.", examples=["2020-01-01T00:00:00Z"])
]
From = Annotated[datetime | None, AfterValidator(in_utc), Query(alias="from", description="Rows from this time on (ISO 8601).")]
To = Annotated[datetime | None, AfterValidator(in_utc), Query(description="Rows before this time (ISO 8601).")]
Digits = Annotated[
    int | None, Query(ge=3, le=17, description="Significant digits of every value; a chart needs 6. Without it, values are exact.")
]
Points = Annotated[int | None, Query(ge=100, le=10_000, description="At most as many buckets of rows, extremes kept.")]


def frames_of(request: Request) -> FrameCache:
    """The frames that this process has read and kept."""
    frames: FrameCache = request.app.state.frames
    return frames


def reads_of(request: Request) -> OpenReads:
    """The whole series that this process reads for somebody."""
    reads: OpenReads = request.app.state.reads
    return reads


def stores_of(request: Request) -> Stores:
    """The stores that this process reads; raises `ServiceUnavailableError` while they do not run."""
    source: StoreSource = request.app.state.source
    return source.get()


def names_of(text: str | None) -> list[str] | None:
    """The names of a parameter that separates them by commas; None if it is absent."""
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]
