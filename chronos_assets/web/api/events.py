"""`/api/events`: how runs and feature selections get on, as server-sent events. A page needs one stream."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import StreamingResponse

from chronos_assets.errors import ServiceUnavailableError, UsageError
from chronos_assets.web.context import PROBLEMS
from chronos_assets.web.progress import MOST_STREAMS, ProgressWatch

router = APIRouter(tags=["events"], responses=PROBLEMS)
MOST_TOPICS = 20
TOPIC = re.compile(r"runs|(run|lfs):[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)
STREAM: dict[int | str, dict[str, Any]] = {200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}}


@router.get("/api/events", response_class=StreamingResponse, responses=STREAM, operation_id="listen")
async def listen(
    request: Request,
    topics: Annotated[
        str, Query(max_length=1_000, description="`runs`, `run:RUN_ID` or `lfs:LFS_ID`; several separated by commas.", examples=["runs"])
    ],
) -> StreamingResponse:
    """Events named `progress`: status and folds of runs, status and permutations of feature selections, whenever they change.

    `Last-Event-ID` resumes.
    """
    watch: ProgressWatch = request.app.state.watch
    chosen = frozenset(part.strip().lower() for part in topics.split(",") if part.strip())
    wrong = sorted(topic for topic in chosen if not TOPIC.fullmatch(topic))
    if wrong or not 1 <= len(chosen) <= MOST_TOPICS:
        found = wrong[0][:100] if wrong else f"{len(chosen)} topics"
        raise UsageError(
            "this cannot be listened to", code="topic_unknown", expected=f"1 to {MOST_TOPICS} of runs, run:RUN_ID, lfs:LFS_ID", found=found
        )
    if watch.streams >= MOST_STREAMS:
        raise ServiceUnavailableError(
            f"{MOST_STREAMS} pages listen already", code="streams_full", hint="Ask the route itself every 5 s, with its ETag."
        )
    last = request.headers.get("last-event-id", "")
    after = int(last) if last.isascii() and last.isdigit() and len(last) < 20 else 0
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(watch.stream(chosen, after), headers=headers, media_type="text/event-stream")
