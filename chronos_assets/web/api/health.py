"""`/api/health`: whether the parts that answers depend on are there. Needs no token, and shows no address."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from typing import Literal

import requests
from fastapi import APIRouter, Request, Response

from chronos_assets.errors import ChronosError, NotPublishedError
from chronos_assets.storage.stores import Stores
from chronos_assets.views.documents import Document
from chronos_assets.web.context import stores_of

router = APIRouter(tags=["health"])
DAGSTER_SECONDS = 1.0


class Part(Document):
    """One part: whether it answers, and after how many milliseconds."""

    status: Literal["ok", "down"]
    ms: float


class Health(Document):
    """All parts; `degraded` if a store is down. Dagster only starts work, so answers do not depend on it."""

    status: Literal["ok", "degraded"]
    version: str
    questdb: Part
    postgres: Part
    dagster: Part


@router.get("/api/health", response_model=Health, operation_id="get_health")
def get_health(request: Request) -> Response:
    """Whether both stores and Dagster answer; 200 also if a store is down."""
    asked: list[Callable[[], None]] = [
        lambda: _questdb(stores_of(request)),
        lambda: _postgres(stores_of(request)),
        lambda: _dagster(request),
    ]
    with ThreadPoolExecutor(len(asked)) as pool:
        questdb, postgres, dagster = pool.map(_part, asked)
    whole = questdb.status == postgres.status == "ok"
    health = Health(
        status="ok" if whole else "degraded", version=version("chronos-assets"), questdb=questdb, postgres=postgres, dagster=dagster
    )
    return Response(health.model_dump_json(), media_type="application/json", headers={"Cache-Control": "no-store"})


def _part(ask: Callable[[], None]) -> Part:
    started = time.perf_counter()
    try:
        ask()
    except (ChronosError, requests.RequestException):
        status: Literal["ok", "down"] = "down"
    else:
        status = "ok"
    return Part(status=status, ms=round(1000 * (time.perf_counter() - started), 1))


def _questdb(stores: Stores) -> None:
    stores.questdb.ping()


def _postgres(stores: Stores) -> None:
    try:
        stores.postgres.ping()
    except NotPublishedError:
        return  # it answers, and holds nothing yet


def _dagster(request: Request) -> None:
    url = request.app.state.dagster_url()
    if url is None:
        raise requests.ConnectionError
    with requests.Session() as session:
        session.trust_env = False
        session.get(f"{url}/server_info", timeout=DAGSTER_SECONDS).raise_for_status()
