"""Long series as readers see them: equity, predictions and bars, whole or decimated. Nothing here knows of HTTP."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import polars as pl

from chronos_assets.errors import UsageError
from chronos_assets.pipeline.simulation.prices import price_columns
from chronos_assets.storage.datasets import DatasetColumn, DatasetRecord, iter_bars
from chronos_assets.storage.delivery import bars_of
from chronos_assets.storage.runs import read_predictions
from chronos_assets.storage.simulations import SimulationRecord
from chronos_assets.storage.stores import Stores
from chronos_assets.views.account import account_key, read_account
from chronos_assets.views.decimation import Rule, decimate, min_max_last
from chronos_assets.views.documents import Run
from chronos_assets.views.frame_cache import FrameCache
from chronos_assets.views.open_reads import OpenReads

EQUITY_RULES: dict[str, tuple[str, Rule]] = {
    **min_max_last(["equity"]),
    "drawdown_max": ("drawdown_pct", "max"),
    "position_last": ("position", "last"),
    "buy_and_hold_last": ("buy_and_hold", "last"),
}
OHLC: dict[str, Rule] = {"open": "first", "high": "max", "low": "min", "close": "last"}
PIECE_ROWS = 50_000


@dataclass(frozen=True)
class Span:
    """A part of a series: from a time on (included) up to a time (excluded), in at most `points` buckets (None: every row)."""

    start: datetime | None = None
    end: datetime | None = None
    points: int | None = None


@dataclass(frozen=True)
class Series:
    """A series that is about to be sent: its rows, and its pieces in order (at least one, which may be empty)."""

    rows: int
    pieces: Callable[[], Iterator[pl.DataFrame]]
    decimated: str | None = None

    @classmethod
    def of(cls, frame: pl.DataFrame, decimated: str | None = None) -> Series:
        """A series that is whole in memory."""
        starts = range(0, max(1, frame.height), PIECE_ROWS)
        return cls(frame.height, lambda: (frame.slice(start, PIECE_ROWS) for start in starts), decimated)

    def narrowed(self, names: Sequence[str] | None, digits: int | None) -> Series:
        """The series with its times and `names` alone (None: every column), its values rounded to `digits` significant ones."""
        if names is None and digits is None:
            return self

        chosen = None if names is None else _known_columns(next(self.pieces()), names)

        def narrow(frame: pl.DataFrame) -> pl.DataFrame:
            kept = frame if chosen is None else frame.select(chosen)
            return kept if digits is None else kept.with_columns(pl.col(pl.Float64).round_sig_figs(digits))

        return Series(self.rows, lambda: (narrow(piece) for piece in self.pieces()), self.decimated)


def _known_columns(frame: pl.DataFrame, names: Sequence[str]) -> list[str]:
    for name in names:
        if name not in frame.columns:
            raise UsageError(
                f"the series has no column {name[:100]!r}", code="column_unknown", expected=f"some of {', '.join(frame.columns)}"
            )
    return list(dict.fromkeys((frame.columns[0], *names)))


def equity_series(stores: Stores, simulation: SimulationRecord, span: Span, cache: FrameCache) -> Series:
    """Equity, drawdown and position per bar, beside the starting capital held from the first close on."""
    return _cut(read_account(stores, simulation, cache), span, EQUITY_RULES, cache, account_key(simulation))


def prediction_series(
    stores: Stores, run: Run, span: Span, cache: FrameCache, *, fold: int | None = None, signal: str | None = None
) -> Series:
    """Predictions of a run's test rows. `signal`: `long`, `short` or `any`, only rows that give one.

    Every row between two times is read by those; for anything else all rows of the run are read once, and kept.
    """
    key = ("predictions", run.run_id, run.completed_at, run.folds_present)
    if span.start is not None and span.end is not None and span.points is None:
        frame = read_predictions(stores, run.run_id, times=(span.start.timestamp(), span.end.timestamp()))
    else:
        frame = cache.get(key, lambda: read_predictions(stores, run.run_id))
    long = (pl.col("prediction") >= pl.col("long_threshold")).fill_null(value=False)
    short = (pl.col("prediction") <= pl.col("short_threshold")).fill_null(value=False)
    if fold is not None:
        frame = frame.filter(pl.col("fold") == fold)
    if signal is not None:
        frame = frame.filter({"long": long & ~short, "short": short & ~long, "any": long ^ short}[signal])
    counted = frame.with_columns(long_signal=long & ~short, short_signal=short & ~long) if span.points else frame
    counts: dict[str, tuple[str, Rule]] = {"long_signals": ("long_signal", "count"), "short_signals": ("short_signal", "count")}
    counts |= {f"{side}_threshold_last": (f"{side}_threshold", "last") for side in ("long", "short")}
    return _cut(counted, span, min_max_last(["prediction"]) | counts, cache, (*key, fold, signal))


def bar_series(
    stores: Stores, record: DatasetRecord, names: Sequence[str] | None, span: Span, cache: FrameCache, *, reads: OpenReads
) -> Series:
    """Published bars: `timestamp_unix` and the named columns (default: the prices). Whole series are read in pieces, as one of `reads`.

    Raises `ServiceUnavailableError` (`downloads_full`) for a whole one if too many are read already.
    """
    prices = [column.name for column in record.columns if column.role == "price"]
    columns = list(dict.fromkeys(record.column(name) for name in (prices if names is None else names)))
    if span.points is None:
        return _streamed(stores, record, columns, span, reads)
    key = ("bars", record.dataset_id, record.revision, tuple(column.name for column in columns))
    frame = cache.get(key, lambda: pl.concat(list(iter_bars(stores.questdb, record, columns))))
    return _cut(frame, span, bar_rules(record, [column.name for column in columns]), cache, key)


def bar_rules(record: DatasetRecord, names: Sequence[str]) -> dict[str, tuple[str, Rule]]:
    """First open, highest high, lowest low, last close; of every other column the smallest, largest and last value."""
    known = {column.name: kind for kind, column in price_columns(record).items()}
    rules: dict[str, tuple[str, Rule]] = {}
    for name in names:
        rules |= {name: (name, OHLC[known[name]])} if known.get(name) in OHLC else min_max_last([name])
    return rules


def rows_of(frame: pl.DataFrame, span: Span) -> tuple[pl.DataFrame, int, int]:
    """The rows of `frame` between the times of `span`, and the numbers of the first and of the one behind the last."""
    times = frame["timestamp_unix"]
    first = 0 if span.start is None else int(times.search_sorted(span.start.timestamp(), "left"))
    last = frame.height if span.end is None else int(times.search_sorted(span.end.timestamp(), "left"))
    return frame.slice(first, max(0, last - first)), first, last


def _cut(frame: pl.DataFrame, span: Span, rules: dict[str, tuple[str, Rule]], cache: FrameCache, key: Hashable) -> Series:
    """The part of `frame` that `span` asks for; one in few points is kept, since pages ask for it again and again."""
    part, first, last = rows_of(frame, span)
    if span.points is None:
        return Series.of(part)
    points = min(span.points, max(1, part.height))
    small = cache.get((key, first, last, points), lambda: decimate(part, points, rules, offset=first))
    return Series.of(small, f"{part.height}/{small.height}" if part.height > points else None)


def _streamed(stores: Stores, record: DatasetRecord, columns: Sequence[DatasetColumn], span: Span, reads: OpenReads) -> Series:
    reads.require_room()
    inside = _inside(stores, record, span)
    if inside is None:
        return Series.of(pl.DataFrame(schema={"timestamp_unix": pl.Int64, **{column.name: pl.Float64 for column in columns}}))

    def pieces() -> Iterator[pl.DataFrame]:
        with reads.one() as cells:
            for piece in iter_bars(stores.questdb, inside, columns, cells=cells):
                yield piece.select("timestamp_unix", *(pl.col(c.name).cast(pl.Float64).fill_nan(None) for c in columns))

    return Series(inside.row_count, pieces)


def _inside(stores: Stores, record: DatasetRecord, span: Span) -> DatasetRecord | None:
    """`record` with the range of bars that `span` leaves of it, and their number; None if it leaves none."""
    first, last = record.first_bar_ts, record.last_bar_ts
    if span.start is not None:
        first = max(first, datetime.fromtimestamp(math.ceil(span.start.timestamp()), tz=UTC))
    if span.end is not None:
        last = min(last, datetime.fromtimestamp(math.ceil(span.end.timestamp()) - 1, tz=UTC))
    if first > last:
        return None
    if (first, last) == (record.first_bar_ts, record.last_bar_ts):
        return record
    rows = bars_of(stores.questdb, record.questdb_tag, first, last)
    return replace(record, first_bar_ts=first, last_bar_ts=last, row_count=rows)
