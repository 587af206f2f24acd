"""Many datasets in one table: past the budget they share columns, and every step still agrees on where each column is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from chronos_assets.domain.audit import Tolerance
from chronos_assets.errors import RefusedError
from chronos_assets.pipeline.export.dataset import ExportOptions, audit_bars, export_dataset, publish_dataset, write_bars
from chronos_assets.pipeline.export.dry_run import dry_run
from chronos_assets.pipeline.export.unregistered import export_unregistered
from chronos_assets.pipeline.validation.dataset import validate_dataset
from chronos_assets.storage.datasets import find_dataset, get_dataset, read_bars
from chronos_assets.storage.questdb_tables import INDICATOR_BARS
from chronos_assets.storage.stores import Stores
from chronos_assets_tests.support.export_case import FEATURES, ExportCase, make_case


@pytest.fixture
def full(stores: Stores) -> Stores:
    """The stores with a budget that is used up: no new name gets a column of its own."""
    return replace(stores, settings=stores.settings.model_copy(update={"column_budget": 1}))


def with_names(stores: Stores, folder: Path, slug: str) -> ExportCase:
    """A case whose features have names that no other dataset has."""
    case = make_case(stores, folder, slug)
    case.values = {f"{name}_{slug}" if name in FEATURES else name: values for name, values in case.values.items()}
    return case


def append(case: ExportCase, rows: int) -> None:
    """`rows` more bars to a case of `with_names`."""
    case.values = {name.removesuffix(f"_{case.slug}"): values for name, values in case.values.items()}
    case.append(rows)
    case.values = {f"{name}_{case.slug}" if name in FEATURES else name: values for name, values in case.values.items()}


def columns_of(stores: Stores) -> set[str]:
    return set(stores.questdb.columns(INDICATOR_BARS.name))


def slots(case: ExportCase) -> list[str]:
    record = get_dataset(case.stores.postgres, case.slug)
    return [c.questdb_column for c in record.columns if c.role == "feature"]


def read_as_filed(case: ExportCase) -> bool:
    """Whether readers get the file's values under the file's names."""
    bars = read_bars(case.stores, get_dataset(case.stores.postgres, case.slug))
    return all(bars[name].to_list() == values for name, values in case.values.items())


def test_datasets_past_the_budget_share_columns_and_keep_their_values(full: Stores, tmp_path: Path, unique_slug: str) -> None:
    """Two datasets with other names: the second adds no column; both are read, validated and grown under their own names."""
    first = with_names(full, tmp_path / "a", unique_slug)
    second = with_names(full, tmp_path / "b", unique_slug.replace("_v1", "_v2"))
    for case in (first, second):
        case.extra["on_change"] = "grow"
    first.export()
    before = columns_of(full)
    shown = dry_run(second.save(), full.settings, full.questdb, full.postgres)
    assert shown["columns_to_add"] == []
    assert second.export().published
    assert columns_of(full) == before
    assert slots(first) == slots(second)
    assert all(slot.startswith("v0") for slot in slots(first))
    append(first, 5)
    assert first.export().kind == "growth"
    for case in (first, second):
        assert read_as_filed(case)
        report = validate_dataset(case.slug, full, loaded=case.save())
        assert report.passed
        assert report.audit is not None
        assert case.export().unchanged


def test_a_published_column_stays_where_it_is_when_the_budget_changes(
    stores: Stores, full: Stores, tmp_path: Path, unique_slug: str
) -> None:
    """Published in slots, then room again: growth and a replacement keep the map; so does the attempt before a publication."""
    case = with_names(full, tmp_path, unique_slug)
    case.extra["on_change"] = "grow"
    normalized, loaded = case.normalized()
    attempt = write_bars(normalized, loaded, full)
    assert find_dataset(stores.postgres, case.slug) is None
    case.stores = stores
    assert audit_bars(normalized, loaded, stores, audit_id=attempt.audit_id).passed
    publish_dataset(normalized, loaded, stores, audit_id=attempt.audit_id)
    first = slots(case)
    assert first == [c.questdb_column for c in attempt.columns if c.role == "feature"]
    append(case, 3)
    case.export()
    case.values["Close"] = [value + 1 for value in case.values["Close"] if value is not None]
    assert case.export(replace=True).kind == "replacement"
    assert slots(case) == first
    assert read_as_filed(case)


def test_an_attempt_that_was_given_up_is_taken_up_in_its_own_columns(
    stores: Stores, full: Stores, tmp_path: Path, unique_slug: str
) -> None:
    """Written in slots and never audited; then exported with room: the same tag, the same columns, one copy of each bar."""
    case = with_names(full, tmp_path, unique_slug)
    normalized, loaded = case.normalized()
    attempt = write_bars(normalized, loaded, full)
    case.stores = stores
    result = case.export()
    assert (result.tag, result.published) == (attempt.tag, True)
    assert slots(case) == [c.questdb_column for c in attempt.columns if c.role == "feature"]
    assert read_as_filed(case)


def test_an_export_without_registry_uses_slots_too(full: Stores, tmp_path: Path, unique_slug: str) -> None:
    """No new column, and its audit reads the slots."""
    case = with_names(full, tmp_path, unique_slug)
    case.export()
    before = columns_of(full)
    other = with_names(full, tmp_path / "b", unique_slug.replace("_v1", "_v3"))
    normalized, loaded = other.normalized()
    options = ExportOptions(tolerance=Tolerance())
    result = export_unregistered(loaded, normalized, full.questdb, full.settings, options=options)
    assert result.audit is not None
    assert result.audit.passed
    assert columns_of(full) == before


def test_columns_that_would_fill_the_server_are_refused_before_anything_is_written(
    stores: Stores, tmp_path: Path, unique_slug: str
) -> None:
    """At a limit of open files that the new columns would come close to: a refusal by name, no column, no attempt; others still export."""
    known = make_case(stores, tmp_path / "known", unique_slug.replace("_v1", "_v2"))
    known.export()
    server = psutil.Process(stores.questdb.pid)
    before, limits = columns_of(stores), server.rlimit(psutil.RLIMIT_NOFILE)
    wide = make_case(stores, tmp_path, unique_slug, rows=5)
    room = 400 + max(server.num_fds(), 200 + 3 * len(before))
    wide.values |= {f"WIDE_{unique_slug}_{n}": [1.0] * 5 for n in range(400)}
    try:
        server.rlimit(psutil.RLIMIT_NOFILE, (room, limits[1]))
        with pytest.raises(RefusedError, match="no room for 400 more columns") as refused:
            export_dataset(wide.save(), stores, stores.settings)
        known.append(2)
        known.export(replace=True)
    finally:
        server.rlimit(psutil.RLIMIT_NOFILE, limits)
    assert refused.value.code == "columns_budget"
    assert columns_of(stores) == before
    assert find_dataset(stores.postgres, unique_slug) is None
    assert wide.export().published
