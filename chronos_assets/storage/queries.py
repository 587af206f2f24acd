"""Named Postgres queries, kept in `sql/*.sql`: a line `-- name: NAME` starts each; comments above it say what it is for."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import LiteralString

from chronos_assets.errors import StoreError

_NAME = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)


def query(name: str) -> LiteralString:
    """The text of query `name`. Values go in as binds (`%(name)s`) only."""
    found = _queries().get(name)
    if found is None:
        raise StoreError(f"there is no query named {name!r}", code="query_unknown")
    return found


@cache
def _queries() -> dict[str, LiteralString]:
    queries: dict[str, LiteralString] = {}
    for file in sorted((Path(__file__).parent / "sql").glob("*.sql")):
        parts = _NAME.split(file.read_text(encoding="utf-8"))
        for name, body in zip(parts[1::2], parts[2::2], strict=True):
            if name in queries:
                raise StoreError(f"query {name!r} is in two places", code="query_twice", file=file.name)
            queries[name] = body.strip()
    return queries
