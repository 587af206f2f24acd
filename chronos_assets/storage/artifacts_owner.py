"""Whose artifacts a shared place holds. A prune removes what its registry does not name, so two registries must not share one place.

The place says in `registry.json` which registry it belongs to: the cluster of Postgres and the database in it. A registry that was
copied or restored is another one, and takes a place only if that one's file was removed.
"""

from __future__ import annotations

import json

from chronos_assets.errors import ConflictError
from chronos_assets.storage.artifacts.store import ArtifactStore
from chronos_assets.storage.postgres import Postgres
from chronos_assets.storage.queries import query

NAME = "registry.json"
_known: set[tuple[str, str]] = set()


def require_own_place(artifacts: ArtifactStore, postgres: Postgres) -> None:
    """Take a place of artifacts for this registry; raises `ConflictError` if it is another's. Asked once per process and place."""
    asked = (artifacts.address(NAME), postgres.address)
    if asked in _known:
        return
    ours = _registry(postgres)
    if ours is not None:
        found = owner(artifacts)
        if found is None:
            artifacts.put({NAME: json.dumps({"registry": ours}).encode()})
            found = owner(artifacts)
        if found != ours:
            raise ConflictError(
                "the artifacts in this place belong to another registry, whose files a prune would remove",
                code="artifacts_of_another_registry",
                hint=f"Give CHRONOS_ARTIFACTS a prefix of its own. If that registry is gone, or was moved here, delete {asked[0]} first.",
                place=asked[0],
            )
    _known.add(asked)


def owner(artifacts: ArtifactStore) -> str | None:
    """The registry that a place belongs to; None if it is nobody's yet."""
    content = artifacts.read(NAME)
    if content is None:
        return None
    try:
        return str(json.loads(content)["registry"])
    except (ValueError, KeyError, TypeError):
        return "unreadable"


def _registry(postgres: Postgres) -> str | None:
    """What tells this registry from all others; None if the user may not ask for it."""
    with postgres.connection() as connection:
        allowed = connection.execute(query("may_identify")).fetchone()
        if allowed is None or not allowed["allowed"]:
            return None
        row = connection.execute(query("registry_identity")).fetchone()
    return None if row is None else str(row["identity"])
