"""`python -m benchmarks.lineage.ticks [manifests]`: ticks of sensor and schedule with many manifests."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

from dagster import SensorResult, build_schedule_context, build_sensor_context

from benchmarks.lineage.workplace import write_dataset
from chronos_assets.orchestration.build import build_defs
from chronos_assets.orchestration.instance import open_instance
from chronos_assets.orchestration.partitions import add_partitions
from chronos_assets.orchestration.preview import accepted
from chronos_assets.orchestration.resources import Workplace
from chronos_assets.testing import temporary_servers

T = TypeVar("T")


def timed(words: str, function: Callable[[], T]) -> T:
    """Call and print the time it took."""
    started = time.monotonic()
    result = function()
    print(f"{words:<60} {time.monotonic() - started:7.2f} s", flush=True)
    return result


def main() -> None:
    """Print seconds of each tick."""
    manifests = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    with (
        temporary_servers(durable=True, manifest_settle_seconds=0) as (settings, connections),
        open_instance(settings, captured_output=False) as instance,
        accepted(),
    ):
        for number in range(manifests):
            write_dataset(settings.exports_dir, f"tick{number}_1h_v1", rows=2_000, features=20, profile={})
        definitions = build_defs({"workplace": Workplace(settings, connections=connections)})
        sensor = definitions.resolve_sensor_def("manifest_sensor")
        schedule = definitions.resolve_schedule_def("nightly")

        def tick(cursor: str | None) -> SensorResult:
            result = sensor(build_sensor_context(instance=instance, cursor=cursor, sensor_name="manifest_sensor"))
            assert isinstance(result, SensorResult)
            return result

        def night() -> int:
            when = datetime(2026, 11, 23, 2, tzinfo=UTC)
            context = build_schedule_context(
                instance=instance, scheduled_execution_time=when, repository_def=definitions.get_repository_def()
            )
            return len(schedule.evaluate_tick(context).run_requests or [])

        first = timed(f"sensor tick, {manifests} new manifests, every file read", lambda: tick(None))
        assert len(first.run_requests or []) == manifests
        timed("adding their partitions", lambda: add_partitions(instance, [r.partition_key or "" for r in first.run_requests or []]))
        timed("sensor tick, nothing changed", lambda: tick(first.cursor))
        print(f"cursor: {len(first.cursor or ''):,} characters")
        timed("nightly tick, nothing covered by a run yet", night)


if __name__ == "__main__":
    main()
