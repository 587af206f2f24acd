"""The whole export on real servers: idempotence, and every kind of damage found by the audit before anything is registered."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from chronos_assets.domain.attempts import fresh_tag
from chronos_assets.domain.audit import Tolerance
from chronos_assets.errors import NotPublishedError, StoreError, UsageError, ValidationFailedError
from chronos_assets.pipeline.export.dataset import audit_bars, export_dataset, publish_dataset, write_bars
from chronos_assets.pipeline.export.dry_run import dry_run
from chronos_assets.pipeline.export.plan import plan_unregistered
from chronos_assets.pipeline.export.source import Source
from chronos_assets.pipeline.export.types import ExportOptions
from chronos_assets.pipeline.export.write import execute
from chronos_assets.pipeline.progress import silent
from chronos_assets.pipeline.validation.dataset import validate_dataset
from chronos_assets.services import Connections
from chronos_assets.storage.audits import list_attempts
from chronos_assets.storage.datasets import find_dataset, get_dataset, read_bars
from chronos_assets.storage.questdb import QuestDB
from chronos_assets.storage.stores import Stores
from chronos_assets_tests.support.export_case import ExportCase, make_case


@pytest.fixture
def case(stores: Stores, tmp_path: Path, unique_slug: str) -> ExportCase:
    return make_case(stores, tmp_path, unique_slug)


def test_a_first_export_registers_what_the_file_says(case: ExportCase) -> None:
    """Tag, range, counts, checksum, content hash and columns of the registry row are those of the file."""
    result = case.export()
    record = get_dataset(case.stores.postgres, case.slug)
    assert result.published
    assert (record.questdb_tag, record.revision, record.row_count) == (case.slug, 1, 40)
    assert (record.first_bar_ts, record.last_bar_ts) == (case.stamp(0), case.stamp(-1))
    assert record.content_hash == result.content_hash
    assert [(c.name, c.role) for c in record.columns] == [
        ("Close", "price"),
        ("MACD", "feature"),
        ("RSI", "feature"),
        ("ATR", "feature"),
        ("TGT_RET", "target"),
    ]
    assert case.holds_the_file(case.slug)


def test_a_damaged_normalized_file_is_named_and_not_called_a_difference(case: ExportCase) -> None:
    """One changed byte in the cache: no export blames QuestDB or proposes to replace anything; with the file deleted all is well."""
    case.export()
    normalized, loaded = case.normalized()
    content, cell = normalized.path.read_bytes(), struct.pack("<d", case.values["RSI"][5])
    at = content.index(cell)
    normalized.path.write_bytes(content[: at + 6] + bytes([content[at + 6] ^ 1]) + content[at + 7 :])
    for ask in (case.export, lambda: audit_bars(normalized, loaded, case.stores)):
        with pytest.raises(StoreError, match="normalized file is damaged") as damaged:
            ask()
        assert (damaged.value.code, damaged.value.where["file"]) == ("arrow_damaged", str(normalized.path))
    report = validate_dataset(case.slug, case.stores, loaded=loaded)
    assert report.passed
    assert [str(normalized.path) in str(check.found) for check in report.checks if check.passed is None] == [True]
    normalized.path.unlink()
    assert case.export().unchanged


def test_a_stopped_export_without_a_registry_overwrites_nothing(case: ExportCase) -> None:
    """Planned before a registered export, executed after it: published bars stay, whatever the unregistered writer holds."""
    normalized, loaded = case.normalized()
    old = Source.of(loaded, normalized)
    stores, options = case.stores, ExportOptions()
    stopped = plan_unregistered(old, stores.questdb, stores.settings, token="0123456789abcdef", options=options)
    case.values["RSI"] = [None if value is None else value + 1 for value in case.values["RSI"]]
    published = case.export()
    before = case.stored(published.tag)
    execute(stopped, stores.questdb, options=options, settings=stores.settings, progress=silent)
    assert case.stored(published.tag).equals(before)
    assert validate_dataset(case.slug, stores).passed
    assert stopped.tag not in {fresh_tag(case.slug, [stopped.tag]), published.tag}


def test_the_plan_that_is_shown_is_the_one_that_is_executed(case: ExportCase) -> None:
    """First export, nothing new, growth with filled targets, replacement: kind, tag and rows of the dry run are those of the export."""

    def compare(kind: str, **options: bool) -> None:
        loaded, stores = case.save(), case.stores
        shown = dry_run(loaded, stores.settings, stores.questdb, stores.postgres, options=ExportOptions(**options))
        done = export_dataset(loaded, stores, stores.settings, options=ExportOptions(**options))
        assert shown["kind"] == done.kind == kind
        assert (shown["questdb_tag"], shown["rows_to_write"]) == (done.tag, done.rows_written)

    compare("first")
    compare("unchanged")
    case.extra["on_change"] = "grow"
    case.append(5)
    compare("growth")
    compare("replacement", replace=True)


def test_published_bars_are_read_under_their_dataset_names(case: ExportCase) -> None:
    """`read_bars` gives the asked columns in order, nulls as null, however the user writes their case."""
    case.export()
    bars = read_bars(case.stores, get_dataset(case.stores.postgres, case.slug), ["macd", "TGT_RET"])
    assert bars.columns == ["timestamp_unix", "MACD", "TGT_RET"]
    assert bars["MACD"].to_list() == case.values["MACD"]
    assert bars["TGT_RET"].to_list() == case.values["TGT_RET"]


def test_the_same_export_ten_times_leaves_one_copy(case: ExportCase) -> None:
    """Only the first of ten exports writes; content, registry row and audits stay as they were."""
    first = case.export()
    before = get_dataset(case.stores.postgres, case.slug)
    again = [case.export() for _ in range(9)]
    assert first.rows_written == 40
    assert all(result.unchanged and result.rows_written == 0 for result in again)
    assert get_dataset(case.stores.postgres, case.slug) == before
    assert len(list_attempts(case.stores.postgres, case.slug)) == 1
    assert case.holds_the_file(case.slug)


def _flipped_bit(case: ExportCase) -> None:
    rows = case.rows_as_sent(case.slug)
    bits = struct.unpack("<q", struct.pack("<d", rows["RSI"][7]))[0] ^ 1
    flipped = struct.unpack("<d", struct.pack("<q", bits))[0]
    case.put(rows[7:8].with_columns(pl.lit(flipped).alias("RSI")))


def _lost_row(case: ExportCase) -> None:
    case.stores.questdb.execute("ALTER TABLE indicator_bars DROP PARTITION LIST '1983'")
    case.stores.questdb.wait_applied("indicator_bars")


def _stale_row(case: ExportCase) -> None:
    rows = case.rows_as_sent(case.slug)
    case.put(rows[-1:].with_columns(pl.col("timestamp") + pl.duration(days=5), pl.col("timestamp_unix") + 5 * 86_400))


def _stale_row_before(case: ExportCase) -> None:
    rows = case.rows_as_sent(case.slug)
    case.put(rows[:1].with_columns(pl.col("timestamp") - pl.duration(days=700), pl.col("timestamp_unix") - 700 * 86_400))


def _wrong_tag(case: ExportCase) -> None:
    case.put(case.rows_as_sent(case.slug)[11:12].with_columns(pl.lit("elsewhere").alias("source")))


def _row_under_another_slug(case: ExportCase) -> None:
    _lost_row(case)
    case.put(case.rows_as_sent(case.slug)[:1].with_columns(pl.lit(f"{case.slug}x").alias("dataset")))


def _swapped_columns(case: ExportCase) -> None:
    rows = case.rows_as_sent(case.slug)
    case.put(rows.with_columns(pl.col("ATR").alias("RSI"), pl.col("RSI").alias("ATR")))


def _value_for_null(case: ExportCase) -> None:
    case.put(case.rows_as_sent(case.slug)[:1].with_columns(pl.lit(0.0).alias("MACD")))


def _null_for_value(case: ExportCase) -> None:
    case.put(case.rows_as_sent(case.slug)[9:10].drop("RSI"))


def _wrong_date(case: ExportCase) -> None:
    case.put(case.rows_as_sent(case.slug)[9:10].with_columns(pl.col("date_i") + 1))


def _value_elsewhere(case: ExportCase) -> None:
    case.stores.questdb.ensure_columns("indicator_bars", ["ELSEWHERE"])
    case.put(case.rows_as_sent(case.slug)[9:10].with_columns(pl.lit(0.5).alias("ELSEWHERE")))


DAMAGES: list[tuple[Callable[[ExportCase], None], str]] = [
    (_flipped_bit, "1 cells differ in RSI"),
    (_lost_row, "1 rows missing"),
    (_stale_row, "1 stale rows"),
    (_stale_row_before, "1 stale rows"),
    (_wrong_tag, "1 rows with wrong tags"),
    (_row_under_another_slug, "1 rows missing"),
    (_swapped_columns, "80 cells differ in RSI, ATR"),
    (_value_for_null, "1 cells differ in MACD"),
    (_null_for_value, "1 cells differ in RSI"),
    (_wrong_date, "1 cells differ in date_i"),
    (_value_elsewhere, "1 values where the file has no column in ELSEWHERE"),
]


@pytest.mark.parametrize("beside", [0.0, math.inf], ids=["alone", "beside_others"])
@pytest.mark.parametrize(("damage", "summary"), DAMAGES, ids=[damage.__name__.strip("_") for damage, _ in DAMAGES])
def test_damage_between_write_and_audit_is_found_and_never_registered(  # noqa: PLR0917 - fixtures and cases
    stores: Stores,
    tmp_path: Path,
    unique_slug: str,
    monkeypatch: pytest.MonkeyPatch,
    damage: Callable[[ExportCase], None],
    summary: str,
    beside: float,
) -> None:
    """Whatever differs in QuestDB is in the verdict, the registry stays empty, and the next export writes under a fresh tag.

    So it is whether the tag's rows are read alone, or with those of all other tags at the same times.
    """
    monkeypatch.setattr("chronos_assets.pipeline.export.audit.MOST_BESIDE", beside)
    case = make_case(stores, tmp_path, unique_slug, start=date(1983, 12, 31))
    normalized, loaded = case.normalized()
    attempt = write_bars(normalized, loaded, stores)
    damage(case)
    report = audit_bars(normalized, loaded, stores)
    assert not report.passed
    assert report.summary == summary
    assert report.failure_cases
    assert pl.read_parquet(str(report.artifact)).height >= 1
    with pytest.raises(ValidationFailedError, match="no full audit of this content has passed"):
        publish_dataset(normalized, loaded, stores, audit_id=attempt.audit_id)
    assert find_dataset(stores.postgres, case.slug) is None
    assert list_attempts(stores.postgres, case.slug)[-1].verdict == "failed"
    again = case.export()
    assert again.published
    assert again.tag == f"{case.slug}@2"
    assert case.holds_the_file(again.tag)


def test_damage_to_published_bars_is_found_by_the_same_export_again(case: ExportCase) -> None:
    """An export with nothing to write verifies what is published; `--replace` then heals it under a fresh tag."""
    case.export()
    _flipped_bit(case)
    with pytest.raises(ValidationFailedError, match="differ from their file") as told:
        case.export()
    assert told.value.code == "published_bars_differ"
    assert get_dataset(case.stores.postgres, case.slug).revision == 1
    healed = case.export(replace=True)
    assert (healed.published, healed.tag) == (True, f"{case.slug}@2")
    assert case.holds_the_file(healed.tag)


def test_a_failed_audit_stops_the_whole_export_with_the_worst_of_it(case: ExportCase) -> None:
    """Rows that lie under the slug from elsewhere make `export_dataset` raise, with the failing row in the error."""
    rows = case.rows_as_sent(case.slug)
    case.stores.questdb.ensure_columns("indicator_bars", list(case.values))
    case.put(rows[-1:].with_columns(pl.col("timestamp") + pl.duration(days=9), pl.col("timestamp_unix") + 9 * 86_400))
    with pytest.raises(ValidationFailedError, match="1 stale rows") as failure:
        case.export()
    assert "stale row" in str(failure.value.found)
    with pytest.raises(NotPublishedError):
        get_dataset(case.stores.postgres, case.slug)


def test_a_tolerance_lets_small_differences_pass_and_no_others(case: ExportCase) -> None:
    """Within the tolerance of its column a changed value passes; one beyond it, or a null, does not."""
    normalized, loaded = case.normalized()
    write_bars(normalized, loaded, case.stores)
    rows = case.rows_as_sent(case.slug)
    case.put(rows[5:6].with_columns(pl.col("RSI") + 1e-9))
    loose = ExportOptions(tolerance=Tolerance(columns={"RSI": (1e-8, 0.0)}))
    assert audit_bars(normalized, loaded, case.stores, options=loose).passed
    case.put(rows[6:7].with_columns(pl.col("RSI") + 1e-7))
    report = audit_bars(normalized, loaded, case.stores, options=loose)
    assert report.cells_differing == 1
    assert report.columns[0].worst_absolute == pytest.approx(1e-7, rel=1e-3)


def test_a_tolerance_for_a_column_that_is_not_there_is_refused_before_anything_is_written(case: ExportCase) -> None:
    """A mistyped column must not silently leave the audit exact, or loose."""
    with pytest.raises(UsageError, match="not a column of the file"):
        case.export(tolerance=Tolerance(columns={"RSJ": (1.0, 0.0)}))
    assert list_attempts(case.stores.postgres, case.slug) == []
    assert case.export(tolerance=Tolerance(columns={"rsi": (1.0, 0.0)})).published


def test_rows_that_could_not_be_stored_are_refused_before_an_attempt_is_opened(case: ExportCase, servers: Connections) -> None:
    """A column of another type, or an option that the client refuses: no attempt, no new column, and the next export is the first one."""
    odd, new = (f"{word}_{case.slug.partition('_')[0]}" for word in ("odd", "new"))
    case.stores.questdb.execute(f"ALTER TABLE indicator_bars ADD COLUMN {odd} FLOAT")
    case.stores.questdb.wait_applied("indicator_bars")
    case.values = {new: case.values["RSI"], odd.upper(): case.values["ATR"], **case.values}
    with pytest.raises(StoreError, match=r"exists with another type.*expected DOUBLE; found FLOAT"):
        case.export()
    assert list_attempts(case.stores.postgres, case.slug) == []
    assert new not in case.stores.questdb.columns("indicator_bars")
    del case.values[odd.upper()]
    there = case.stores.questdb
    conf = f"http::addr={there.conf.address};username={servers.questdb_user};password={servers.questdb_password};request_timeout=soon;"
    with pytest.raises(UsageError, match="client string cannot be used"):
        export_dataset(case.save(), replace(case.stores, questdb=QuestDB(conf, there.conf.address)), case.stores.settings)
    assert list_attempts(case.stores.postgres, case.slug) == []
    assert case.export().tag == case.slug


def test_datasets_may_write_a_column_in_other_letters(case: ExportCase, tmp_path: Path, unique_slug: str) -> None:
    """`RSI` and `rsi` are one column of the table; each dataset keeps its own spelling and its own values."""
    case.export()
    other = make_case(case.stores, tmp_path / "other", f"x{unique_slug}")
    other.values = {name.lower() if name == "RSI" else name: values for name, values in other.values.items()}
    other.values["rsi"] = [float(row) for row in range(40)]
    assert other.export().published
    for one, name in ((case, "RSI"), (other, "rsi")):
        assert read_bars(one.stores, get_dataset(one.stores.postgres, one.slug), [name])[name].to_list() == one.values[name]
        assert validate_dataset(one.slug, one.stores, loaded=one.save()).passed
    assert len([name for name in case.stores.questdb.columns("indicator_bars") if name.casefold() == "rsi"]) == 1


def test_what_was_published_within_a_tolerance_stays_valid_within_it(case: ExportCase) -> None:
    """The tolerance is kept with the audit: validation compares by it, and says that the bits may differ."""
    normalized, loaded = case.normalized()
    write_bars(normalized, loaded, case.stores)
    case.put(case.rows_as_sent(case.slug)[5:6].with_columns(pl.col("RSI") + 1e-9))
    loose = ExportOptions(tolerance=Tolerance(columns={"RSI": (1e-8, 0.0)}))
    assert audit_bars(normalized, loaded, case.stores, options=loose).passed
    publish_dataset(normalized, loaded, case.stores)
    report = validate_dataset(case.slug, case.stores, loaded=loaded)
    assert report.passed
    assert {c.name: c.passed for c in report.checks}["content hash"] is None
    case.put(case.rows_as_sent(case.slug)[5:6].with_columns(pl.col("RSI") + 1e-7))
    assert not validate_dataset(case.slug, case.stores, loaded=loaded).passed


def test_a_sample_is_verified_but_never_registered(case: ExportCase) -> None:
    """`--verify sample` writes and looks at the first rows; the registry learns of it only after a full audit."""
    result = case.export(verify="sample")
    assert result.audit is not None
    assert result.audit.passed
    assert not result.published
    assert find_dataset(case.stores.postgres, case.slug) is None
    assert case.export().tag == case.slug


def test_all_bits_of_doubles_survive_the_way_there_and_back(case: ExportCase) -> None:
    """Denormals, the smallest and largest doubles, thirds and -0.0 pass an exact audit."""
    odd = [5e-324, -5e-324, 1.7976931348623157e308, 1 / 3, -0.0, 0.1 + 0.2, 2.2250738585072014e-308]
    case.values["RSI"][: len(odd)] = odd
    assert case.export().published
    stored = case.stored(case.slug)["RSI"].to_list()[: len(odd)]
    assert [struct.pack("<d", v) for v in stored] == [struct.pack("<d", v) for v in odd]


def test_names_that_collide_with_fixed_columns_go_all_the_way(case: ExportCase) -> None:
    """Indicators called `source` or `Timestamp` are stored under other names and read under their own."""
    case.values["source"] = [float(n) for n in range(40)]
    case.values["Timestamp"] = [float(-n) for n in range(40)]
    loaded = case.save()
    assert export_dataset(loaded, case.stores, case.stores.settings).published
    bars = read_bars(case.stores, get_dataset(case.stores.postgres, case.slug), ["source", "Timestamp"])
    assert bars["source"].to_list() == case.values["source"]
    assert bars["Timestamp"].to_list() == case.values["Timestamp"]
