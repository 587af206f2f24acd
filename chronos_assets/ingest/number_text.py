"""Cells of text into numbers, as `format` declares that they are written: marks (decimal, thousands, currency), suffixes, missing values.

Numbers are correctly rounded to the last bit: marks and suffixes are rewritten in the text (`1.234K` is `1.234e3`), never computed with.
A number that breaks its own declaration (`1,23` with thousands commas, a point if the decimal mark is a comma) is no number.
"""

from __future__ import annotations

import re

import polars as pl

from chronos_assets.domain.bars_spec import SUFFIXES, FormatSpec

BLANKS = " \t"
"""Characters that may surround a cell."""
_UNREADABLE = "?"
_SPACES = r"[\x{00a0}\x{202f}\x{2009}]"


class NumberText:
    """Reads columns of numbers. `is_plain`: numbers are written as Python and Polars read them."""

    def __init__(self, form: FormatSpec) -> None:
        self._form = form
        self._missing = [value.strip() for value in form.null_values]
        self._missing_numbers = [float(value) for value in self._missing if _is_number(value)]
        bare = form.thousands is None and not (form.prefixes or form.suffixes or form.null_values)
        self.has_comma_alone = form.decimal == "," and bare
        """The decimal comma is all that is special: what the CSV reader reads by itself in a text without points."""
        self.is_plain = form.decimal == "." and bare

    def read(self, cells: pl.Series) -> pl.Series:
        """Numbers (Float64) of a String column, null for cells that are empty, missing, or no number."""
        text = self._present(cells)
        if not self.is_plain:
            text = self._rewritten(text)
        return self.without_missing(text.cast(pl.Float64, strict=False))

    def unreadable(self, cells: pl.Series, numbers: pl.Series) -> pl.Series:
        """Which cells are neither empty nor missing, and no number."""
        if numbers.null_count() == cells.null_count():
            return pl.Series([False]).new_from_index(0, len(cells))
        present = self._present(cells)
        bad = present.is_not_null() & (present != "") & numbers.is_null()
        if self._missing_numbers:
            # A cell that is such a number in other digits (-999.0) became null on purpose.
            values = self._rewritten(present).cast(pl.Float64, strict=False)
            bad &= ~values.is_in(self._missing_numbers).fill_null(value=False)
        return bad

    def without_missing(self, numbers: pl.Series) -> pl.Series:
        """The numbers, null if they are among the declared missing ones."""
        if not self._missing_numbers:
            return numbers
        missing = numbers.is_in(self._missing_numbers)
        return pl.select(pl.when(~missing).then(numbers)).to_series().alias(numbers.name)

    def _present(self, cells: pl.Series) -> pl.Series:
        text = cells.str.strip_chars(BLANKS)
        if not self._missing:
            return text
        return pl.select(pl.when(~text.is_in(self._missing)).then(text)).to_series().alias(cells.name)

    def _rewritten(self, text: pl.Series) -> pl.Series:
        decimal, thousands = self._form.decimal, self._form.thousands
        for prefix in self._form.prefixes:
            text = text.str.replace(rf"^([+-]?){re.escape(prefix)}\s?([+-]?[0-9.,])", "${1}${2}")
        for suffix in self._form.suffixes:
            text = text.str.replace(rf"(?i)^(.*[0-9.,])\s?{re.escape(suffix)}$", f"${{1}}e{SUFFIXES[suffix]}")
        if thousands == " ":
            text = text.str.replace_all(_SPACES, " ")
        if thousands is not None:
            mark, point = re.escape(thousands), re.escape(decimal)
            grouped = text.str.contains(rf"^[+-]?[0-9]{{1,3}}(?:{mark}[0-9]{{3}})+(?:{point}[0-9]*)?(?:[eE][+-]?[0-9]+)?$")
            text = _unless(text.str.contains(thousands, literal=True) & ~grouped, text)
            text = text.str.replace_all(thousands, "", literal=True)
        if decimal == ",":
            text = _unless(text.str.contains(".", literal=True), text)
            text = text.str.replace(",", ".", literal=True)
        return text


def _unless(bad: pl.Series, text: pl.Series) -> pl.Series:
    """The text, unreadable if it is bad."""
    return pl.select(pl.when(bad).then(pl.lit(_UNREADABLE)).otherwise(text)).to_series().alias(text.name)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
