"""What the readers of a text are told about its cells: columns, how numbers and key cells are written, limits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import polars as pl

from chronos_assets.domain.bars_spec import BarsSpec
from chronos_assets.errors import BarsError
from chronos_assets.ingest.declared_moments import DeclaredMoments, Moments
from chronos_assets.ingest.names import Column
from chronos_assets.ingest.number_text import NumberText

ReadFrame = tuple[pl.DataFrame, Moments | None]
"""A raw frame, and its Date and Time in a declared form."""


class Rules(NamedTuple):
    """`declared`: how key cells are written, None if they are YYYYMMDD with HHMM or HHMMSS; `name`: that of the file."""

    columns: Sequence[Column]
    numbers: NumberText
    declared: DeclaredMoments | None
    spec: BarsSpec
    name: str

    @classmethod
    def of(cls, columns: Sequence[Column], spec: BarsSpec, name: str) -> Rules:
        """The rules that a spec gives for these columns."""
        declared = DeclaredMoments(columns, spec.format, name)
        return cls(columns, NumberText(spec.format), declared if declared.is_declared else None, spec, name)

    def schema(self, *, with_comma: bool = False) -> pl.Schema:
        """Types of the raw columns as the CSV reader is to give them; numbers in a form of their own come as text.

        `with_comma`: the CSV reader reads decimal commas.
        """
        number = pl.Float64() if self.numbers.is_plain or with_comma else pl.String()
        return pl.Schema({c.label: number if c.is_data else pl.String() for c in self.columns})

    def finished(self, frame: pl.DataFrame, *, with_comma: bool = False) -> ReadFrame | None:
        """A frame of the CSV reader with all numbers and declared key cells read; None if the strict reader has to say what is wrong."""
        if not (self.numbers.is_plain or with_comma):
            read = [self.numbers.read(frame[c.label]) for c in self.columns if c.is_data]
            if any(self.numbers.unreadable(frame[column.name], column).any() for column in read):
                return None
            frame = frame.with_columns(read)
        if self.declared is None or not self.declared.is_text:
            return frame, None
        try:
            return frame, self.declared.read(frame, lambda index: index)
        except BarsError:
            return None
