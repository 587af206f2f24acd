"""Ids that people type: the beginning of one is enough if only one begins so."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from chronos_assets.errors import UsageError
from chronos_assets.storage.queries import query

if TYPE_CHECKING:
    from chronos_assets.storage.postgres import Postgres

LEAST_CHARACTERS = 6
_BEGINNING = re.compile(rf"[0-9a-f-]{{{LEAST_CHARACTERS},35}}")
_SHOWN = 5
# What is named -> the query for ids that begin alike.
_QUERIES = {"run": "runs_near", "simulation": "simulations_near", "selection": "selections_near", "model": "models_near"}


def full_id(postgres: Postgres, kind: Literal["run", "simulation", "selection", "model"], text: str) -> str:
    """The id that begins with `text`, or `text` itself if none does (whoever looks it up says so).

    Raises `UsageError` if several begin so.
    """
    beginning = text.strip().lower()
    if not _BEGINNING.fullmatch(beginning):
        return text
    with postgres.connection() as connection:
        found = [str(row["id"]) for row in connection.execute(query(_QUERIES[kind]), {"prefix": beginning}).fetchall()]
    if len(found) > 1:
        raise UsageError(
            f"{text} is the beginning of {len(found)} {kind} ids",
            code="id_ambiguous",
            expected="more of its characters",
            found=", ".join(found[:_SHOWN]) + (" ..." if len(found) > _SHOWN else ""),
        )
    return found[0] if found else text
