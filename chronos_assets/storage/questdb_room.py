"""How much of what the system lets one process open a QuestDB server uses, and whether more columns fit.

A column costs some three open files and one memory map per yearly partition and one more (measured from 107 to 5,000 columns, 11 years). At
either limit QuestDB suspends the table, and resuming it does not help; so columns are refused well before.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from chronos_assets.errors import RefusedError

FILES_PER_COLUMN = 3
BASE_FILES = 200
# What new columns may bring a server to; the rest is for queries, merges and the other tables.
MOST_USED = 0.6
_MAP_LIMIT = Path("/proc/sys/vm/max_map_count")


@dataclass(frozen=True)
class Use:
    """Open files or memory maps of one process, and the system's limit."""

    what: str
    used: int
    limit: int
    remedy: str


def process_use(pid: int | None) -> tuple[Use, ...]:
    """Open files and memory maps of a process of this machine, as far as the system tells (Linux tells both)."""
    found: list[Use] = []
    with contextlib.suppress(psutil.Error, OSError, ValueError, AttributeError):  # gone, not ours, or a system that does not tell
        process = psutil.Process(pid)
        if pid is not None:
            limit = process.rlimit(psutil.RLIMIT_NOFILE)[0]
            found.append(Use("open files", process.num_fds(), limit, "raise the limit of open files (ulimit -n) of its user"))
            maps = Path(f"/proc/{pid}/maps").read_bytes().count(b"\n")
            found.append(Use("memory maps", maps, int(_MAP_LIMIT.read_text()), "raise vm.max_map_count (sysctl)"))
    return tuple(found)


def check_room(use: Sequence[Use], *, columns: int, added: int, partitions: int) -> None:
    """Raise `RefusedError` if `added` columns beside the `columns` that a table has would take more than `MOST_USED` of a limit."""
    per_column = {"open files": FILES_PER_COLUMN, "memory maps": partitions + 1}
    for one in use:
        each = per_column[one.what]
        # A server that rests has closed some: it opens them again when it is asked.
        expected = max(one.used, BASE_FILES + each * columns) + each * added
        if expected > MOST_USED * one.limit:
            raise RefusedError(
                f"QuestDB has no room for {added} more columns: it would come close to the limit of {one.what}, where it stops all tables",
                code="columns_budget",
                expected=f"at most {int(MOST_USED * one.limit):,} {one.what} ({MOST_USED:.0%} of {one.limit:,})",
                found=f"about {expected:,} with {columns + added:,} columns over {partitions} years",
                hint="Nothing was written. Lower CHRONOS_COLUMN_BUDGET, so that datasets share columns; leave columns out in the manifest; "
                f"or {one.remedy} and start QuestDB again.",
            )
