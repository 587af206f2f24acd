"""What to declare for a file that is refused: every declaration that could fit is tried on the whole file, and those that read every row
and differ in what they read are told apart. One that is left is the proposal; several are a question.

Nothing here decides for the user: a proposal is printed, and taken only if it is asked for.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from chronos_assets.domain.bars_spec import PREFIXES, SUFFIXES, BarsSpec, FormatSpec
from chronos_assets.domain.presets import PRESETS
from chronos_assets.errors import ChronosError, RefusedError
from chronos_assets.ingest.moments import iso
from chronos_assets.ingest.names import clean, fold
from chronos_assets.ingest.number_text import NumberText
from chronos_assets.ingest.proposal_candidates import Declaration, candidates
from chronos_assets.ingest.proposal_head import Head, Layout, layouts, read_head
from chronos_assets.ingest.reading import normalize
from chronos_assets.ingest.report import BarsReport
from chronos_assets.ingest.text_strict import MARKETS, MISSING

_SHOWN_BARS = 2
_MOST_TRIES = 400
_MOST_REPAIRS = 8
_MAY_CLEAR = frozenset({"time_ambiguous", "time_invalid", "time_mixed", "time_hours", "time_minutes", "time_bar_number", "time_seconds"})
_TIME_CODES = frozenset({"time_ambiguous", "time_hours", "time_minutes", "time_bar_number"})
_CLOCK_CODES = frozenset({"not_increasing", "duplicate_timestamp", "several_markets", "time_ambiguous"})
_NUMBERS: tuple[Declaration, ...] = (
    *({"thousands": mark} for mark in (",", "'", " ", "_")),
    {"decimal": ","},
    *({"decimal": ",", "thousands": mark} for mark in (".", "'", " ")),
)


@dataclass(frozen=True)
class Bar:
    """One bar as it would come out: its time in UTC, and its columns."""

    time: str
    values: dict[str, float | None]


@dataclass(frozen=True)
class Reading:
    """A declaration that reads every row: the keys, the first and last bars, and what the file cannot say."""

    format: Declaration
    report: BarsReport
    first_bars: list[Bar]
    last_bars: list[Bar]
    cannot_know: list[str]
    bars: _Bars

    def effective(self) -> dict[str, object]:
        """All keys as they hold, those of a preset and the defaults included."""
        return FormatSpec.model_validate(self.format).model_dump()


@dataclass(frozen=True)
class Proposal:
    """All declarations that read the file and differ in what they read. `nearest`: if there is none, one that fails by its clock or
    order alone, and the refusal that says so."""

    readings: list[Reading]
    nearest: tuple[Declaration, RefusedError] | None = None

    @property
    def only(self) -> Reading | None:
        """The reading, if it is the only one."""
        return self.readings[0] if len(self.readings) == 1 else None

    def decides(self) -> str:
        """What would decide between several readings."""
        forms = [reading.effective() for reading in self.readings]
        said = []
        for key in FormatSpec.model_fields:
            values = {json.dumps(form[key]) for form in forms}
            if len(values) > 1 and key != "preset":
                said.append(f"{key} ({' or '.join(sorted(values))[:200]})")
        return ", ".join(said)


@dataclass(frozen=True)
class _Bars:
    """What a reading gives, for comparison: hashes of the times and of each column by its place in the file."""

    times: str
    columns: dict[int, str]

    def agree(self, other: _Bars) -> bool:
        """Whether the two are the same bars."""
        both = self.columns.keys() & other.columns.keys()
        return self.times == other.times and all(self.columns[place] == other.columns[place] for place in both)


def propose(source: Path, spec: BarsSpec) -> Proposal | None:
    """What to declare for the file at `source`, which `spec` does not read; None if nothing that could be declared reads it.

    Keys that `spec` declares stay as they are. Raises nothing of what the tries are refused for.
    """
    head = read_head(source)
    if head is None:
        return None
    found = list(layouts(head))
    with tempfile.TemporaryDirectory(prefix="chronos-proposal-") as folder:
        search = _Search(source, spec, found, head, Path(folder))
        for declared in candidates(found, head.encoding):
            search.follow(declared)
        return search.proposal()


@dataclass
class _Search:
    """Tries declarations on the head of the file, then on all of it; a refusal suggests what else to declare."""

    source: Path
    spec: BarsSpec
    layouts: list[Layout]
    head: Head
    folder: Path
    readings: list[Reading] = field(default_factory=list)
    nearest: tuple[Declaration, RefusedError] | None = None
    seen: set[str] = field(default_factory=set)
    exhausted: bool = False

    def follow(self, declared: Declaration) -> None:
        """Try a declaration, and those that its refusals suggest."""
        waiting = [(declared, 0)]
        while waiting:
            tried, repairs = waiting.pop()
            key = json.dumps(tried, sort_keys=True)
            if key in self.seen:
                continue
            if len(self.seen) >= _MOST_TRIES:
                self.exhausted = True
                return
            self.seen.add(key)
            refusal = self._try(tried)
            if refusal is None:
                waiting += [(tried | more, _MOST_REPAIRS) for more in self._doubtful_marks(tried)]
            elif repairs < _MOST_REPAIRS:
                waiting += [(more, repairs + 1) for more in self._repairs(tried, refusal)]

    def proposal(self) -> Proposal | None:
        """What came out. A search that was cut short proposes nothing: the next try could have been another reading."""
        if self.exhausted or not (self.readings or self.nearest):
            return None
        return Proposal(self.readings, self.nearest if not self.readings else None)

    def _try(self, declared: Declaration) -> RefusedError | None:
        try:
            form = FormatSpec.model_validate(declared | self.spec.format.written())
        except ValueError:
            return RefusedError("a declaration that contradicts itself", code="invalid_value")
        spec = self.spec.model_copy(update={"format": form})
        try:
            if not self.head.whole:
                self._read_sample(spec)
            self._keep(declared, spec)
        except RefusedError as refusal:
            if refusal.code in _CLOCK_CODES and self.nearest is None:
                self.nearest = (declared, refusal)
            return refusal
        except ChronosError:
            return RefusedError("the file cannot be read", code="unreadable")
        return None

    def _read_sample(self, spec: BarsSpec) -> None:
        """Read the head alone: what refuses it refuses the file, but for what more rows may clear."""
        sample = self.folder / self.source.name
        if not sample.exists():
            sample.write_bytes(self.head.sample)
        plain = spec.format.model_copy(update={"encoding": "utf-8"})
        try:
            normalize(sample, spec.model_copy(update={"format": plain}), None)
        except RefusedError as refusal:
            if refusal.code not in _MAY_CLEAR:
                raise

    def _keep(self, declared: Declaration, spec: BarsSpec) -> None:
        arrow = self.folder / "bars.arrow"
        report = normalize(self.source, spec, arrow)
        frame = pl.read_ipc(arrow)
        columns = {column.position: _digest(frame[column.name]) for column in report.columns}
        bars = _Bars(_digest(frame["timestamp_unix"]), columns)
        reading = Reading(
            declared,
            report,
            _shown(frame.head(_SHOWN_BARS), report),
            _shown(frame.tail(_SHOWN_BARS), report),
            _cannot_know(spec.format, report, says_offset=self._says_offset()),
            bars,
        )
        for place, other in enumerate(self.readings):
            if other.bars.agree(bars):
                if _rank(reading) < _rank(other):
                    self.readings[place] = reading
                return
        self.readings.append(reading)

    def _says_offset(self) -> bool:
        """Whether the times of the first rows have an offset."""
        return any(_OFFSET.search(cell) for layout in self.layouts for cell in layout.rows[0])

    def _doubtful_marks(self, declared: Declaration) -> Iterator[Declaration]:
        """A point may group thousands: tried beside each reading that takes it for the decimal mark, and refused if any cell says no."""
        if not {"decimal", "thousands"} & declared.keys() and any("." in cell for layout in self.layouts for cell in layout.rows[0]):
            yield {"decimal": ",", "thousands": "."}

    def _repairs(self, declared: Declaration, refusal: RefusedError) -> Iterator[Declaration]:
        """What else to declare after a refusal."""
        if refusal.code == "not_a_number":
            yield from self._number_repairs(declared, refusal)
        elif refusal.code == "not_increasing" and "order" not in declared and self.spec.format.order == "ascending":
            yield declared | {"order": "descending"}
        elif refusal.code in _TIME_CODES and "time" not in declared:
            yield from (declared | {"time": form} for form in ("hhmm", "hhmmss", "hh", "minutes"))
        elif refusal.code == "column_unnamed" and any(layout.names[:1] == [""] for layout in self.layouts):
            yield _with_renaming(declared, "", None)

    def _number_repairs(self, declared: Declaration, refusal: RefusedError) -> Iterator[Declaration]:
        column, token = str(refusal.where.get("column", "")), _unquoted(str(refusal.found))
        if self._is_text(column):
            market = fold(clean(column)) in MARKETS and "Market" not in declared.get("rename", {}).values()
            yield _with_renaming(declared, column, "Market" if market else None)
            return
        if token.casefold() in MISSING:
            yield declared | {"null_values": [*declared.get("null_values", []), token]}
            return
        prefix = token.lstrip("+-")[:1]
        if prefix in PREFIXES and prefix not in declared.get("prefixes", []):
            yield declared | {"prefixes": [*declared.get("prefixes", []), prefix]}
            return
        if token[-1:].upper() in SUFFIXES and token[-1:].upper() not in declared.get("suffixes", []):
            yield declared | {"suffixes": [*declared.get("suffixes", []), token[-1:].upper()]}
            return
        if not {"decimal", "thousands"} & declared.keys():
            cell = pl.Series([token])
            for marks in _NUMBERS:
                number = NumberText(FormatSpec.model_validate(marks | {key: declared.get(key, []) for key in ("prefixes", "suffixes")}))
                if number.read(cell)[0] is not None:
                    yield declared | marks

    def _is_text(self, column: str) -> bool:
        """Whether no cell of the column has a digit at its head, in a layout that has the column."""
        for layout in self.layouts:
            places = [place for place, name in enumerate(layout.names) if fold(clean(name)) == fold(clean(column))]
            if places and not any(_NUMBER_HEAD.match(cell) for cell in layout.column(places[0]) if cell.casefold() not in MISSING):
                return any(cell and cell.casefold() not in MISSING for cell in layout.column(places[0]))
        return False


_OFFSET = re.compile(r"[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)? ?(?:Z|UTC|[+-][0-9]{2}:?[0-9]{2})$")
_NUMBER_HEAD = re.compile(rf"[+-]?[{''.join(PREFIXES)}]?[ +-]?[.,]?[0-9]")


def _unquoted(shown: str) -> str:
    return shown[1:-1] if len(shown) > 1 and shown[0] in "'\"" else shown


def _with_renaming(declared: Declaration, theirs: str, ours: str | None) -> Declaration:
    return declared | {"rename": {**declared.get("rename", {}), theirs: ours}}


def _digest(column: pl.Series) -> str:
    values = column.fill_null(float("nan")) if column.dtype == pl.Float64 else column
    return hashlib.sha256(values.to_numpy().tobytes()).hexdigest()


def _rank(reading: Reading) -> tuple[bool, int]:
    """A preset goes before keys of one's own, few keys before many."""
    return ("preset" not in reading.format, sum(len(value) if isinstance(value, dict) else 1 for value in reading.format.values()))


def _shown(frame: pl.DataFrame, report: BarsReport) -> list[Bar]:
    names = [*report.by_role("price"), *report.by_role("feature"), *report.by_role("target")][:6]
    return [Bar(iso(int(row["timestamp_unix"])), {name: row[name] for name in names}) for row in frame.iter_rows(named=True)]


def _cannot_know(form: FormatSpec, report: BarsReport, *, says_offset: bool) -> list[str]:
    """What the file does not say of its bars."""
    if report.time_format == "none":
        return []
    if form.preset is not None:
        said = list(PRESETS[form.preset].cannot_know)
        return said if form.timezone == "UTC" else [text for text in said if "timezone" not in text]
    unknown = []
    if form.timezone == "UTC" and not (form.date_form.startswith("unix") or says_offset):
        unknown.append("the time zone of the clock: declare `timezone` (an IANA name) unless it is UTC")
    if form.bar_time is None:
        unknown.append("whether a bar is labelled by its open or its close: declare `bar_time`")
    return unknown
