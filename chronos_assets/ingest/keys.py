"""Key columns: which bar a row is. Date, Time and Market in; `date_i`, `time_i`, `timestamp_unix` out, in order and unique."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl

from chronos_assets.domain.bars_spec import BarsSpec, TimeFormat
from chronos_assets.domain.strict import nearest
from chronos_assets.errors import BarsError
from chronos_assets.ingest.cells import Int64s, whole_numbers
from chronos_assets.ingest.dates import calendar_numbers, days_since_epoch
from chronos_assets.ingest.day_runs import DayRuns
from chronos_assets.ingest.declared_moments import DeclaredMoments, Moments
from chronos_assets.ingest.doubtful import ReadBars
from chronos_assets.ingest.names import Column
from chronos_assets.ingest.order import Surroundings, order_refused
from chronos_assets.ingest.spacing import Disorder, Spacing
from chronos_assets.ingest.text_block import RawBatch
from chronos_assets.ingest.time_column import SCAN, TimeColumn
from chronos_assets.ingest.time_refusals import order_or_format
from chronos_assets.ingest.time_units import in_hhmm
from chronos_assets.ingest.times import DAY_SECONDS, clock_numbers
from chronos_assets.ingest.zones import ZoneClock

_MAX_MARKETS = 20
_MAX_REMEMBERED = 1_000


class OutOfOrderError(Exception):
    """Rows are out of order. `refusal` holds unless the whole Time column explains the order otherwise (`Keys.other_order`)."""

    def __init__(self, refusal: BarsError) -> None:
        super().__init__(str(refusal))
        self.refusal = refusal


class Keys:
    """Reads the key columns batch by batch. `reading` (from an earlier attempt): `hhmm`, `hhmmss` or `intraday`.

    `any_order`: bars are taken in any order, for `other_order` to say at the end whether another reading of Time puts them in order.
    """

    def __init__(self, columns: Sequence[Column], spec: BarsSpec, name: str, reading: str | None, *, any_order: bool = False) -> None:
        self._position = {column.key: column.label for column in columns if column.key}
        self._names = {column.label: column.source_name.strip() for column in columns}
        self._spec, self._name = spec, name
        self._times = TimeColumn(spec, name, reading)
        self._scanning = reading == SCAN
        self._any_order = any_order
        self._runs: DayRuns | None = None
        self._declared = DeclaredMoments(columns, spec.format, name)
        self.spacing = Spacing(name)
        self.zone = ZoneClock(spec.format.timezone, spec.interval_seconds)
        self.markets: dict[str, str] = {}
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
        return next(iter(self.markets.values()), None)

    @property
    def dropped_times(self) -> str:
        """The times of daily bars, dropped by the rule that daily bars are 00:00 UTC of their Date; empty if there were none."""
        return self._times.daily.dropped() if self.time_format == "none" else ""

    def take(self, batch: RawBatch) -> tuple[dict[str, Int64s], pl.Series | None, Callable[[int], int]]:
        """Key columns of the batch, the mask of rows kept (None for all), and where each kept row stands in the file."""
        kept, row_of = self._select_market(batch)
        frame = batch.frame if kept is None else batch.frame.filter(kept)
        if self._declared.is_declared or isinstance(frame[self._position["date"]].dtype, pl.Datetime):
            moments = self._declared.read(frame, row_of) if batch.moments is None else batch.moments.filtered(kept)
            return self._take_moments(moments, frame, row_of), kept, row_of
        dates = whole_numbers(frame[self._position["date"]], what="Date", name=self._name, row_of=row_of)
        days = days_since_epoch(dates, name=self._name, row_of=row_of)
        times, seconds = self._read_times(frame, days, row_of)
        if self._scanning:
            return {}, kept, row_of
        wall = days * DAY_SECONDS + seconds
        timestamps = wall if self.time_format == "none" else self.zone.to_utc(wall)
        self._place(ReadBars(days, times, timestamps, row_of), wall, frame)
        return {"date_i": dates, "time_i": times, "timestamp_unix": timestamps}, kept, row_of

    def _place(self, bars: ReadBars, wall: Int64s, frame: pl.DataFrame) -> None:
        """Take in bars that were read; raises if they are out of order."""
        if self._any_order:
            if self._runs is None and (readings := self._times.readings()) is not None:
                self._runs = DayRuns(readings)
            if self._runs is not None:
                self._runs.add(bars)
            return
        if (disorder := self.spacing.add(bars.moments, bars.row_of)) is not None:
            raise OutOfOrderError(self._disordered(disorder, bars, frame, int(wall[disorder.place])))
        self._times.weigh(bars, self.spacing.summary())
        self._compare_timestamps(frame, bars.moments, bars.row_of)

    def _take_moments(self, moments: Moments, frame: pl.DataFrame, row_of: Callable[[int], int]) -> dict[str, Int64s]:
        """Key columns of bars whose Date and Time have a declared form: `date_i` and `time_i` are those of the bar in UTC."""
        days = moments.days
        if moments.seconds is None:
            _, seconds = self._read_times(frame, days, row_of)
        elif not len(days):
            seconds = moments.seconds
        else:
            exact: TimeFormat = "hhmmss" if self._declared.has_seconds else "hhmm"
            times = clock_numbers(moments.seconds, exact)
            read = self._times.read(days, times, pl.Series(times), row_of, exact=exact)
            seconds = np.zeros_like(days) if read is None else moments.seconds
        if self._scanning:
            return {}
        wall = days * DAY_SECONDS + seconds
        if self.time_format == "none" or not len(days):
            timestamps = wall
        else:
            timestamps = self.zone.to_utc(wall) if moments.offsets is None else wall - moments.offsets
        times = clock_numbers(timestamps % DAY_SECONDS, "hhmmss" if self.time_format == "hhmmss" else "hhmm")
        self._place(ReadBars(days, times, timestamps, row_of), wall, frame)
        return {"date_i": calendar_numbers(timestamps // DAY_SECONDS), "time_i": times, "timestamp_unix": timestamps}

    def finish(self) -> None:
        """Called when the file has ended: raises if the whole Time column leaves its reading open, or if it does not explain every bar."""
        self._times.finish(self.spacing.summary())

    def other_order(self) -> BarsError | None:
        """The refusal of rows that a mixture of two formats in Time puts in order, and sorting would hide it; None if it does not."""
        if self._runs is None or (found := self._runs.find()) is None:
            return None
        assert self._times.decision is not None
        return order_or_format(found, self._times.decision.format, self._name)

    def granularity_hint(self) -> str:
        """What to do about a granularity that the bars contradict."""
        if self._times.can_be_read_both_ways():
            return "Correct the granularity (and the slug), or declare format.time_format."
        return "Correct the granularity (and the slug)."

    def _disordered(self, disorder: Disorder, bars: ReadBars, frame: pl.DataFrame, wall: int) -> BarsError:
        """Why a bar is not later than the one before it; raises what the Time column says about it."""
        self.spacing.count_forward(bars.moments)
        self._times.explain_disorder(disorder.place, bars, self.spacing.summary())
        at = disorder.place
        around = Surroundings(
            wall=wall,
            timezone=self._spec.format.timezone,
            is_daily=self.time_format == "none",
            earlier=frame[at - 1] if at else None,
            later=frame[at],
            names=self._names,
        )
        return order_refused(disorder, around, self._name)

    def _read_times(self, frame: pl.DataFrame, days: Int64s, row_of: Callable[[int], int]) -> tuple[Int64s, Int64s]:
        zeros = np.zeros_like(days)
        if "time" not in self._position or self._spec.format.declared_time == "none" or not len(days):
            return zeros, zeros
        cells = frame[self._position["time"]]
        times = whole_numbers(cells, what="Time", name=self._name, row_of=row_of)
        if (unit := self._spec.format.time_unit) is not None:
            times = in_hhmm(times, unit, name=self._name, row_of=row_of)
            cells = pl.Series(times)
        seconds = self._times.read(days, times, cells, row_of)
        return (zeros, zeros) if seconds is None else (times, seconds)

    def _select_market(self, batch: RawBatch) -> tuple[pl.Series | None, Callable[[int], int]]:
        if "market" not in self._position:
            return None, batch.row_of
        cells = batch.frame[self._position["market"]].cast(pl.String).fill_null("").str.strip_chars()
        found = cells.unique(maintain_order=True).to_list()
        wanted = self._spec.format.market
        if wanted is None:
            for market in found:
                # Names that differ by case are one market, as format.market takes them; if they are two, their bars clash.
                self.markets.setdefault(market.casefold(), market)
            if len(self.markets) > 1:
                other = int((cells.str.to_lowercase() != (self.market or "").lower()).arg_max() or 0)
                raise self._several_markets(batch.row_of(other))
            return None, batch.row_of
        self.markets.update((market.casefold(), market) for market in found[: max(0, _MAX_REMEMBERED - len(self.markets))])
        mask = cells.str.to_lowercase() == wanted.lower()
        if mask.all():
            return None, batch.row_of
        self.other_market_rows += int((~mask).sum())
        rows = mask.arg_true().to_numpy()
        return mask, lambda index: batch.row_of(int(rows[index]))

    def _several_markets(self, row: int) -> BarsError:
        """The refusal of a file with several markets and no word on which."""
        names = [repr(market) for market in list(self.markets.values())[:_MAX_MARKETS]]
        more = f" and {len(self.markets) - _MAX_MARKETS} more" if len(self.markets) > _MAX_MARKETS else ""
        return BarsError(
            "the file holds several markets",
            code="several_markets",
            expected="one market, or format.market in the manifest",
            found=", ".join(names) + more,
            hint=f"Choose one: format: {{market: {self.market}}}, or --format market={self.market}.",
            file=self._name,
            row=row,
            column="Market",
        )

    def market_missing(self) -> BarsError:
        """The refusal of a market that the file does not hold."""
        close = nearest(self._spec.format.market or "", self.markets.values())
        return BarsError(
            f"the file holds no bars of market {self._spec.format.market!r}",
            code="market_missing",
            found=", ".join(list(self.markets.values())[:_MAX_MARKETS]),
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
