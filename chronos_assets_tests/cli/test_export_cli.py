"""`chronosflow_export`, `validate_dataset` and `chronos datasets` as processes of their own: documents, exit codes, what is left."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from chronos_assets.pipeline.validation.dataset import validate_dataset
from chronos_assets.services import Connections
from chronos_assets.settings import Settings
from chronos_assets.storage.audits import list_attempts
from chronos_assets.storage.datasets import find_dataset
from chronos_assets.storage.delivery import bars_of
from chronos_assets.storage.stores import Stores
from chronos_assets_tests.support.commands import run_program
from chronos_assets_tests.support.export_case import ExportCase, make_case
from chronos_assets_tests.support.export_faults import environment

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def case(stores: Stores, tmp_path: Path, unique_slug: str) -> ExportCase:
    case = make_case(stores, tmp_path, unique_slug)
    case.save()
    return case


@pytest.fixture
def run(case: ExportCase, servers: Connections, settings: Settings) -> Run:
    """Runs a program with the case's folder as exports folder."""
    variables = environment(settings, servers, case.folder)

    def call(program: str, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        return run_program(*arguments, program=program, env={**variables, **changes})

    return call


def document(done: subprocess.CompletedProcess[str], code: int = 0) -> dict[str, Any]:
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    parsed: dict[str, Any] = json.loads(done.stdout)
    return parsed


def test_an_export_says_what_it_did_as_one_document(case: ExportCase, run: Run) -> None:
    """Counts, tag, transport, verdict and times; a dry run before it writes nothing; a second export writes nothing."""
    plan = document(run("export", case.slug, "--dry-run", "--json"))
    assert (plan["kind"], plan["rows_to_write"], plan["questdb_tag"]) == ("first", 40, case.slug)
    assert list_attempts(case.stores.postgres, case.slug) == []
    assert bars_of(case.stores.questdb, case.slug) == 0
    done = document(run("export", case.slug, "--json", "--batch-rows", "7"))
    assert (done["rows_written"], done["rows_total"], done["published"], done["revision"]) == (40, 40, True, 1)
    assert (done["transport"], done["batch_rows"], done["audit"]["passed"]) == ("ilp-http", 7, True)
    assert set(done["seconds"]) == {"normalize", "write", "audit", "publish"}
    again = document(run("export", case.slug, "--json"))
    assert (again["unchanged"], again["rows_written"]) == (True, 0)


def test_all_goes_on_after_a_bad_dataset_and_says_the_worst(case: ExportCase, run: Run) -> None:
    """One broken manifest, one good: the good one is published, the counts are logged, exit code 3."""
    (case.folder / "broken_1d_v1.yaml").write_text("dataset: broken_1d_v1\n")
    done = run("export", "--all", "--json")
    told = document(done, 3)
    assert {d["dataset"]: d["exit_code"] for d in told["datasets"]} == {"broken_1d_v1": 3, case.slug: 0}
    assert told["rows_written"] == 40
    assert f"{case.slug}: 40 of 40 rows written" in done.stderr
    assert find_dataset(case.stores.postgres, case.slug) is not None


def test_a_failed_audit_is_exit_3_with_the_report(case: ExportCase, run: Run) -> None:
    """The document carries the verdict; nothing is registered."""
    case.stores.questdb.ensure_columns("indicator_bars", list(case.values))
    rows = case.rows_as_sent(case.slug)
    case.put(rows[-1:].with_columns(pl.col("timestamp") + pl.duration(days=9), pl.col("timestamp_unix") + 9 * 86_400))
    told = document(run("export", case.slug, "--json"), 3)
    assert (told["published"], told["audit"]["passed"], told["audit"]["rows_stale"]) == (False, False, 1)
    assert find_dataset(case.stores.postgres, case.slug) is None


def test_without_a_registry_published_bars_are_never_touched(case: ExportCase, run: Run) -> None:
    """Every call writes under a tag of its own that no registered export can have, and never makes an attempt or a registry row."""
    planned = document(run("export", case.slug, "--no-registry", "--dry-run", "--json"))
    assert (planned["kind"], planned["questdb_tag"], planned["rows_to_write"]) == ("unregistered", f"{case.slug}@unregistered-*", 40)
    told = [document(run("export", case.slug, "--no-registry", "--json")) for _ in range(2)]
    for one in told:
        assert re.fullmatch(rf"{case.slug}@unregistered-[0-9a-f]{{16}}", one["questdb_tag"])
        assert (one["published"], one["audit"]["passed"], one["rows_written"]) == (False, True, 40)
        assert case.holds_the_file(one["questdb_tag"])
    assert told[0]["questdb_tag"] != told[1]["questdb_tag"]
    assert bars_of(case.stores.questdb, case.slug) == 0
    assert list_attempts(case.stores.postgres, case.slug) == []


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((), 2),
        (("SLUG", "--all"), 2),
        (("SLUG", "--transport", "ilp-tcp"), 2),
        (("SLUG", "--postgres", "postgresql://u:hush@127.0.0.1:1/x", "--no-registry"), 2),
        (("SLUG", "--tolerance", "much"), 2),
        (("SLUG", "--no-registry", "--questdb", "HERE;retry_timeout=soon;"), 2),
        (("SLUG", "--questdb", "ftp::addr=x;password=hush;"), 2),
        (("Bad Slug",), 3),
        (("nothing_1d_v1",), 3),
        (("SLUG", "--postgres", "postgresql://u:hush@127.0.0.1:1/x"), 4),
    ],
)
def test_exit_codes_and_one_readable_error(case: ExportCase, run: Run, arguments: tuple[str, ...], code: int) -> None:
    """2 for a wrong call, 3 for what is refused, 4 for a server that is not there; never a traceback or a secret."""
    here = case.stores.questdb.conf.for_batches(10).removesuffix(";")
    done = run("export", *[case.slug if word == "SLUG" else word.replace("HERE", here) for word in arguments])
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert "hush" not in done.stderr


def test_validation_agrees_until_somebody_changes_a_cell(case: ExportCase, run: Run) -> None:
    """Exit 0 with every check passed; after one changed value exit 3, and the report names the cell; unknown datasets are exit 3 too."""
    case.export()
    told = document(run("validate", case.slug, "--json"))
    assert told["passed"]
    assert all(check["passed"] for check in told["checks"])
    case.put(case.rows_as_sent(case.slug)[4:5].with_columns(pl.col("ATR") + 1.0))
    told = document(run("validate", case.slug, "--json"), 3)
    failed = {check["name"] for check in told["checks"] if check["passed"] is False}
    assert failed == {"content hash", "every cell agrees with the file"}
    assert told["audit"]["columns"][0]["column"] == "ATR"
    assert document(run("validate", "nothing_1d_v1", "--json"), 3)["error"]["code"] == "not_published"
    assert run("validate").returncode == 2


REGISTRY_DAMAGES = [
    ("row_count", "row_count - 1", "bars"),
    ("first_bar_ts", "first_bar_ts + interval '1 day'", "bars, first and last are those that were audited"),
    ("last_bar_ts", "last_bar_ts + interval '1 day'", "last bar"),
    ("content_hash", "repeat('0', 64)", "content hash"),
    ("checksum", "'sha256:0'", "it has a passed full audit"),
    ("questdb_tag", "dataset_id || '@2'", "bars"),
    ("symbol", "'other'", "symbol and granularity are those of the slug"),
    ("granularity", "'4h'", "source and granularity of every bar"),
    ("source", "'other'", "source and granularity of every bar"),
    ("revision", "revision + 1", "its revision is the one that was published"),
    ("columns", "replace(columns::text, '\"target\"', '\"feature\"')::jsonb", "columns and roles are those that were published"),
    ("columns", "'[]'::jsonb", "content hash"),
]


@pytest.mark.parametrize(("column", "value", "check"), REGISTRY_DAMAGES)
def test_a_changed_registry_row_is_found(case: ExportCase, column: str, value: str, check: str) -> None:
    """Whatever part of the registry row is changed behind our back, a check that names it fails."""
    case.export()
    with case.stores.postgres.connection() as connection:
        statement = f"UPDATE indicator_datasets SET {column} = {value} WHERE dataset_id = %s"
        connection.execute(statement, [case.slug])  # type: ignore[call-overload] # as above
    report = validate_dataset(case.slug, case.stores, loaded=case.save())
    assert check in {c.name for c in report.checks if c.passed is False}


def test_datasets_are_listed_shown_and_retired(case: ExportCase, run: Run) -> None:
    """`show` says what old revisions take; `retire` takes the registry row away and says what stays in QuestDB."""
    case.export()
    case.values["RSI"][5] = 3.25
    case.export(replace=True)
    listed = document(run("chronos", "datasets", "list", "--json"))
    assert case.slug in {d["dataset"] for d in listed["datasets"]}
    shown = document(run("chronos", "datasets", "show", case.slug, "--json"))
    assert {t["tag"]: (t["rows"], t["registered"]) for t in shown["tags"]} == {f"{case.slug}@2": (40, True), case.slug: (40, False)}
    assert shown["old_revision_rows"] == 40
    retired = document(run("chronos", "datasets", "retire", case.slug, "--json"))
    assert retired["rows_left"] == 80
    assert find_dataset(case.stores.postgres, case.slug) is None
    assert run("chronos", "datasets", "show", case.slug).returncode == 3
    assert case.export().published


def test_bars_outside_the_published_range_are_found(case: ExportCase, run: Run) -> None:
    """A row before the first bar, under the registered tag, is a difference although no reader sees it."""
    case.export()
    rows = case.rows_as_sent(case.slug)
    case.put(rows[:1].with_columns(pl.col("timestamp") - pl.duration(days=9), pl.col("timestamp_unix") - 9 * 86_400))
    told = document(run("validate", case.slug, "--json"), 3)
    assert "no bars outside the published range" in {check["name"] for check in told["checks"] if check["passed"] is False}
