"""What became of the published bars in a newer file: unchanged, with null targets at their end filled, or changed (and then refused).

The proof is by content, against the registry alone: the hash of the file's first bars, with those targets blanked that were not known when
they were published, must be the published content hash. QuestDB is read only to say which bar differs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import polars as pl

from chronos_assets.domain.content import ContentHasher
from chronos_assets.errors import SourceChangedError, ValidationFailedError
from chronos_assets.pipeline.export.source import Source
from chronos_assets.storage.bars_file import BarsFile
from chronos_assets.storage.datasets import KEY_COLUMNS, DatasetRecord, read_range
from chronos_assets.storage.questdb import QuestDB


@dataclass(frozen=True)
class Growth:
    """Rows of the file that publishing has to write: from `first_new` on, and those at `filled`."""

    first_new: int
    filled: list[int] = field(default_factory=list)


def compare_with_published(
    questdb: QuestDB, record: DatasetRecord, source: Source, bars: BarsFile, known_rows: Mapping[str, int] | None
) -> Growth:
    """Say what is new in the file; raises `SourceChangedError` if published bars, columns or tags are not what they were.

    `known_rows` is, for each target, the row after its last known value when the dataset was published; None if nobody kept it: then
    the published bars are read back instead.
    """
    _same_columns(record, source)
    if source.rows < record.row_count:
        raise _changed(
            record, "bars that are published are gone from the file", expected=f"at least {record.row_count} bars", found=source.rows
        )
    if _prefix_hash(bars, source, record.row_count, {}) == record.content_hash:
        return Growth(record.row_count)
    if known_rows is None or not record.content_hash:
        return Growth(record.row_count, _filled_rows(questdb, record, source, bars))
    if _prefix_hash(bars, source, record.row_count, known_rows) != record.content_hash:
        _filled_rows(questdb, record, source, bars)
        raise _changed(record, "bars that are published have changed in the file", expected=record.content_hash)
    return Growth(record.row_count, _rows_filled_since(bars, source, record.row_count, known_rows))


def _same_columns(record: DatasetRecord, source: Source) -> None:
    published = {c.name: c.questdb_column for c in record.columns}
    now = {c.name: c.questdb_column for c in source.columns}
    if published != now:
        added, removed = [n for n in now if n not in published], [n for n in published if n not in now]
        what = [f"new: {', '.join(added[:10])}"] * bool(added) + [f"gone: {', '.join(removed[:10])}"] * bool(removed)
        raise _changed(record, "the file has other columns than what is published", found="; ".join(what) or "other names in QuestDB")
    for name in ("source", "granularity"):
        if getattr(record, name) != getattr(source, name):
            raise _changed(
                record,
                f"the manifest names another {name} than what is published",
                expected=getattr(record, name),
                found=getattr(source, name),
            )


def blanked(frame: pl.DataFrame, start: int, known_rows: Mapping[str, int]) -> pl.DataFrame:
    """`frame`, which begins at row `start`, with each target null from its known row on."""
    number, end = pl.int_range(start, start + frame.height), start + frame.height
    return frame.with_columns(pl.when(number < known).then(pl.col(n)).alias(n) for n, known in known_rows.items() if known < end)


def _prefix_hash(bars: BarsFile, source: Source, rows: int, known_rows: Mapping[str, int]) -> str:
    """Content hash of the first `rows` bars, targets blanked from their known rows on."""
    hasher = ContentHasher()
    start = 0
    for frame in bars.frames(source.piece_rows, 0, rows):
        hasher.update(blanked(frame, start, known_rows))
        start += frame.height
    return hasher.hexdigest()


def _rows_filled_since(bars: BarsFile, source: Source, rows: int, known_rows: Mapping[str, int]) -> list[int]:
    """Published rows with a target that is known by now and was not then."""
    first = min(known_rows.values(), default=rows)
    filled: list[int] = []
    for frame in bars.frames(source.piece_rows, first, rows):
        number = pl.int_range(first, first + frame.height)
        now_known = [pl.col(name).is_not_null() & (number >= known) for name, known in known_rows.items()]
        filled += frame.select(pl.when(pl.any_horizontal(now_known)).then(number).alias("row"))["row"].drop_nulls().to_list()
        first += frame.height
    return filled


def _filled_rows(questdb: QuestDB, record: DatasetRecord, source: Source, bars: BarsFile) -> list[int]:
    """Rows whose null targets at the end have filled, if that is the only difference."""
    comparison = _Comparison(record)
    hasher = ContentHasher()
    pieces = list(_ranges(bars, source, record))
    for start, stop, first, last in pieces:
        past = read_range(questdb, record.questdb_tag, record.columns, first=first, last=last, keys=KEY_COLUMNS)
        hasher.update(past)
        now = next(bars.frames(stop - start, start, stop))
        comparison.add(start, past, now.select(past.columns))
    if record.content_hash and hasher.hexdigest() != record.content_hash:
        raise ValidationFailedError(
            f"QuestDB does not hold what was published of {record.dataset_id}, so the file cannot be compared with it",
            code="published_bars_damaged",
            hint=f"`validate_dataset {record.dataset_id}` says what differs; `chronosflow_export {record.dataset_id} --replace` publishes "
            "the file under a fresh tag.",
            slug=record.dataset_id,
        )
    return comparison.filled()


def _ranges(bars: BarsFile, source: Source, record: DatasetRecord) -> list[tuple[int, int, int, int]]:
    """Pieces of the published rows: first row, row after the last, and the range of time up to the next piece (unix seconds)."""
    starts = range(0, record.row_count, source.piece_rows)
    stamps = bars.stamps_at(starts)
    begin, end = int(record.first_bar_ts.timestamp()), int(record.last_bar_ts.timestamp())
    edges = [min(begin, stamps[0]), *stamps[1:], end + 1]
    return [
        (row, min(row + source.piece_rows, record.row_count), edges[i], edges[i + 1] - 1)
        for i, row in enumerate(starts)
        if edges[i] < edges[i + 1]
    ]


class _Comparison:
    """Collects what differs between the published bars and the file's, piece by piece."""

    def __init__(self, record: DatasetRecord) -> None:
        self._record = record
        self._targets = set(record.names("target"))
        self._last_known = dict.fromkeys(self._targets, -1)
        self._filled: dict[str, list[int]] = {name: [] for name in self._targets}

    def add(self, start: int, past: pl.DataFrame, now: pl.DataFrame) -> None:
        before, after = past["timestamp_unix"].to_numpy(), now["timestamp_unix"].to_numpy()
        if not np.array_equal(before, after):
            gone, new = np.setdiff1d(before, after), np.setdiff1d(after, before)
            raise _changed(
                self._record,
                "published bars are missing from the file, or other bars are among them",
                expected=f"the bar of {_bar(gone[0])}" if gone.size else None,
                found=f"a bar of {_bar(new[0])}" if new.size else None,
            )
        for name in past.columns:
            self._compare(name, start, past, now)

    def _compare(self, name: str, start: int, past: pl.DataFrame, now: pl.DataFrame) -> None:
        left, right = _bits(past[name]), _bits(now[name])
        rows = np.flatnonzero(left != right)
        if name in self._targets:
            known = np.flatnonzero(past[name].is_not_null().to_numpy())
            if known.size:
                self._last_known[name] = start + int(known[-1])
            changed = rows[past[name].is_not_null().to_numpy()[rows]]
            self._filled[name] += [start + int(row) for row in rows]
        else:
            changed = rows
        if changed.size:
            row = int(changed[0])
            raise _changed(
                self._record,
                "bars that are published have changed in the file",
                expected=f"{name} = {past[name][row]} at {_bar(before_of(past, row))}",
                found=f"{now[name][row]} ({changed.size} such bars in this column)",
            )

    def filled(self) -> list[int]:
        for name, rows in self._filled.items():
            if rows and min(rows) < self._last_known[name]:
                raise _changed(
                    self._record,
                    f"a null of target {name} has filled in the middle of the published bars",
                    found=f"bar {min(rows)}, with later bars of {name} already known",
                )
        return sorted({row for rows in self._filled.values() for row in rows})


def before_of(frame: pl.DataFrame, row: int) -> int:
    """Time of a bar in unix seconds."""
    return int(frame["timestamp_unix"][row])


def _bits(series: pl.Series) -> npt.NDArray[np.int64]:
    if series.dtype == pl.Int64:
        return series.to_numpy()
    values = series.to_numpy().astype(np.float64, copy=False)
    return np.where(np.isnan(values), np.float64("nan"), values).view(np.int64)


def _bar(seconds: int) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).isoformat()


def _changed(record: DatasetRecord, message: str, *, expected: object = None, found: object = None) -> SourceChangedError:
    return SourceChangedError(
        message,
        code="published_bars_changed",
        expected=expected,
        found=found,
        hint="Raise the version in the slug for a new dataset, or publish a new revision of this one by "
        f"`chronosflow_export {record.dataset_id} --replace`.",
        slug=record.dataset_id,
    )
