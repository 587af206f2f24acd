"""`chronos doctor`: asks every part from where it runs, one line and one remedy each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click

from chronos_assets.cli.common import emit, json_option

if TYPE_CHECKING:
    from chronos_assets.settings import Settings
    from chronos_assets.storage.diagnosis import Finding
    from chronos_assets.views.documents import Diagnosis

_MARKS = {"ok": "ok", "warning": "WARNING", "failed": "FAILED", "unreachable": "UNREACHABLE"}
_EXIT = {"unreachable": 4, "failed": 1}


@click.command()
@json_option
def doctor(as_json: bool) -> None:
    """Examine stores, artifacts, executor and Dagster as this machine reaches them; start and change nothing.

    Exit status 4 if a part cannot be reached, 1 if one cannot work as it is; warnings do not count.
    """
    from chronos_assets.settings import load_settings
    from chronos_assets.views.documents import Diagnosis

    settings = load_settings()
    found = [finding for part, examine in PARTS.items() for finding in _examined(part, examine, settings)]
    document = Diagnosis.model_validate({"findings": found})
    emit(document, as_json, _as_text)
    worst = {finding.health for finding in found}
    raise SystemExit(next((status for health, status in _EXIT.items() if health in worst), 0))


def _examined(part: str, examine: Callable[[Settings], Iterator[Finding]], settings: Settings) -> Iterator[Finding]:
    """Findings of a part; an error of ours ends them and is the last one."""
    from chronos_assets.errors import ChronosError, ServiceUnavailableError
    from chronos_assets.storage.diagnosis import Finding

    try:
        yield from examine(settings)
    except ChronosError as error:
        away = error.exit_code == ServiceUnavailableError.exit_code
        said = str(error)
        message = said.removesuffix(error.hint).strip() if error.hint else said
        yield Finding(part, "unreachable" if away else "failed", message, error.hint)


def _as_text(document: Diagnosis) -> str:
    lines = []
    for one in document.findings:
        lines.append(f"{one.part:<10} {_MARKS[one.health]:<12}{one.found}")
        if one.remedy:
            lines.append(f"{'':<23}-> {one.remedy}")
    return "\n".join(lines)


def _questdb(settings: Settings) -> Iterator[Finding]:
    from chronos_assets import services
    from chronos_assets.storage.diagnosis import examine_questdb
    from chronos_assets.storage.reading import open_reading

    there = services.connect(settings, start=False)
    return examine_questdb(open_reading(there, settings).questdb, there.questdb_pid)


def _postgres(settings: Settings) -> Iterator[Finding]:
    from chronos_assets import services
    from chronos_assets.storage.diagnosis import examine_postgres
    from chronos_assets.storage.postgres import Postgres

    return examine_postgres(Postgres(services.connect(settings, start=False).postgres_dsn))


def _artifacts(settings: Settings) -> Iterator[Finding]:
    from chronos_assets.storage.artifacts.opening import open_artifacts
    from chronos_assets.storage.diagnosis import Finding, examine_artifacts, examine_room

    if settings.artifacts_dir.is_dir():
        yield examine_room(settings.artifacts_dir)
    elif settings.artifacts is None:
        yield Finding("artifacts", "ok", f"none yet; they will be in {settings.artifacts_dir}")
        return
    yield from examine_artifacts(open_artifacts(settings))


def _executor(settings: Settings) -> Iterator[Finding]:
    """The versions that every place would train with: this process, or each node of the cluster."""
    from chronos_assets.domain.profiles.walkforward import WalkforwardProfile
    from chronos_assets.learning.executors.base import require_versions
    from chronos_assets.learning.executors.catalogue import open_executor
    from chronos_assets.learning.versions import name_versions, versions_here
    from chronos_assets.storage.diagnosis import Finding

    profile = WalkforwardProfile()
    executor = open_executor(settings)
    with executor.session():
        places = len(require_versions(executor, profile.model, profile.features))
    here = name_versions(profile.model, profile.features, versions_here(profile.model, profile.features))
    where = f"{places} node{'s' * (places != 1)} of the cluster" if settings.executor == "ray" else f"{settings.workers} threads"
    yield Finding("executor", "ok", f"{settings.executor}, {where}: {here}")


def _dagster(settings: Settings) -> Iterator[Finding]:
    from chronos_assets.orchestration.diagnosis import examine_dagster

    return examine_dagster(settings)


PARTS: dict[str, Callable[[Settings], Iterator[Finding]]] = {
    "questdb": _questdb,
    "postgres": _postgres,
    "artifacts": _artifacts,
    "executor": _executor,
    "dagster": _dagster,
}
