"""Files that grow or change: appended bars keep the tag, filled targets go out again, changed bars are refused or replace."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from chronos_assets.errors import NotPublishedError, SourceChangedError, StoreError, ValidationFailedError
from chronos_assets.pipeline.export.dataset import audit_bars, publish_dataset, write_bars
from chronos_assets.pipeline.export.types import ExportOptions
from chronos_assets.pipeline.validation.dataset import validate_dataset
from chronos_assets.storage.audits import list_attempts
from chronos_assets.storage.datasets import get_dataset, read_bars
from chronos_assets.storage.stores import Stores
from chronos_assets_tests.support.export_case import ExportCase, make_case


@pytest.fixture
def case(stores: Stores, tmp_path: Path, unique_slug: str) -> ExportCase:
    case = make_case(stores, tmp_path, unique_slug)
    case.export()
    return case


def test_appended_bars_keep_the_tag_and_only_they_are_written(case: ExportCase) -> None:
    """Five new bars and two filled targets are seven rows, under the registered tag, as the next revision."""
    case.append(5)
    result = case.export()
    assert (result.kind, result.tag, result.rows_written, result.rows_total) == ("growth", case.slug, 7, 45)
    record = get_dataset(case.stores.postgres, case.slug)
    assert (record.revision, record.row_count, record.last_bar_ts) == (2, 45, case.stamp(-1))
    assert case.holds_the_file(case.slug)


def test_targets_that_fill_without_new_bars_are_written(case: ExportCase) -> None:
    """A file whose last targets became known grows by content, not by rows."""
    case.values["TGT_RET"][-2] = 0.5
    result = case.export()
    assert (result.kind, result.rows_written, result.rows_total) == ("growth", 1, 40)
    assert case.holds_the_file(case.slug)


def test_growing_again_and_again_ends_equal_to_one_clean_export(case: ExportCase, tmp_path: Path, unique_slug: str) -> None:
    """Four growths leave the content that a single export of the last file leaves under another slug."""
    for seed in range(4):
        case.append(3, seed=seed)
        case.export()
    other = ExportCase(tmp_path / "other", unique_slug.replace("_v1", "_v2"), case.days, case.values, case.stores)
    other.folder.mkdir()
    clean = other.export()
    record = get_dataset(case.stores.postgres, case.slug)
    assert record.revision == 5
    assert record.content_hash == clean.content_hash
    assert case.stored(case.slug).equals(other.stored(other.slug))


def _change_value(case: ExportCase) -> None:
    case.values["RSI"][12] = 99.0


def _change_target(case: ExportCase) -> None:
    case.values["TGT_RET"][3] = 1.0


def _lose_target(case: ExportCase) -> None:
    case.values["TGT_RET"][30] = None


def _fill_feature(case: ExportCase) -> None:
    case.values["MACD"][1] = 0.25


def _remove_bar(case: ExportCase) -> None:
    case.append(3)
    del case.days[10]
    for values in case.values.values():
        del values[10]


def _shorten(case: ExportCase) -> None:
    del case.days[-5:]
    for values in case.values.values():
        del values[-5:]


def _add_column(case: ExportCase) -> None:
    case.append(3)
    case.values["EXTRA"] = [1.0 * n for n in range(43)]


def _drop_column(case: ExportCase) -> None:
    case.append(3)
    del case.values["ATR"]


def _rename_source(case: ExportCase) -> None:
    case.extra["source"] = "elsewhere"


CHANGES = [_change_value, _change_target, _lose_target, _fill_feature, _remove_bar, _shorten, _add_column, _drop_column, _rename_source]


@pytest.mark.parametrize("change", CHANGES, ids=[c.__name__.strip("_") for c in CHANGES])
def test_a_change_of_published_bars_is_refused_and_replaces_only_when_asked(case: ExportCase, change) -> None:  # type: ignore[no-untyped-def]
    """Refused with the hint, nothing written; with --replace the registry switches to a fresh tag and the old rows stay."""
    before = get_dataset(case.stores.postgres, case.slug)
    kept = case.stored(case.slug).clone() if change is not _drop_column else None
    change(case)
    with pytest.raises(SourceChangedError) as refusal:
        case.export()
    assert "--replace" in refusal.value.hint
    assert "version" in refusal.value.hint
    assert get_dataset(case.stores.postgres, case.slug) == before
    assert len(list_attempts(case.stores.postgres, case.slug)) == 1
    result = case.export(replace=True)
    assert (result.kind, result.tag) == ("replacement", f"{case.slug}@2")
    after = get_dataset(case.stores.postgres, case.slug)
    assert (after.revision, after.questdb_tag) == (2, f"{case.slug}@2")
    assert case.holds_the_file(after.questdb_tag)
    if kept is not None and "EXTRA" not in case.values:
        assert case.stored(case.slug).equals(kept)


def test_a_null_in_the_middle_of_a_target_stays_null(stores: Stores, tmp_path: Path, unique_slug: str) -> None:
    """Only nulls at the end of the published bars may fill; one that later bars already passed is a change."""
    case = make_case(stores, tmp_path, unique_slug)
    case.values["TGT_RET"][20] = None
    case.export()
    case.values["TGT_RET"][20] = 0.1
    with pytest.raises(SourceChangedError, match="in the middle"):
        case.export()


def test_readers_in_flight_keep_the_revision_they_started_with(case: ExportCase) -> None:
    """A record taken before a replacement still reads the old bars afterwards."""
    old = get_dataset(case.stores.postgres, case.slug)
    before = read_bars(case.stores, old)
    case.values["RSI"] = [0.0] * 40
    case.export(replace=True)
    assert read_bars(case.stores, old).equals(before)
    assert read_bars(case.stores, get_dataset(case.stores.postgres, case.slug), ["RSI"])["RSI"].sum() == 0.0


def test_a_reader_never_sees_bars_that_are_written_but_not_published(case: ExportCase) -> None:
    """Between write and publish of a growth, the registry still bounds what is read."""
    case.append(5)
    normalized, loaded = case.normalized()
    write_bars(normalized, loaded, case.stores)
    assert read_bars(case.stores, get_dataset(case.stores.postgres, case.slug)).height == 40
    audit_bars(normalized, loaded, case.stores)
    assert publish_dataset(normalized, loaded, case.stores).row_count == 45
    assert read_bars(case.stores, get_dataset(case.stores.postgres, case.slug)).height == 45


def test_a_growth_that_was_cut_short_and_grew_again_leaves_the_registered_tag(case: ExportCase) -> None:
    """Rows of an unpublished growth lie under the registered tag, so another file goes under a fresh one, in full."""
    case.append(5)
    normalized, loaded = case.normalized()
    write_bars(normalized, loaded, case.stores)
    case.append(2, seed=9)
    result = case.export()
    assert (result.tag, result.rows_written) == (f"{case.slug}@2", 47)
    assert case.holds_the_file(result.tag)


def test_a_growth_that_was_cut_short_resumes_under_its_own_tag(case: ExportCase) -> None:
    """The same file again after a cut: same tag, published."""
    case.append(5)
    normalized, loaded = case.normalized()
    write_bars(normalized, loaded, case.stores)
    result = case.export()
    assert (result.tag, result.kind, result.published) == (case.slug, "growth", True)
    assert case.holds_the_file(case.slug)


def test_a_file_that_goes_back_to_what_is_published_does_not_keep_a_foreign_fill(case: ExportCase) -> None:
    """A growth that was given up has filled published targets in place; the published file again goes out in full under a fresh tag."""
    values = [*case.values["TGT_RET"]]
    case.values["TGT_RET"][-2] = 0.5
    normalized, loaded = case.normalized()
    write_bars(normalized, loaded, case.stores)
    case.values["TGT_RET"] = values
    result = case.export()
    assert (result.unchanged, result.tag, result.rows_written) == (False, f"{case.slug}@2", 40)
    assert case.holds_the_file(result.tag)
    assert case.export().unchanged


def test_bars_of_a_growth_that_was_given_up_do_not_count_against_what_is_published(case: ExportCase) -> None:
    """They lie outside the published range, where no reader looks: the published file again is unchanged, and valid."""
    case.values["TGT_RET"][-2:] = [0.1, 0.2]
    case.export()
    days, values = list(case.days), {name: list(column) for name, column in case.values.items()}
    case.append(5)
    normalized, loaded = case.normalized()
    write_bars(normalized, loaded, case.stores)
    case.days, case.values = days, values
    result = case.export()
    assert (result.unchanged, result.audit is not None and result.audit.passed) == (True, True)
    report = validate_dataset(case.slug, case.stores, loaded=case.save())
    assert report.passed
    assert {c.name: c.passed for c in report.checks}["every cell agrees with the file"]
    case.append(3, seed=5)
    assert case.export().tag == f"{case.slug}@2"


def test_targets_filled_by_a_growth_that_was_cut_short_do_not_count_as_damage(case: ExportCase) -> None:
    """Until the growth is published, validation compares with those targets blank; any other change is still found."""
    case.append(5)
    normalized, loaded = case.normalized()
    write_bars(normalized, loaded, case.stores)
    report = validate_dataset(case.slug, case.stores)
    assert report.passed
    assert "null targets that attempt" in {c.name: c.found for c in report.checks}["content hash"]
    case.put(case.rows_as_sent(case.slug)[4:5].with_columns(pl.col("TGT_RET") + 1.0))
    assert not validate_dataset(case.slug, case.stores).passed
    case.put(case.rows_as_sent(case.slug)[4:5])
    assert case.export().published


def test_a_growth_whose_audit_failed_moves_to_a_fresh_tag(case: ExportCase) -> None:
    """The registered tag takes no more rows after a failed audit; its published bars stay readable."""
    case.append(5)
    normalized, loaded = case.normalized()
    write_bars(normalized, loaded, case.stores)
    rows = case.rows_as_sent(case.slug)
    case.put(rows[-1:].with_columns(pl.lit(1234.5).alias("RSI")))
    assert not audit_bars(normalized, loaded, case.stores).passed
    assert read_bars(case.stores, get_dataset(case.stores.postgres, case.slug)).height == 40
    result = case.export()
    assert (result.tag, result.rows_written, result.published) == (f"{case.slug}@2", 45, True)


def test_another_role_of_a_column_is_published_without_writing(case: ExportCase) -> None:
    """Declaring a feature a target changes the registry only: no row goes out, the audit runs, the revision rises."""
    case.extra["columns"] = "{targets: ['TGT*', 'ATR']}"
    result = case.export()
    assert (result.kind, result.rows_written) == ("growth", 0)
    assert get_dataset(case.stores.postgres, case.slug).names("target") == ["ATR", "TGT_RET"]


def test_published_bars_that_were_lost_are_not_called_unchanged(case: ExportCase) -> None:
    """Where QuestDB no longer holds what the registry says, the export fails with the way out instead of doing nothing."""
    case.stores.questdb.execute("ALTER TABLE indicator_bars DROP PARTITION LIST '2001'")
    case.stores.questdb.wait_applied("indicator_bars")
    with pytest.raises(ValidationFailedError, match="does not hold its bars") as failure:
        case.export()
    assert "--replace" in failure.value.hint
    assert case.export(replace=True).published


def test_a_published_column_that_was_dropped_is_a_difference_and_comes_back(case: ExportCase) -> None:
    """Validation says what is gone, readers and a second export get the way out, and `--replace` is one."""
    lost = f"only_{case.slug.partition('_')[0]}"
    case.values[lost] = case.values["RSI"]
    assert case.export(replace=True).published
    case.stores.questdb.execute(f"ALTER TABLE indicator_bars DROP COLUMN {lost}")
    case.stores.questdb.wait_applied("indicator_bars")
    report = validate_dataset(case.slug, case.stores, loaded=case.save())
    failed = {check.name: str(check.found) for check in report.checks if check.passed is False}
    assert set(failed) == {"content hash", "every cell agrees with the file"}
    assert all(f"Invalid column: {lost}" in found for found in failed.values())
    for reads in (case.export, lambda: read_bars(case.stores, get_dataset(case.stores.postgres, case.slug))):
        with pytest.raises(StoreError, match=r"does not have all columns.*--replace"):
            reads()
    assert case.export(replace=True).published
    assert validate_dataset(case.slug, case.stores, loaded=case.save()).passed


def test_a_step_that_has_no_step_before_it_is_refused(case: ExportCase) -> None:
    """Publishing a file that nobody wrote names the file that was written last."""
    case.append(1)
    normalized, loaded = case.normalized()
    with pytest.raises(NotPublishedError, match="wrote another file"):
        publish_dataset(normalized, loaded, case.stores)


def test_publishing_needs_the_revision_that_the_attempt_started_from(case: ExportCase) -> None:
    """An attempt that was overtaken by another publication is refused by compare-and-set, and by the later attempt on its tag."""
    case.append(1)
    normalized, loaded = case.normalized()
    attempt = write_bars(normalized, loaded, case.stores)
    assert audit_bars(normalized, loaded, case.stores).passed
    case.export(replace=True)
    overtaken = get_dataset(case.stores.postgres, case.slug)
    with pytest.raises(Exception, match="published by another process meanwhile"):
        publish_dataset(normalized, loaded, case.stores, audit_id=attempt.audit_id)
    assert get_dataset(case.stores.postgres, case.slug) == overtaken


def test_a_later_attempt_on_the_tag_stops_the_publication_of_the_earlier_one(case: ExportCase) -> None:
    """Two attempts on one tag: the audit of the first vouches for nothing once the second has begun to write."""
    case.append(1)
    normalized, loaded = case.normalized()
    first = write_bars(normalized, loaded, case.stores)
    assert audit_bars(normalized, loaded, case.stores, audit_id=first.audit_id).passed
    write_bars(normalized, loaded, case.stores, options=ExportOptions())
    with pytest.raises(Exception, match="a later attempt"):
        publish_dataset(normalized, loaded, case.stores, audit_id=first.audit_id)
