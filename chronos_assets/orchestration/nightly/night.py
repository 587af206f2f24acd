"""What one night or backfill did, in numbers and in one line. Nothing here loads Dagster: a night without work has no use for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

ADDED = ("rows_written", "folds_trained", "folds_reused")  # each run adds to them
SUMMED = (*ADDED, "trades")
BACKFILL = "backfill "  # how names of nights begin that the command line made


@dataclass(frozen=True)
class Night:
    """What one night or backfill did."""

    name: str
    rows: list[dict[str, Any]]
    totals: dict[str, int]
    failures: list[dict[str, str]]
    problems: Sequence[str] = ()
    """Manifests and files that were not taken, each by name and reason."""
    in_progress: int = 0
    """Datasets that another run works on still; it is summed up with the next night."""

    @property
    def datasets(self) -> int:
        """How many datasets ran, each counted once however often it ran."""
        return len({row["dataset"] for row in self.rows})

    def headline(self) -> str:
        """All of it in one line."""
        untaken = f"{len(self.problems)} not taken" if self.problems else ""
        busy = f"{self.in_progress} in progress, " if self.in_progress else ""
        if not self.rows:
            return f"nothing to do, {untaken}" if untaken else "nothing to do"
        return (
            f"{self.datasets - len(self.failures) - self.in_progress} of {self.datasets} datasets done, {busy}"
            f"{self.totals['rows_written']:,} rows added, "
            f"{self.totals['folds_trained']:,} folds trained, {self.totals['folds_reused']:,} reused, "
            f"{len(self.failures)} failed{', ' if untaken else ''}{untaken}"
        )


def backfill_name(started_at: datetime) -> str:
    """The name of a night that the command line makes."""
    return f"{BACKFILL}{started_at:%Y-%m-%dT%H:%M:%SZ}"


def quiet_night(name: str) -> Night:
    """A night on which nothing ran."""
    return Night(name, [], dict.fromkeys(SUMMED, 0), [])


def fields_of(
    night: Night, *, manifests: int, unchanged: int, in_progress: int = 0, datasets: Sequence[dict[str, Any]] = ()
) -> dict[str, Any]:
    """The fields of the document `Night`, all but its morning. `datasets`: fields of the document `NightRun` of each that ran."""
    return {
        "name": night.name,
        "manifests": manifests,
        "unchanged": unchanged,
        "in_progress": in_progress,
        "problems": list(night.problems),
        "datasets": list(datasets),
        "totals": night.totals,
        "summary": night.headline(),
    }
