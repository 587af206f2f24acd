"""Key columns: which bar a row is. Date, Time and Market in; `date_i`, `time_i`, `timestamp_unix` out, in order and unique."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np
import polars as pl

from chronos_assets.domain.bars.cells import Int64s, whole_numbers
from chronos_assets.domain.bars.dates import days_since_epoch
from chronos_assets.domain.bars.names import Column
from chronos_assets.domain.bars.spacing import Spacing
from chronos_assets.domain.bars.spec import BarsSpec
from chronos_assets.domain.bars.text import RawBatch
from chronos_assets.domain.bars.times import DAY_SECONDS, Decision, UnclearTimeError, decide, padding_of, refusal, seconds_of_day
from chronos_assets.domain.bars.zones import ZoneClock
from chronos_assets.domain.slug import granularity_seconds
from chronos_assets.domain.strict import nearest
from chronos_assets.errors import BarsError, SlugError

_MAX_MARKETS = 20


class FormatChangedError(Exception):
    """Later rows contradict a reading that was only likely; `reading` is what the whole column says."""

    def __init__(self, reading: str) -> None:
        super().__init__(reading)
        self.reading = reading


class Keys:
    """Reads the key columns batch by batch. `reading` (from an earlier attempt): `hhmm`, `hhmmss` or `intraday`."""

    def __init__(self, columns: Sequence[Column], spec: BarsSpec, name: str, reading: str | None) -> None:
        self._position = {column.key: str(column.position) for column in columns if column.key}
        self._spec, self._name, self._reading = spec, name, reading
        self._decision: Decision | None = Decision("hhmmss", firm=True) if reading == "hhmmss" else None
        self._daily_time: int | None = None
        self.spacing = Spacing(name)
        self.zone = ZoneClock(spec.format.timezone)
        self.markets: dict[str, None] = {}
        self.other_market_rows = 0
        self.timestamp_mismatches = 0
        self.first_mismatch_row: int | None = None
        if spec.format.market is not None and "market" not in self._position:
            raise BarsError("format.market is given, but the file has no Market column", code="market_column_missing", file=name)

    @property
    def time_format(self) -> str:
        """`hhmm`, `hhmmss` or `none` (daily bars)."""
        return self._decision.format if self._decision else "none"

    @property
    def time_assumed(self) -> bool:
        """Whether the reading of Time is likely rather than certain."""
        return bool(self._decision and self._decision.assumed)

    @property
    def market(self) -> str | None:
        """The market whose bars were taken."""
        return next(iter(self.markets), None)

    @property
    def daily_time(self) -> int | None:
        """The constant Time of daily bars, dropped by the rule that daily bars are 00:00 UTC of their Date."""
        return self._daily_time

    def take(self, batch: RawBatch) -> tuple[dict[str, Int64s], pl.Series | None, Callable[[int], int]]:
        """Key columns of the batch, the mask of rows kept (None for all), and where each kept row stands in the file."""
        kept, row_of = self._select_market(batch)
        frame = batch.frame if kept is None else batch.frame.filter(kept)
        dates = whole_numbers(frame[self._position["date"]], what="Date", name=self._name, row_of=row_of)
        days = days_since_epoch(dates, name=self._name, row_of=row_of)
        times, seconds = self._times(frame, days, row_of)
        wall = days * DAY_SECONDS + seconds
        timestamps = wall if self.time_format == "none" else self.zone.to_utc(wall)
        self.spacing.add(timestamps, row_of)
        self._compare_timestamps(frame, timestamps, row_of)
        return {"date_i": dates, "time_i": times, "timestamp_unix": timestamps}, kept, row_of

    def finish(self) -> None:
        """Called when the file has ended."""

    def _times(self, frame: pl.DataFrame, days: Int64s, row_of: Callable[[int], int]) -> tuple[Int64s, Int64s]:
        zeros = np.zeros_like(days)
        if "time" not in self._position or self._spec.format.time_format == "none" or not len(days):
            self._decision = self._decision or Decision("none", firm=True)
            return zeros, zeros
        cells = frame[self._position["time"]]
        times = whole_numbers(cells, what="Time", name=self._name, row_of=row_of)
        try:
            if self._decision is None:
                self._decision = self._decide(days, times, cells)
            else:
                self._confirm(days, times, cells)
            seconds, bad = seconds_of_day(times, self._decision.format)
            if bad is not None:
                raise UnclearTimeError(
                    "time_invalid",
                    f"Time is no {self._decision.format.upper()}",
                    bad,
                    "Hours go to 23, minutes and seconds to 59; midnight is 0 of the next day.",
                )
        except UnclearTimeError as unclear:
            index = unclear.index
            value = None if index is None else cells[index]
            row = None if index is None else row_of(index)
            raise refusal(unclear, value, file=self._name, row=row, column="Time") from None
        return (zeros, zeros) if self._decision.format == "none" else (times, seconds)

    def _decide(self, days: Int64s, times: Int64s, cells: pl.Series) -> Decision:
        declared, interval = self._spec.format.time_format, self._spec.interval_seconds
        if interval is None:
            interval = interval_in_name(self._name)
        constant = bool((times == times[0]).all())
        daily = self._spec.interval_seconds is not None and self._spec.interval_seconds % DAY_SECONDS == 0
        if daily or (self._spec.interval_seconds is None and constant and len(days) > 1 and self._reading != "intraday"):
            decision = Decision("none", firm=daily)
            bad = seconds_of_day(times, "hhmmss")[1] if (times >= 10_000).any() else seconds_of_day(times, declared or "hhmm")[1]
            if bad is not None:
                raise UnclearTimeError("time_invalid", "Time is no time of day", bad, "Write Time as HHMM or HHMMSS.")
            self._daily_time = int(times[0])
            return decision
        return decide(days, times, padding_of(cells), declared=declared, interval=interval)

    def _confirm(self, days: Int64s, times: Int64s, cells: pl.Series) -> None:
        """Whether a later batch still fits the reading chosen for the first."""
        decision = self._decision
        assert decision is not None
        if decision.format == "none":
            if not decision.firm and (times != self._daily_time).any():
                raise FormatChangedError("intraday")
            return
        padding = padding_of(cells)
        if decision.format == "hhmm":
            big = times >= 10_000
            if (big.any() or padding.six is not None) and not decision.firm:
                raise FormatChangedError("hhmmss")
            if big.any() or padding.six is not None:
                index = int(np.argmax(big)) if big.any() else padding.six
                raise UnclearTimeError("time_mixed", "Time mixes HHMM and HHMMSS", index, "Write the whole column in one format.")
        elif padding.four is not None:
            raise UnclearTimeError("time_mixed", "Time mixes HHMM and HHMMSS", padding.four, "Write the whole column in one format.")

    def _select_market(self, batch: RawBatch) -> tuple[pl.Series | None, Callable[[int], int]]:
        if "market" not in self._position:
            return None, batch.row_of
        cells = batch.frame[self._position["market"]].cast(pl.String).fill_null("").str.strip_chars()
        found = cells.unique(maintain_order=True).to_list()
        wanted = self._spec.format.market
        if wanted is None:
            self.markets.update(dict.fromkeys(found))
            if len(self.markets) > 1:
                raise self.several_markets()
            return None, batch.row_of
        self.markets.update(dict.fromkeys(found[: _MAX_MARKETS * 5]))
        mask = cells.str.to_lowercase() == wanted.lower()
        if mask.all():
            return None, batch.row_of
        self.other_market_rows += int((~mask).sum())
        rows = mask.arg_true().to_numpy()
        return mask, lambda index: batch.row_of(int(rows[index]))

    def several_markets(self) -> BarsError:
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
            column="Market",
        )

    def market_missing(self) -> BarsError:
        """The refusal of a market that the file does not hold."""
        close = nearest(self._spec.format.market or "", self.markets)
        return BarsError(
            f"the file holds no bars of market {self._spec.format.market!r}",
            code="market_missing",
            found=", ".join(list(self.markets)[:_MAX_MARKETS]),
            hint=f"Did you mean {close!r}?" if close else "",
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


def interval_in_name(name: str) -> int | None:
    """Seconds of the interval that a file name such as `btc_4h.csv` tells, or None."""
    for part in re.split(r"[^0-9A-Za-z]+", name.rsplit("/", 1)[-1].lower()):
        try:
            return granularity_seconds(part)
        except SlugError:
            continue
    return None
