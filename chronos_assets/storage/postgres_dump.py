"""A Postgres database as one file, by `pg_dump`, and back by `pg_restore`. Passwords go by the environment, never by a command line."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from chronos_assets.errors import StoreError
from chronos_assets.storage.postgres import without_driver


@dataclass(frozen=True)
class Dumper:
    """`pg_dump` and `pg_restore` in the folder `programs`, on the database of `dsn`."""

    programs: Path
    dsn: str = field(repr=False)

    def dump(self, file: Path, *, snapshot: str | None = None) -> None:
        """Write the database into `file`, as the exported `snapshot` sees it; owners and rights are left out."""
        chosen = [] if snapshot is None else [f"--snapshot={snapshot}"]
        self._run("pg_dump", "--format=custom", "--no-owner", "--no-privileges", *chosen, f"--file={file}")

    def load(self, file: Path) -> None:
        """Put the contents of `file` into the database, which must be empty: all of it, or nothing."""
        self._run("pg_restore", "--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges", str(file))

    def _run(self, program: str, *arguments: str) -> None:
        parts: dict[str, Any] = dict(conninfo_to_dict(without_driver(self.dsn)))
        password = parts.pop("password", None)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        if password is not None:
            environment["PGPASSWORD"] = str(password)
        command = [str(self.programs / program), f"--dbname={make_conninfo(**parts)}", *arguments]
        try:
            subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        except subprocess.CalledProcessError as error:
            raise StoreError(
                f"{program} failed",
                code="postgres_dump_failed",
                found=" ".join(error.stderr.split())[:500] or f"exit status {error.returncode}",
                hint="A server that is newer than the bundled programs cannot be dumped by them: use those of its own version.",
            ) from error
