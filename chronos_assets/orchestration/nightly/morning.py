"""How each dataset of a night ended, from its runs and the manifests as they lie there: what the morning's summary is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from chronos_assets.orchestration.nightly.night import Night
from chronos_assets.pipeline.upkeep.changes import Found

if TYPE_CHECKING:
    from chronos_assets.views.nights import Ended

ENDED_WORDS = {"success", "failure", "canceled"}  # Dagster's statuses of a run that has ended
NOT_AGAIN = "not tried again: "
SETTLING = "its file is still being written"


def ended_of(
    night: Night,
    found: Iterable[Found],
    *,
    was_refused: Callable[[str], bool],
    refused: Mapping[str, str] | None = None,
    elsewhere: Mapping[str, str] | None = None,
    failed: Mapping[str, str] | None = None,
) -> list[Ended]:
    """How each dataset that has a manifest or ran ended, each once.

    `was_refused`: whether a failed run, by id, refused its manifest or file. By slug: `refused` says what still stands refused, `elsewhere`
    who works on a dataset, `failed` why one did not come to a run.
    """
    from chronos_assets.views.nights import Ended

    working = {row["dataset"]: f"{row['why']} (run {row['run']})" for row in night.rows if row["status"] not in ENDED_WORDS}
    elsewhere = {**working, **(elsewhere or {})}
    failures = {row["dataset"]: row for row in night.failures}
    trained: dict[str, int] = {}
    for row in night.rows:
        trained[row["dataset"]] = trained.get(row["dataset"], 0) + row["folds_trained"]
    there = {one.slug: one for one in found}
    ended = []
    for slug in sorted(there.keys() | trained.keys()):
        one = there.get(slug)
        if slug in elsewhere:
            ended.append(Ended(slug, "in progress elsewhere", elsewhere[slug]))
        elif slug in failures:
            reason, refused_now = failures[slug]["reason"], was_refused(failures[slug]["run"])
            ended.append(Ended(slug, "refused" if refused_now else "failed", reason, trained.get(slug, 0)))
        elif slug in trained:
            ended.append(Ended(slug, "done", folds_trained=trained[slug]))
        elif slug in (failed or {}):
            ended.append(Ended(slug, "failed", (failed or {})[slug]))
        elif one is not None and one.problem:
            ended.append(Ended(slug, "refused", one.problem))
        elif one is not None and one.settling:
            ended.append(Ended(slug, "not taken", SETTLING))
        elif slug in (refused or {}):
            ended.append(Ended(slug, "refused", (refused or {})[slug].partition(NOT_AGAIN)[2]))
        else:
            ended.append(Ended(slug, "unchanged"))
    return ended
