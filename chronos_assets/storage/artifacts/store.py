"""What a store of artifacts can do. Everything that keeps models, cases, prices or reports goes through this interface.

An artifact has a name: parts of letters, digits, `.`, `_`, `-` and `@`, joined by `/`. Callers make names from keys that they
have verified, never from what a table says. An artifact is there in full or not at all, and survives a crash of this machine once
`put` has returned.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._@-]*(/[A-Za-z0-9_-][A-Za-z0-9._@-]*)*", re.ASCII)


@dataclass(frozen=True)
class Entry:
    """One artifact as a listing shows it: its name, its bytes, and when it was put."""

    name: str
    size: int
    modified: datetime


class ArtifactStore(Protocol):
    """A place of artifacts. Thread-safe. Errors: `FileError`, and `ServiceUnavailableError` if the place cannot be reached."""

    journals: Path
    """A folder of this machine for what grows while it is made, and becomes an artifact when it is finished."""

    def address(self, name: str) -> str:
        """Where a person finds an artifact: a path or a URL."""
        ...

    def put(self, contents: Mapping[str, bytes]) -> None:
        """Put artifacts in place, each whole or not at all; all of them are durable on return. What has the name already is replaced."""
        ...

    def read(self, name: str) -> bytes | None:
        """The content of an artifact; None if it is gone."""
        ...

    def read_ranges(self, name: str, ranges: Sequence[tuple[int, int]]) -> list[bytes] | None:
        """Parts of an artifact, `(start, bytes)` each; a part past its end is shorter. None if the artifact is gone."""
        ...

    def size(self, name: str) -> int | None:
        """Bytes of an artifact; None if it is gone."""
        ...

    def delete(self, name: str) -> int:
        """Delete an artifact; returns its bytes, 0 if it is gone already."""
        ...

    def list(self, prefix: str = "") -> Iterator[Entry]:
        """All artifacts whose names begin with the parts of `prefix`."""
        ...

    def remove_abandoned(self, prefix: str) -> int:
        """Remove what killed writers left half-written below `prefix`; call it while nobody writes there. Returns how many went."""
        ...


def checked_name(name: str) -> str:
    """The name, if it is one; raises `ValueError` for a text that could lead out of the store."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of an artifact")
    return name
