"""The parts of Date and Time cells by the names of their form's groups: year, month, day, hour, minute, second, offset.

Cells of one width, which is nearly all of them, are read as columns of bytes: each digit of all cells at once, each run of one date
once. Whatever differs goes through the regular expression of the form, which takes the same cells.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from chronos_assets.domain.moment_patterns import MONTHS, expression
from chronos_assets.ingest.cells import Int64s
from chronos_assets.ingest.dates import FIRST_YEAR, civil_days

Bools = npt.NDArray[np.bool_]
Parts = dict[str, npt.NDArray[np.generic]]
_ZERO, _NINE, _PLUS, _MINUS = (np.uint8(value) for value in (0x30, 9, 0x2B, 0x2D))


class Odd(NamedTuple):
    """The first cell that does not fit, and the code of its refusal if that is a special one."""

    at: int
    code: str = ""


def parts_of_one_width(cells: pl.Series, form: str) -> Parts | None:
    """The parts of cells that are all written like the first one: same width, digits at the same places; None if they are not."""
    if cells.dtype != pl.String or cells.null_count() or not len(cells):
        return None
    first = re.fullmatch(expression(form), str(cells[0]))
    if first is None or any(first.groupdict().get(name) for name in ("b", "p", "f")):
        return None
    spans = {name: first.span(name) for name, text in first.groupdict().items() if text is not None}
    zone, sign = spans.pop("z", None), None
    if zone is not None and first["z"] not in {"Z", "UTC"}:
        if zone[1] - zone[0] != len("+00:00"):
            return None
        sign = zone[0]
        spans |= {"zh": (sign + 1, sign + 3), "zm": (sign + 4, sign + 6)}
    columns = _byte_columns(cells, len(first[0]))
    if columns is None or not _alike(columns, first[0], spans, sign):
        return None
    found: Parts = {name: _number(columns, spans[name]) for name in ("H", "M", "S") if name in spans}
    if "d" in spans:
        found |= _days_by_runs(columns, spans)
    if sign is not None:
        minutes = _number(columns, spans["zh"]) * 60 + _number(columns, spans["zm"])
        found["z"] = np.where(columns[sign] == _MINUS, -minutes, minutes) * 60
    elif zone is not None:
        found["z"] = np.zeros(len(cells), dtype=np.int64)
    return found


def _alike(columns: npt.NDArray[np.uint8], first: str, spans: dict[str, tuple[int, int]], sign: int | None) -> bool:
    """Whether all cells have digits where the first one has its numbers, and its very characters elsewhere."""
    digits = {place for start, end in spans.values() for place in range(start, end)}
    for place, column in enumerate(columns):
        if place in digits:
            good = (column - _ZERO) <= _NINE
        elif place == sign:
            good = (column == _PLUS) | (column == _MINUS)
        else:
            good = column == ord(first[place])
        if not good.all():
            return False
    return True


def _byte_columns(cells: pl.Series, width: int) -> npt.NDArray[np.uint8] | None:
    """The bytes of cells of one width, uint8 [width, cells]; None if their widths differ."""
    import pyarrow as pa

    text = cells.to_arrow()
    if not pa.types.is_large_string(text.type):
        text = text.cast(pa.large_string())
    if isinstance(text, pa.ChunkedArray):
        text = text.combine_chunks()
    _, starts, data = text.buffers()
    offsets = np.frombuffer(starts, dtype=np.int64)[text.offset : text.offset + len(text) + 1]
    if offsets[-1] - offsets[0] != width * len(text) or (np.diff(offsets) != width).any():
        return None
    table = np.frombuffer(data, dtype=np.uint8)[offsets[0] : offsets[-1]].reshape(len(text), width)
    return np.ascontiguousarray(table.T)


def _number(columns: npt.NDArray[np.uint8], span: tuple[int, int]) -> Int64s:
    total = np.zeros(columns.shape[1], dtype=np.int32)
    for place in range(*span):
        total = total * 10 + (columns[place] - _ZERO)
    return total.astype(np.int64)


def _days_by_runs(columns: npt.NDArray[np.uint8], spans: dict[str, tuple[int, int]]) -> Parts:
    """Days of the dates: bars of one day follow each other, so each run of a date is looked at once."""
    moved = np.zeros(columns.shape[1], dtype=np.bool_)
    moved[:1] = True
    for name in ("Y", "y", "m", "d"):
        for place in range(*spans.get(name, (0, 0))):
            moved[1:] |= columns[place][1:] != columns[place][:-1]
    starts = np.flatnonzero(moved)
    picked = columns[:, starts]
    year = _number(picked, spans["Y"]) if "Y" in spans else _century(_number(picked, spans["y"]))
    days, good = civil_days(year, _number(picked, spans["m"]), _number(picked, spans["d"]))
    lengths = np.diff(np.append(starts, columns.shape[1]))
    if good.all():
        return {"days": np.repeat(days, lengths), "good": np.ones(columns.shape[1], dtype=np.bool_)}
    return {"days": np.repeat(days, lengths), "good": np.repeat(good, lengths), "early": np.repeat(year < FIRST_YEAR, lengths)}


def _century(year: Int64s) -> Int64s:
    """Years of two digits as strptime takes them: 69 to 99 are 1969 to 1999."""
    return np.where(year >= 69, year + 1900, year + 2000)


def parts_by_expression(cells: pl.Series, form: str) -> Parts | Odd:
    """The parts of cells by the expression of the form, or the position of the first that does not match it as the others do."""
    pattern = f"^(?:{expression(form)})$"
    if (at := first_true(~cells.str.contains(pattern).to_numpy())) is not None:
        return Odd(at)
    groups = cells.str.extract_groups(pattern).struct.unnest()
    found: Parts = {}
    for name in groups.columns:
        part = groups[name]
        if part.null_count() == len(part):
            continue
        if part.null_count():
            if name in {"S", "f"}:
                part = part.fill_null("0")
            else:
                # Some cells have a time of day or an offset, others none.
                there = part.is_not_null().to_numpy()
                return Odd(int(np.argmax(there != there[0])), "zone_mixed" if name == "z" else "date_mixed")
        found[name] = _part(name, part)
    if "p" in found:
        hour = found.pop("I").astype(np.int64)
        if (at := first_true((hour < 1) | (hour > 12))) is not None:
            return Odd(at)
        found["H"] = hour % 12 + found.pop("p").astype(np.int64) * 12
    if "d" in found:
        year = found.pop("Y").astype(np.int64) if "Y" in found else _century(found.pop("y").astype(np.int64))
        month = (found.pop("m") if "m" in found else found.pop("b")).astype(np.int64)
        days, good = civil_days(year, month, found.pop("d").astype(np.int64))
        found |= {"days": days, "good": good, "early": year < FIRST_YEAR}
    return found


def _part(name: str, text: pl.Series) -> npt.NDArray[np.generic]:
    if name == "b":
        names = text.str.to_lowercase().str.slice(0, 3)
        months: Int64s = names.replace_strict(list(MONTHS), list(range(1, 13)), return_dtype=pl.Int64).to_numpy()
        return months
    if name == "p":
        afternoon: Int64s = (text.str.to_lowercase() == "pm").cast(pl.Int64).to_numpy()
        return afternoon
    if name == "f":
        digits: Int64s = text.str.strip_chars_end("0").str.len_bytes().cast(pl.Int64).to_numpy()
        return digits
    if name == "z":
        digits = text.str.replace_all(r"[^0-9]", "").str.pad_end(4, "0").cast(pl.Int64).to_numpy()  # Z and UTC: 0000
        seconds = digits // 100 * 3_600 + digits % 100 * 60
        return np.where(text.str.starts_with("-").to_numpy(), -seconds, seconds)
    numbers: Int64s = text.cast(pl.Int64).to_numpy()
    return numbers


def first_true(mask: Bools) -> int | None:
    """Position of the first True of a mask, or None."""
    return int(np.argmax(mask)) if mask.any() else None
