"""A night that finds nothing to do: decided, recorded and tidied up without loading Dagster, whose import costs more than all of that.

The decision is the one of `schedules.covered`, on the same rows of Dagster's records, read by SQL. Only its "nothing to do" is taken.
Whatever else it finds, and whatever it cannot read or does not know, is left to the way through Dagster, which decides again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from chronos_assets.errors import ChronosError
from chronos_assets.orchestration.dagster_yaml import records_are_in_our_postgres
from chronos_assets.orchestration.nightly.morning import ended_of
from chronos_assets.orchestration.nightly.night import backfill_name, fields_of, quiet_night
from chronos_assets.orchestration.run_tags import CONTENT_TAG, PARTITION_TAG
from chronos_assets.pipeline.upkeep.changes import settled_survey
from chronos_assets.storage.dagster_records import EndedRun, covered_contents, ended_runs
from chronos_assets.storage.postgres import Postgres
from chronos_assets.views.nights import record_night

if TYPE_CHECKING:
    from chronos_assets.orchestration.resources import Workplace
    from chronos_assets.settings import Settings
    from chronos_assets.views.documents import Morning

LAST_ASSET = "trading_simulations"


def find_nothing_to_do(
    workplace: Workplace, records: Postgres, wanted: Sequence[str] | None = None, *, now: datetime | None = None
) -> tuple[dict[str, Any], Morning] | None:
    """Record a night if no dataset (of `wanted`, or of all manifests) changed; None if anything is to be done, told or doubted.

    Gives what `run_backfill` gives. `records`: Dagster's database.
    """
    settings, started_at = workplace.settings, now or datetime.now(UTC)
    found = settled_survey(settings, wanted)
    slugs = [one.slug for one in found]
    if any(one.content is None for one in found) or not records_are_in_our_postgres() or set(wanted or ()) - set(slugs):
        return None
    try:
        covered = covered_contents(records, LAST_ASSET, slugs, content_tag=CONTENT_TAG, dataset_tag=PARTITION_TAG)
    except ChronosError:
        return None
    if any(covered.get(one.slug) != one.content for one in found):
        return None
    night = quiet_night(backfill_name(started_at))
    ended = ended_of(night, found, was_refused=_never)
    morning = record_night(workplace.stores, night.name, started_at, ended)
    return fields_of(night, manifests=len(found), unchanged=len(found)), morning


def _never(run_id: str) -> bool:
    raise AssertionError(f"no run of this night can have failed: {run_id}")


class RecordedRuns:
    """Ended runs of Dagster, read by SQL; Dagster is loaded if some have to go."""

    def __init__(self, records: Postgres, settings: Settings) -> None:
        self._records, self._settings = records, settings

    def ended(self, slug: str | None = None) -> list[EndedRun]:
        """Runs that have ended, of a dataset or all, the newest first."""
        return ended_runs(self._records, slug, dataset_tag=PARTITION_TAG)

    def delete(self, run_ids: Sequence[str]) -> int:
        """Delete runs with their events and captured output; returns how many."""
        from chronos_assets.orchestration.instance import open_instance
        from chronos_assets.orchestration.nightly.dagster_runs import InstanceRuns

        with open_instance(self._settings, captured_output=False) as instance:
            return InstanceRuns(instance, self._settings).delete(run_ids)
