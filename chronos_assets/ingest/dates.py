"""`Date` as YYYYMMDD: every part is checked, nothing rolls over, and numbers that are something else are called by their name.

Accepted years: 1970 to 2199 (timestamps are nanoseconds since 1970 in QuestDB, which end in 2262).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from chronos_assets.errors import BarsError
from chronos_assets.ingest.cells import Int64s

FIRST_YEAR, LAST_YEAR = 1970, 2199
_MONTH_DAYS = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], dtype=np.int64)


def days_since_epoch(dates: Int64s, *, name: str, row_of: Callable[[int], int]) -> Int64s:
    """Days since 1970-01-01 of dates written YYYYMMDD; raises `BarsError` for the first that is none."""
    if not len(dates):
        return dates
    # Bars of one day stand together: each run of one date is looked at once.
    starts = np.flatnonzero(np.concatenate(([True], dates[1:] != dates[:-1])))
    days = _days(dates[starts], lambda index: row_of(int(starts[index])), name)
    return np.repeat(days, np.diff(np.append(starts, len(dates))))


def _days(dates: Int64s, row_of: Callable[[int], int], name: str) -> Int64s:
    days, good = civil_days(dates // 10_000, dates // 100 % 100, dates % 100)
    if not good.all():
        index = int(np.argmin(good))
        raise _refusal(int(dates[index]), file=name, row=row_of(index), column="Date")
    return days


def civil_days(year: Int64s, month: Int64s, day: Int64s) -> tuple[Int64s, npt.NDArray[np.bool_]]:
    """Days since 1970-01-01, and which of them are days of the calendar in the years we accept."""
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    longest = _MONTH_DAYS[np.where((month >= 1) & (month <= 12), month, 0)] + (leap & (month == 2))
    good = (year >= FIRST_YEAR) & (year <= LAST_YEAR) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= longest)
    # Days from civil: years begin in March, so the leap day is the last one (H. Hinnant, "chrono-compatible low-level date algorithms").
    y = year - (month <= 2)
    era = y // 400
    year_of_era = y - era * 400
    day_of_year = (153 * (month + np.where(month > 2, -3, 9)) + 2) // 5 + day - 1
    days: Int64s = era * 146_097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719_468
    return days, good


def calendar_numbers(days: Int64s) -> Int64s:
    """Days since 1970-01-01 as YYYYMMDD."""
    months = days.astype("datetime64[D]").astype("datetime64[M]")
    year_month = months.astype(np.int64)
    day = days - months.astype("datetime64[D]").astype(np.int64) + 1
    return (year_month // 12 + 1970) * 10_000 + (year_month % 12 + 1) * 100 + day


def _refusal(value: int, **where: object) -> BarsError:
    code, message = _what_it_is(value)
    return BarsError(
        message,
        code=code,
        expected=f"YYYYMMDD, years {FIRST_YEAR} to {LAST_YEAR}",
        found=value,
        hint=_HINTS.get(code, "Write Date as YYYYMMDD, for example 20240501."),
        **where,
    )


_WITH_TIME = "Write Date as YYYYMMDD, and the time of day in a column Time (HHMM or HHMMSS)."
_HINTS = {
    "date_too_early": f"Leave out the bars before {FIRST_YEAR}0101: QuestDB keeps time from {FIRST_YEAR} on.",
    **dict.fromkeys(("date_with_time", "date_unix_seconds", "date_unix_milliseconds", "date_unix_nanoseconds"), _WITH_TIME),
}
_BY_DIGITS: dict[int, tuple[str, str]] = {
    6: ("date_two_digit_year", "Date looks like YYMMDD"),
    9: ("date_unix_seconds", "Date looks like Unix seconds"),
    10: ("date_unix_seconds", "Date looks like Unix seconds"),
    12: ("date_unix_milliseconds", "Date looks like YYYYMMDDHHMM or Unix milliseconds"),
    13: ("date_unix_milliseconds", "Date looks like Unix milliseconds"),
    14: ("date_with_time", "Date looks like YYYYMMDDHHMMSS"),
    16: ("date_unix_nanoseconds", "Date looks like Unix microseconds"),
    19: ("date_unix_nanoseconds", "Date looks like Unix nanoseconds"),
}


def _what_it_is(value: int) -> tuple[str, str]:
    """Code and sentence for a number that is no date."""
    if value < 0:
        return "date_negative", "Date is negative"
    digits = len(str(value))
    if digits == 8:
        return _broken_date(value)
    if digits == 5 and value <= 80_000:
        return "date_excel_serial", "Date looks like an Excel serial day number"
    if digits == 7 and FIRST_YEAR <= value % 10_000 <= LAST_YEAR:
        return "date_order", "Date looks like DDMMYYYY or MMDDYYYY"
    if digits == 7 and 1 <= value // 100 % 100 <= 12 and value < 2_000_000:
        return "date_tradestation", "Date looks like a TradeStation date (1YYMMDD)"
    return _BY_DIGITS.get(digits, ("date_invalid", "Date is not YYYYMMDD"))


def _broken_date(value: int) -> tuple[str, str]:
    year, month, day = value // 10_000, value // 100 % 100, value % 100
    if 1 <= month <= 12 and 1 <= day <= 31:
        if 1500 <= year < FIRST_YEAR:
            return "date_too_early", f"Date is before {FIRST_YEAR}, the first year that QuestDB stores"
        if year > LAST_YEAR and not 1900 <= value % 10_000 <= 2199:
            return "date_too_late", f"Date is after {LAST_YEAR}"
        if FIRST_YEAR <= year <= LAST_YEAR:
            return "date_invalid", f"{year:04d}-{month:02d} has no day {day}"
    if FIRST_YEAR <= value % 10_000 <= LAST_YEAR and 1 <= value // 1_000_000 <= 31:
        return "date_order", "Date looks like DDMMYYYY or MMDDYYYY"
    if year > LAST_YEAR:
        return "date_too_late", f"Date is after {LAST_YEAR}"
    return "date_invalid", "Date is not a day of the calendar"
