"""Faults done to exports, and what must hold after each: for the tests (a small sample) and the campaigns in benchmarks/faults."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from chronos_assets.errors import ChronosError
from chronos_assets.pipeline.export.dataset import ExportOptions, export_dataset
from chronos_assets.pipeline.validation.dataset import validate_dataset
from chronos_assets.services import Connections
from chronos_assets.settings import Settings
from chronos_assets.storage.audits import list_attempts
from chronos_assets.storage.datasets import find_dataset, get_dataset
from chronos_assets.storage.delivery import bars_of
from chronos_assets.storage.stores import open_stores
from chronos_assets_tests.support.export_case import ExportCase
from chronos_assets_tests.support.tcp_proxy import CuttingProxy, Moment

COMMAND = [sys.executable, "-c", "from chronos_assets.cli.export import main; main()"]
SINGLE_THREADED = [sys.executable, "-m", "chronos_assets_tests.support.single_threaded"]


def environment(settings: Settings, connections: Connections, exports: Path) -> dict[str, str]:
    """Variables of an exporter process that uses the same servers."""
    return {
        **os.environ,
        "CHRONOS_HOME": str(settings.home),
        "CHRONOS_EXPORTS_DIR": str(exports),
        "CHRONOS_QUESTDB_CONF": connections.questdb_conf,
        "CHRONOS_QUESTDB_HTTP": connections.questdb_http,
        "CHRONOS_QUESTDB_USER": connections.questdb_user or "",
        "CHRONOS_QUESTDB_PASSWORD": connections.questdb_password or "",
        "CHRONOS_POSTGRES_DSN": connections.postgres_dsn,
        "POLARS_MAX_THREADS": "1",
    }


def start_exporter(
    case: ExportCase,
    variables: dict[str, str],
    *,
    before: Sequence[str] = (),
    arguments: Sequence[str] = (),
    command: Sequence[str] = COMMAND,
) -> subprocess.Popen[str]:
    """An exporter process on the case, in a session of its own; `before` is a command that runs it (strace)."""
    case.save()
    command = [*before, *command, case.slug, *arguments]
    return subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def assert_nothing_half_done(case: ExportCase) -> str:
    """What must hold right after a fault: either nothing is registered, or all of it is there. Says which."""
    if find_dataset(case.stores.postgres, case.slug) is None:
        return "nothing registered"
    report = validate_dataset(case.slug, case.stores)
    assert report.passed, report.as_dict()
    return "registered in full"


def reached(case: ExportCase) -> str:
    """How far the exporter had come when it was stopped, as the record of the last attempt tells."""
    attempts = list_attempts(case.stores.postgres, case.slug)
    record = find_dataset(case.stores.postgres, case.slug)
    if not attempts:
        return "stopped before anything was written"
    if attempts[-1].verdict == "running":
        sent = bars_of(case.stores.questdb, attempts[-1].questdb_tag)
        return "stopped between write and verdict" if sent >= len(case.days) else "stopped while rows went out"
    published = record is not None and record.questdb_tag == attempts[-1].questdb_tag and record.checksum == attempts[-1].checksum
    return "stopped after the publication" if published else "stopped between verdict and publication"


def assert_retry_ends_clean(case: ExportCase) -> None:
    """What must hold after one more export: one registry row, exactly the bars of the file, each once."""
    case.export()
    record = get_dataset(case.stores.postgres, case.slug)
    normalized, loaded = case.normalized()
    assert (record.row_count, record.content_hash, record.checksum) == (
        len(case.days),
        normalized.report.content_hash,
        normalized.report.checksum,
    )
    assert case.holds_the_file(record.questdb_tag)
    report = validate_dataset(case.slug, case.stores, loaded=loaded)
    assert report.passed, report.as_dict()
    assert report.audit is not None, report.as_dict()
    with case.stores.postgres.connection() as connection:
        rows = connection.execute("SELECT count(*) AS n FROM indicator_datasets WHERE dataset_id = %s", [case.slug]).fetchone()
    assert rows == {"n": 1}


def assert_one_readable_error(stderr: str) -> None:
    """A failing exporter says one sentence, not a traceback, and no password."""
    assert "Traceback" not in stderr, stderr
    assert stderr.count("error: ") == 1, stderr
    assert "password=" not in stderr, stderr


def cut_at_commit(case: ExportCase, connections: Connections, settings: Settings, moment: Moment) -> str:
    """Export through a proxy that cuts the connection around the COMMIT of the publication; what became of it."""
    address = urlsplit(connections.postgres_dsn)
    with CuttingProxy(address.hostname or "127.0.0.1", address.port or 5432) as proxy:
        through = address._replace(netloc=address.netloc.rsplit(":", 1)[0] + f":{proxy.port}")
        stores = open_stores(replace(connections, postgres_dsn=through.geturl()), settings)

        def progress(stage: str, done: int, total: int | None, detail: str = "") -> None:
            if stage == "publish" and done == 0 and not detail:
                proxy.arm(b"COMMIT", moment)

        try:
            result = export_dataset(case.save(), stores, settings, options=ExportOptions(), progress=progress)
        except ChronosError as error:
            outcome = f"error: {error}"
        else:
            assert result.published
            outcome = "published"
        assert proxy.cuts == 1
    return outcome
