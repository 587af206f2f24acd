"""The one door: a file of bars in, an Arrow file of normalized bars and a report out, batch by batch.

The Arrow file holds `date_i`, `time_i`, `timestamp_unix` (int64), then every feature, target and price column (float64) in the order of the
file. Memory is bounded by the size of a block, whatever the size of the file.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import polars as pl

from chronos_assets.domain.bars_spec import BarsSpec
from chronos_assets.domain.content import ContentHasher
from chronos_assets.errors import BarsError
from chronos_assets.ingest.keys import Keys, OutOfOrderError
from chronos_assets.ingest.names import fold
from chronos_assets.ingest.opening import OpenedFile, open_bars
from chronos_assets.ingest.report import BarsReport
from chronos_assets.ingest.sink import ArrowSink
from chronos_assets.ingest.stats import Stats
from chronos_assets.ingest.summary import summarize
from chronos_assets.ingest.text_block import RawBatch
from chronos_assets.ingest.time_column import SCAN, FormatChangedError

_PRICES = frozenset({"open", "high", "low", "close"})
Progress = Callable[[str, int, int | None], None]


def normalize(source: Path, spec: BarsSpec, destination: Path | None, progress: Progress | None = None) -> BarsReport:
    """Read `source` as `spec` says, write the bars to `destination` (nowhere if None), and report.

    Raises `BarsError` (or `ManifestError` for patterns that fit no column) that names file, row, column and value; then nothing is left at
    `destination`. `progress(stage, bytes done, bytes in all)` is called per batch.
    """
    reading = None
    while True:
        try:
            if reading == SCAN:
                _scan_keys(source, spec)
            return _normalize(source, spec, destination, progress, reading)
        except FormatChangedError as change:
            # Later rows showed that the first block had been read the wrong way: once more, with what the whole column says.
            reading = change.reading
        except OutOfOrderError as found:
            try:
                refusal = _other_order(source, spec, reading) or found.refusal
            except FormatChangedError as change:
                reading = change.reading
                continue
            raise refusal from None


def _scan_keys(source: Path, spec: BarsSpec) -> None:
    """Read the keys alone; always ends with the reading that the whole column gives (`FormatChangedError`) or its refusal."""
    with open_bars(source, spec) as file:
        keys = Keys(file.columns, spec, file.name, SCAN)
        for batch in file.batches():
            keys.take(batch)
        keys.finish()


def _other_order(source: Path, spec: BarsSpec, reading: str | None) -> BarsError | None:
    """Read the keys alone, in whatever order: what the whole Time column says of the order of the rows."""
    with open_bars(source, spec) as file:
        keys = Keys(file.columns, spec, file.name, reading, any_order=True)
        for batch in file.batches():
            keys.take(batch)
        return keys.other_order()


def _normalize(source: Path, spec: BarsSpec, destination: Path | None, progress: Progress | None, reading: str | None) -> BarsReport:
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(open_bars(source, spec))
        keys = Keys(file.columns, spec, file.name, reading)
        stats = Stats([column for column in file.columns if column.is_data])
        hasher = ContentHasher()
        hash_pool = stack.enter_context(ThreadPoolExecutor(max_workers=1))
        sink = stack.enter_context(ArrowSink(destination))
        hashing: Future[None] | None = None
        blank_lines = 0
        for batch in file.batches():
            hash_pool.submit(file.hash_read)
            blank_lines += batch.blank_lines
            frame, row_of = _bars(batch, file, keys, stats)
            if hashing is not None:
                hashing.result()
            if frame.height:
                hashing = hash_pool.submit(hasher.update, frame, nan_free=True)
                sink.write(frame)
                stats.keep(frame, row_of)
            if progress is not None:
                progress("normalize", file.bytes_read, file.size)
        keys.finish()
        if hashing is None:
            raise _no_rows(file, keys)
        sink.end()
        report = summarize(file, spec, keys, stats, blank_lines=blank_lines)
        hashing.result()
        file.refuse_changed()
        return report.model_copy(update={"content_hash": hasher.hexdigest()})


def _bars(batch: RawBatch, file: OpenedFile, keys: Keys, stats: Stats) -> tuple[pl.DataFrame, Callable[[int], int]]:
    """One batch of normalized bars (keys first, then the numbers, cleaned) and the row of the file that each came from."""
    key_columns, kept, row_of = keys.take(batch)
    numbers = batch.frame[[column.label for column in file.columns if column.is_data]]
    if kept is not None:
        numbers = numbers.filter(kept)
    if file.price_divisor != 1:
        numbers = _divided(numbers, file)
    _refuse_filled(batch.frame, file)
    return pl.DataFrame(key_columns).hstack(stats.take(numbers, row_of)), row_of


def _divided(numbers: pl.DataFrame, file: OpenedFile) -> pl.DataFrame:
    """Prices in parts of the currency (`format.price_divisor`) as prices: the quotient of two exact doubles is the nearest one.

    By a column of divisors: by one number Polars would multiply with its reciprocal, which rounds twice.
    """
    labels = [column.label for column in file.columns if column.is_data and fold(column.name) in _PRICES]
    divisors = pl.Series([float(file.price_divisor)]).new_from_index(0, numbers.height)
    return numbers.with_columns(numbers[label] / divisors for label in labels)


def _refuse_filled(frame: pl.DataFrame, file: OpenedFile) -> None:
    """A column without a name is what a delimiter at the end of every line leaves; it may hold nothing."""
    for column in file.columns:
        if (
            not column.name
            and column.role == "excluded"
            and frame[column.label].cast(pl.String).fill_null("").str.strip_chars().ne("").any()
        ):
            raise BarsError(
                f"column {column.position + 1} has no name but holds values",
                code="column_unnamed",
                file=file.name,
                hint="Give it a name in the header, or take it out.",
            )


def _no_rows(file: OpenedFile, keys: Keys) -> BarsError:
    if keys.other_market_rows:
        return keys.market_missing()
    return BarsError("the file has a header but no bars", code="no_rows", file=file.name, hint="Export it again.")
