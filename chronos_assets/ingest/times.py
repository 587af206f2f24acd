"""`Time` as HHMM or HHMMSS, or no time at all: what the column says, then the declared format, then the spacing of the bars, else refused.

Leading zeros and values from 10000 up decide by themselves. A column without either (`400`, `800`, ...) can be read both ways:
`400` is four hours or four minutes past midnight. It is HHMM if bars follow each other evenly across midnight under that reading, or
if only one of the two readings fits the granularity. Nothing rolls over: 2400, 2460 and 0075 are refused.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from chronos_assets.domain.bars_spec import TimeFormat
from chronos_assets.errors import BarsError
from chronos_assets.ingest.cells import Int64s

DAY_SECONDS = 86_400
HOURS_HINT = "Hours go to 23, minutes and seconds to 59; midnight is 0 of the next day."
_DECLARE_HINT = "Correct the column, or declare it: format.time_format in the manifest, --format hhmm or hhmmss here."
ONE_FORMAT_HINT = "Write the whole column in one format."
_READINGS: tuple[TimeFormat, ...] = ("hhmm", "hhmmss")
_MOSTLY = 0.9
# Of times that fill the first hour of a day, written HHMMSS, six in ten are no HHMM.
_PLENTY = 0.25
_SEVERAL = 5


class UnclearTimeError(Exception):
    """The column cannot be read as it is: `index` is the first cell in question (or None), `code` and `message` say why.

    `may_clear`: more cells could show that it can.
    """

    def __init__(self, code: str, message: str, index: int | None, hint: str, *, may_clear: bool = False) -> None:
        super().__init__(message)
        self.code, self.message, self.index, self.hint, self.may_clear = code, message, index, hint, may_clear


@dataclass(frozen=True)
class Decision:
    """A reading of the column. `firm`: the column itself (or the manifest) says so, and a later exception is an error, not a doubt."""

    format: TimeFormat
    firm: bool
    assumed: bool = False


@dataclass(frozen=True)
class Padding:
    """Leading zeros seen: positions of the first cell padded to four and to six digits."""

    four: int | None = None
    six: int | None = None

    def followed_by(self, other: Padding, cells: int) -> Padding:
        """What is seen in these `cells` cells and the `other` ones behind them."""
        later = (None if at is None else cells + at for at in (other.four, other.six))
        return Padding(*(seen if seen is not None else at for seen, at in zip((self.four, self.six), later, strict=True)))


def padding_of(cells: pl.Series) -> Padding:
    """Leading zeros in the text of a Time column (a typed column has none)."""
    import pyarrow.compute as pc

    if cells.dtype != pl.String:
        return Padding()
    # By Arrow's kernels, here and now: a query of Polars would wait for the threads that parse.
    text = cells.to_arrow()
    blank = pc.or_(pc.starts_with(text, " "), pc.starts_with(text, "\t"))
    if not pc.any(pc.or_(blank, pc.and_(pc.starts_with(text, "0"), pc.greater(pc.binary_length(text), 1)))).as_py():
        return Padding()
    digits = cells.str.strip_chars(" \t").str.replace(r"\.0*$", "")
    padded = digits.str.starts_with("0")
    length = digits.str.len_bytes()
    return Padding(*(_first((padded & (length == width)).fill_null(value=False).to_numpy()) for width in (4, 6)))


def seconds_of_day(times: Int64s, time_format: TimeFormat) -> tuple[Int64s, int | None]:
    """Seconds since midnight, and the position of the first value that is no time (None if all are)."""
    if time_format == "none":
        return np.zeros_like(times), None
    # By divisions alone: NumPy divides by a constant several times faster than it takes remainders.
    pairs = times // 100
    last = times - pairs * 100
    if time_format == "hhmm":
        return pairs * 3600 + last * 60, _first((times < 0) | (pairs >= 24) | (last >= 60))
    hours = pairs // 100
    minutes = pairs - hours * 100
    return hours * 3600 + minutes * 60 + last, _first((times < 0) | (hours >= 24) | (minutes >= 60) | (last >= 60))


def clock_numbers(seconds: Int64s, time_format: TimeFormat) -> Int64s:
    """Seconds of the day as HHMMSS, or as HHMM (seconds of the minute left out)."""
    minutes = seconds // 60
    hhmm = minutes // 60 * 100 + minutes % 60
    return hhmm * 100 + seconds % 60 if time_format == "hhmmss" else hhmm


def checked_seconds(times: Int64s, time_format: TimeFormat) -> Int64s:
    """Seconds since midnight; raises `UnclearTimeError` at the first value that is no time."""
    seconds, bad = seconds_of_day(times, time_format)
    if bad is not None:
        raise UnclearTimeError("time_invalid", f"Time is not {time_format.upper()}", bad, HOURS_HINT)
    return seconds


def decide(days: Int64s, times: Int64s, padding: Padding, *, declared: TimeFormat | None, interval: int | None) -> Decision:
    """How to read `times` (with `days`, days since the epoch, beside them); raises `UnclearTimeError`.

    `interval` is the length of a bar in seconds if it is known. Reading as daily bars is the caller's choice.
    """
    if (negative := _first(times < 0)) is not None:
        raise UnclearTimeError("time_negative", "Time is negative", negative, "Write Time as HHMM or HHMMSS.")
    if (large := _first(times > 235_959)) is not None:
        raise UnclearTimeError(
            "time_invalid", "Time is not a time of day", large, "Write Time as HHMM or HHMMSS; midnight is 0 of the next day."
        )
    if (neither := _first(_beyond_hhmm(times) & ((times // 100 % 100 >= 60) | (times % 100 >= 60)))) is not None:
        raise UnclearTimeError("time_invalid", "Time is not a time of day", neither, HOURS_HINT)
    if declared is not None:
        _refuse_contradiction(declared, padding)
        return Decision(declared, firm=True)
    if padding.four is not None and padding.six is not None:
        raise _mixed(max(padding.four, padding.six))
    big = times >= 10_000
    if padding.four is not None:
        if big.any():
            raise _mixed(int(np.argmax(big)))
        return Decision("hhmm", firm=True)
    if padding.six is not None:
        return Decision("hhmmss", firm=True)
    if big.any():
        return _with_large_values(days, times, big)
    return _without_evidence(days, times, interval)


def _refuse_contradiction(declared: TimeFormat, padding: Padding) -> None:
    at = padding.four if declared == "hhmmss" else padding.six if declared == "hhmm" else None
    if at is not None:
        raise contradicted(declared, at)


def contradicted(declared: TimeFormat, index: int) -> UnclearTimeError:
    """A cell that is not what the manifest (or the call) declares."""
    return UnclearTimeError(
        "time_format_contradicted", f"Time is not {declared.upper()} as declared", index, "Correct format.time_format, or the cell."
    )


def _mixed(index: int) -> UnclearTimeError:
    return UnclearTimeError("time_mixed", "Time mixes HHMM and HHMMSS", index, ONE_FORMAT_HINT)


def _with_large_values(days: Int64s, times: Int64s, big: npt.NDArray[np.bool_]) -> Decision:
    """HHMMSS, unless the column is else plainly HHMM and the large values are the exception (a slip of the pen, two files joined)."""
    small = times[~big]
    # Midnight is 0 in both formats and says nothing.
    if 2 * big.sum() >= (times > 0).sum() or _share(_beyond_hhmm(small)) >= _PLENTY:
        return Decision("hhmmss", firm=True)
    if days[0] == days[-1] and _even_within_days(days, times):
        return Decision("hhmmss", firm=True)
    raise UnclearTimeError(
        "time_mixed", "Time is not HHMM, as most of the column seems to be", int(np.argmax(big)), ONE_FORMAT_HINT, may_clear=True
    )


def _without_evidence(days: Int64s, times: Int64s, interval: int | None) -> Decision:
    if not times.any():
        return Decision("hhmm", firm=False)
    beyond = _beyond_hhmm(times)
    if beyond.any():
        if _share(beyond & (times != 2400)) >= _PLENTY and _even_within_days(days, times):
            return Decision("hhmmss", firm=False)
        if beyond.sum() >= _SEVERAL and _goes_on_evenly(days, times):
            return Decision("hhmmss", firm=False)
        raise UnclearTimeError("time_invalid", "Time is not a time of day", int(np.argmax(beyond)), HOURS_HINT, may_clear=True)
    if even_across_midnight(days, times):
        return Decision("hhmm", firm=True)
    if interval is not None:
        short, long = (_fits(days, times, form, interval) for form in _READINGS)
        if short != long:
            return Decision("hhmm" if short else "hhmmss", firm=False)
    dates = len(np.unique(days))
    if dates >= 3 and len(times) >= 2 * dates:
        return Decision("hhmm", firm=False, assumed=True)
    raise UnclearTimeError(
        "time_ambiguous", "Time can be read as HHMM and as HHMMSS", int(np.argmax(times > 0)), _DECLARE_HINT, may_clear=True
    )


def _beyond_hhmm(times: Int64s) -> npt.NDArray[np.bool_]:
    """Which values are no HHMM."""
    return np.asarray((times // 100 >= 24) | (times % 100 >= 60))


def _share(mask: npt.NDArray[np.bool_]) -> float:
    return float(mask.mean()) if len(mask) else 0.0


def even_across_midnight(days: Int64s, times: Int64s) -> bool:
    """Whether, read as HHMM, the step over midnight is the usual step."""
    seconds, bad = seconds_of_day(times, "hhmm")
    if bad is not None or len(times) < 3:
        return False
    steps = np.diff(days * DAY_SECONDS + seconds)
    values, counts = np.unique(steps[steps > 0], return_counts=True)
    if not len(values):
        return False
    usual = values[np.argmax(counts)]
    over = np.diff(days) == 1
    return bool(usual < DAY_SECONDS and over.any() and (steps[over] == usual).mean() >= 0.5 and (steps == usual).mean() >= 0.5)


def _even_within_days(days: Int64s, times: Int64s) -> bool:
    """Whether, read as HHMMSS, the steps within days are nearly all the same."""
    seconds, bad = seconds_of_day(times, "hhmmss")
    steps = np.diff(seconds)[np.diff(days) == 0]
    if bad is not None or len(steps) < 2:
        return False
    _, counts = np.unique(steps, return_counts=True)
    return bool(counts.max() >= _MOSTLY * len(steps))


def _goes_on_evenly(days: Int64s, times: Int64s) -> bool:
    """Whether, read as HHMMSS, all bars are of one date and one distance apart: bars of seconds from midnight on."""
    seconds, bad = seconds_of_day(times, "hhmmss")
    return bad is None and days[0] == days[-1] and len(np.unique(np.diff(seconds))) == 1


def _fits(days: Int64s, times: Int64s, form: TimeFormat, interval: int) -> bool:
    seconds, _ = seconds_of_day(times, form)
    steps = np.diff(days * DAY_SECONDS + seconds)
    return bool(len(steps) and (steps == interval).mean() > 0.05 and (steps < interval).sum() <= (steps == interval).sum() / 2)


def _first(mask: npt.NDArray[np.bool_]) -> int | None:
    return int(np.argmax(mask)) if mask.any() else None


def refusal(unclear: UnclearTimeError, value: object, **where: object) -> BarsError:
    """The error that a user sees for `unclear`, whose cell holds `value`."""
    return BarsError(
        unclear.message, code=unclear.code, expected="HHMM (0 to 2359) or HHMMSS (0 to 235959)", found=value, hint=unclear.hint, **where
    )
