"""Key columns: which bar a row is. Date, Time and Market in; `date_i`, `time_i`, `timestamp_unix` out, in order and unique."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl

from chronos_assets.domain.bars_spec import BarsSpec
from chronos_assets.domain.strict import nearest
from chronos_assets.errors import BarsError
from chronos_assets.ingest.cells import Int64s, whole_numbers
from chronos_assets.ingest.dates import days_since_epoch
from chronos_assets.ingest.names import Column
from chronos_assets.ingest.spacing import Spacing
from chronos_assets.ingest.text import RawBatch
from chronos_assets.ingest.time_column import SCAN, TimeColumn
from chronos_assets.ingest.times import DAY_SECONDS
from chronos_assets.ingest.zones import ZoneClock

_MAX_MARKETS = 20
_MAX_REMEMBERED = 1_000


class Keys:
    """Reads the key columns batch by batch. `reading` (from an earlier attempt): `hhmm`, `hhmmss` or `intraday`."""

    def __init__(self, columns: Sequence[Column], spec: BarsSpec, name: str, reading: str | None) -> None:
        self._position = {column.key: column.label for column in columns if column.key}
        self._spec, self._name = spec, name
        self._times = TimeColumn(spec, name, reading)
        self._scanning = reading == SCAN
        self.spacing = Spacing(name)
        self.zone = ZoneClock(spec.format.timezone, spec.interval_seconds)
        self.markets: dict[str, None] = {}
        self.other_market_rows = 0
        self.timestamp_mismatches = 0
        self.first_mismatch_row: int | None = None
        if spec.format.market is not None and "market" not in self._position:
            raise BarsError(
                "format.market is given, but the file has no Market column",
                code="market_column_missing",
                file=name,
                hint="Leave format.market out, or name the column of the markets Market.",
            )

    @property
    def time_format(self) -> str:
        """`hhmm`, `hhmmss` or `none` (daily bars)."""
        return self._times.decision.format if self._times.decision else "none"

    @property
    def time_assumed(self) -> bool:
        """Whether the reading of Time is likely rather than certain."""
        return bool(self._times.decision and self._times.decision.assumed)

    @property
    def market(self) -> str | None:
        """The market whose bars were taken."""
        return next(iter(self.markets), None)

    @property
    def daily_time(self) -> int | None:
        """The constant Time of daily bars, dropped by the rule that daily bars are 00:00 UTC of their Date."""
        return self._times.daily_time

    def take(self, batch: RawBatch) -> tuple[dict[str, Int64s], pl.Series | None, Callable[[int], int]]:
        """Key columns of the batch, the mask of rows kept (None for all), and where each kept row stands in the file."""
        kept, row_of = self._select_market(batch)
        frame = batch.frame if kept is None else batch.frame.filter(kept)
        dates = whole_numbers(frame[self._position["date"]], what="Date", name=self._name, row_of=row_of)
        days = days_since_epoch(dates, name=self._name, row_of=row_of)
        times, seconds = self._read_times(frame, days, row_of)
        if self._scanning:
            return {}, kept, row_of
        wall = days * DAY_SECONDS + seconds
        timestamps = wall if self.time_format == "none" else self.zone.to_utc(wall)
        if self.time_format == "none":
            self.spacing.duplicate_hint = "Daily bars have one row per Date: remove one of the two, or correct the granularity."
        self.spacing.add(timestamps, row_of)
        self._compare_timestamps(frame, timestamps, row_of)
        return {"date_i": dates, "time_i": times, "timestamp_unix": timestamps}, kept, row_of

    def finish(self) -> None:
        """Called when the file has ended: raises where the whole Time column leaves its reading open."""
        self._times.finish()

    def _read_times(self, frame: pl.DataFrame, days: Int64s, row_of: Callable[[int], int]) -> tuple[Int64s, Int64s]:
        zeros = np.zeros_like(days)
        if "time" not in self._position or self._spec.format.time_format == "none" or not len(days):
            return zeros, zeros
        cells = frame[self._position["time"]]
        times = whole_numbers(cells, what="Time", name=self._name, row_of=row_of)
        seconds = self._times.read(days, times, cells, row_of)
        return (zeros, zeros) if seconds is None else (times, seconds)

    def _select_market(self, batch: RawBatch) -> tuple[pl.Series | None, Callable[[int], int]]:
        if "market" not in self._position:
            return None, batch.row_of
        cells = batch.frame[self._position["market"]].cast(pl.String).fill_null("").str.strip_chars()
        found = cells.unique(maintain_order=True).to_list()
        wanted = self._spec.format.market
        if wanted is None:
            self.markets.update(dict.fromkeys(found))
            if len(self.markets) > 1:
                other = int((cells != self.market).arg_max() or 0)
                raise self._several_markets(batch.row_of(other))
            return None, batch.row_of
        self.markets.update(dict.fromkeys(found[: max(0, _MAX_REMEMBERED - len(self.markets))]))
        mask = cells.str.to_lowercase() == wanted.lower()
        if mask.all():
            return None, batch.row_of
        self.other_market_rows += int((~mask).sum())
        rows = mask.arg_true().to_numpy()
        return mask, lambda index: batch.row_of(int(rows[index]))

    def _several_markets(self, row: int) -> BarsError:
        """The refusal of a file with several markets and no word on which."""
        names = [repr(market) for market in list(self.markets)[:_MAX_MARKETS]]
        more = f" and {len(self.markets) - _MAX_MARKETS} more" if len(self.markets) > _MAX_MARKETS else ""
        return BarsError(
            "the file holds several markets",
            code="several_markets",
            expected="one market, or format.market in the manifest",
            found=", ".join(names) + more,
            hint=f"Choose one: format: {{market: {next(iter(self.markets))}}}, or --format market={next(iter(self.markets))}.",
            file=self._name,
            row=row,
            column="Market",
        )

    def market_missing(self) -> BarsError:
        """The refusal of a market that the file does not hold."""
        close = nearest(self._spec.format.market or "", self.markets)
        return BarsError(
            f"the file holds no bars of market {self._spec.format.market!r}",
            code="market_missing",
            found=", ".join(list(self.markets)[:_MAX_MARKETS]),
            hint=f"Did you mean {close!r}?" if close else "Name one that the file holds in format.market (--format market=... here).",
            file=self._name,
            column="Market",
        )

    def _compare_timestamps(self, frame: pl.DataFrame, timestamps: Int64s, row_of: Callable[[int], int]) -> None:
        """A `timestamp_unix` column in the file is a key: it is never a feature, and where it says another time, that is said."""
        if "timestamp_unix" not in self._position or not len(timestamps):
            return
        stated = frame[self._position["timestamp_unix"]].cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy()
        differs = stated != timestamps
        if differs.any():
            if self.first_mismatch_row is None:
                self.first_mismatch_row = row_of(int(np.argmax(differs)))
            self.timestamp_mismatches += int(differs.sum())
