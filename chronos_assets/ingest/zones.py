"""Exchange wall clock to UTC.

The rule of the repeated hour (autumn): a bar takes that of its two readings which follows the bar before it by one interval; else the
earlier one, unless that is not later than the bar before it. So 1:00, 1:30, 1:00, 1:30 become four bars in a row. The rule of the missing
hour (spring): a clock that shows it was not put forward, so the offset from before the change holds; if that meets a real bar, the
order check refuses both. Both are counted and said.
"""

from __future__ import annotations

import datetime as dt
import zoneinfo

import numpy as np

from chronos_assets.ingest.cells import Int64s
from chronos_assets.ingest.times import DAY_SECONDS

_EPOCH = dt.datetime(1970, 1, 1)


class ZoneClock:
    """Turns wall clock seconds (as if UTC) into UTC seconds, batch after batch in bar order."""

    def __init__(self, timezone: str, interval_seconds: int | None) -> None:
        self._zone = zoneinfo.ZoneInfo(timezone)
        self._is_utc = timezone in {"UTC", "Etc/UTC", "Z"}
        self._offsets: dict[int, int | None] = {}
        self._interval = interval_seconds
        self._previous: int | None = None
        self._step: int | None = None
        self.repeated = 0
        self.moved = 0

    def to_utc(self, wall: Int64s) -> Int64s:
        """UTC seconds of `wall`."""
        if self._is_utc or not len(wall):
            return wall
        days, where = np.unique(wall // DAY_SECONDS, return_inverse=True)
        offsets = [self._day_offset(int(day)) for day in days]
        plain = np.array([0 if offset is None else offset for offset in offsets], dtype=np.int64)
        utc = wall - plain[where]
        changing = np.array([offset is None for offset in offsets])[where]
        for i in np.flatnonzero(changing):
            before = int(utc[i - 1]) if i else self._previous
            step = int(utc[i - 1] - utc[i - 2]) if i > 1 else self._step
            utc[i] = self._one(int(wall[i]), before, self._interval or step)
        self._step = int(utc[-1] - utc[-2]) if len(utc) > 1 else None if self._previous is None else int(utc[-1]) - self._previous
        self._previous = int(utc[-1])
        return utc

    def _day_offset(self, day: int) -> int | None:
        """Offset that holds all through the wall clock day, or None if it changes on it."""
        if day not in self._offsets:
            midnight = _EPOCH + dt.timedelta(days=day)
            edges = {self._offset(midnight + dt.timedelta(hours=hours), fold) for hours in (-3, 0, 12, 24, 27) for fold in (0, 1)}
            self._offsets[day] = edges.pop() if len(edges) == 1 else None
        return self._offsets[day]

    def _one(self, wall: int, before: int | None, interval: int | None) -> int:
        moment = _EPOCH + dt.timedelta(seconds=wall)
        early, late = (wall - self._offset(moment, fold) for fold in (0, 1))
        if early == late:
            return early
        if early > late:
            # Missing hour: fold 0 carries the offset from before the change, which is the later instant.
            self.moved += 1
            return early
        self.repeated += 1
        if before is None:
            return early
        return late if early <= before or (interval is not None and late - before == interval) else early

    def _offset(self, moment: dt.datetime, fold: int) -> int:
        offset = moment.replace(tzinfo=self._zone, fold=fold).utcoffset()
        assert offset is not None
        return int(offset.total_seconds())
