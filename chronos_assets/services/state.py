"""What is written down about the embedded servers: who runs where (`state.json`) and the passwords (`passwords.json`).

The state is a help, not the truth: the truth is which processes run (`processes`, `locks`). One that cannot be read counts as empty.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from chronos_assets.services.places import cannot_write, write_json
from chronos_assets.storage.privacy import OWNER_FILE


@dataclass(frozen=True)
class ServerRecord:
    """One server as it was started. Written before the process exists (`pid` None), and again when it answers (`ready`).

    `pid` only says where to look first: a process is ours by its command line, so a number given to another process misleads nobody.
    """

    name: str
    version: str
    data_dir: str
    ports: dict[str, int]
    pid: int | None = None
    process_started_at: float | None = None
    ready: bool = False
    os_user: str | None = None
    programs: str | None = None
    options: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Passwords:
    """The generated passwords of one set of servers."""

    questdb_http: str = field(repr=False)
    questdb_pg: str = field(repr=False)
    postgres: str = field(repr=False)


def load_records(path: Path) -> dict[str, ServerRecord]:
    """The records at `path`; empty if there is none, or none that can be read."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        known = {f.name for f in fields(ServerRecord)}
        return {name: ServerRecord(**{k: v for k, v in entry.items() if k in known}) for name, entry in document["servers"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def save_record(path: Path, record: ServerRecord) -> None:
    """Write `record` beside those of the other servers. To be called under the start lock."""
    records = load_records(path)
    records[record.name] = record
    write_json(path, {"format": 1, "servers": {name: asdict(r) for name, r in records.items()}}, mode=OWNER_FILE)


def passwords(path: Path) -> Passwords:
    """The passwords at `path`, generated on first use; only the owner can read the file. To be called under the start lock."""
    known = read_passwords(path)
    if known is not None:
        return known
    # The alphabet of token_urlsafe needs no quoting in a client string, an address, or SQL.
    fresh = Passwords(*(secrets.token_urlsafe(24) for _ in fields(Passwords)))
    write_json(path, asdict(fresh), mode=OWNER_FILE)
    return fresh


def read_passwords(path: Path) -> Passwords | None:
    """The passwords at `path`, or None if there are none; raises `ServiceStartError` if they are somebody else's."""
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if path.stat().st_mode & 0o077:
            path.chmod(OWNER_FILE)
        return Passwords(**document)
    except PermissionError as error:
        raise cannot_write(path.parent, error) from error
    except (OSError, ValueError, TypeError):
        return None
