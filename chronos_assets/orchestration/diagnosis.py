"""What `chronos doctor` asks Dagster's instance."""

from __future__ import annotations

import time
from collections.abc import Iterator

from dagster import RunsFilter
from dagster import __version__ as dagster_version

from chronos_assets.errors import ServiceUnavailableError
from chronos_assets.orchestration.instance import ServicesStopped, open_instance
from chronos_assets.settings import Settings
from chronos_assets.storage.diagnosis import Finding

HEARTBEAT_SECONDS = 120.0


def examine_dagster(settings: Settings) -> Iterator[Finding]:
    """Its records, and which of its daemons gave a sign of life in the last two minutes.

    Raises `ServiceUnavailableError` if the Postgres of its records does not run.
    """
    try:
        yield from _examine(settings)
    except ServicesStopped as error:
        hint = "`chronos services start` starts the embedded one."
        raise ServiceUnavailableError(
            "Dagster keeps its records in Postgres, which is not running", code="dagster_postgres_unreachable", hint=hint
        ) from error


def _examine(settings: Settings) -> Iterator[Finding]:
    with open_instance(settings, captured_output=False) as instance:
        runs = instance.get_runs_count(RunsFilter())
        yield Finding("dagster", "ok", f"{dagster_version}, {runs:,} runs on record")
        now = time.time()
        beats = instance.get_daemon_statuses()
        late = sorted(name for name, one in beats.items() if one.last_heartbeat and now - one.last_heartbeat.timestamp > HEARTBEAT_SECONDS)
        alive = sorted(name for name, one in beats.items() if one.last_heartbeat and name not in late)
        if alive:
            found = f"daemons alive: {', '.join(map(str.lower, alive))}"
            remedy = f"silent: {', '.join(map(str.lower, late))}; start `chronos dev` again." if late else ""
            yield Finding("dagster", "warning" if late else "ok", found, remedy)
        else:
            yield Finding("dagster", "ok", "no daemon runs: nights and the manifest sensor run while `chronos dev` does")
