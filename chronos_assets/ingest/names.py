"""Names of columns: cleaned, told apart in any case, given a role, and mapped to names that QuestDB can carry.

The mapping to QuestDB names is a function of the name alone, so a column keeps its QuestDB name through every revision. A name that is
already `[A-Za-z_][A-Za-z0-9_]{0,62}` and is no fixed column of `indicator_bars` stays as it is. Any other becomes its legal
characters (others turned to `_`, `c_` before a digit, cut to 53) and `_` with eight hex digits of its SHA-256. Two names that would meet
are refused, so the map in the registry reads backwards too.
"""

from __future__ import annotations

import fnmatch
import functools
import hashlib
import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from chronos_assets.domain.bars_spec import ColumnsSpec
from chronos_assets.domain.strict import nearest
from chronos_assets.errors import BarsError, ManifestError

Role = Literal["feature", "target", "price", "key", "excluded"]

KEYS = ("date", "time", "market", "timestamp_unix")
ARROW_KEYS = ("date_i", "time_i", "timestamp_unix")
FIXED_COLUMNS = frozenset({"source", "timestamp", "dataset", "granularity", "date_i", "time_i", "timestamp_unix"})
TARGET_PATTERNS = ("TGT*", "target*")
PRICE_NAMES = ("Open", "High", "Low", "Close", "Volume")
MAX_NAME_BYTES = 1_000

_DATE_AND_TIME = frozenset({"datetime", "dateandtime", "timestamp", "opentime", "closetime", "time", "ts", "datum", "datetimeutc", "unix"})
_DATES = frozenset({"date", "datum", "fecha", "dtyyyymmdd", "dateyyyymmdd"})
_LEGAL = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}", re.ASCII)


@dataclass(frozen=True)
class Column:
    """One column of the file: where it stands, what it is called there and here, and what it is for."""

    position: int
    source_name: str
    name: str
    role: Role
    questdb_column: str

    @property
    def key(self) -> str | None:
        """`date`, `time`, `market` or `timestamp_unix` for a key."""
        return fold(self.name) if self.role == "key" else None

    @property
    def label(self) -> str:
        """Its name in raw frames: that in the dataset for data; for others one that no name can be (it holds a control character)."""
        return self.name if self.is_data else f"\x01{self.position}"

    @property
    def is_data(self) -> bool:
        """Whether the column becomes a float64 column of the dataset."""
        return self.role in {"feature", "target", "price"}


@functools.lru_cache(maxsize=8192)
def fold(name: str) -> str:
    """The form in which two names are the same name: NFC, without regard to case."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def clean(name: str) -> str:
    """A name as the dataset carries it: NFC, without blanks around it, runs of blanks inside as one."""
    return " ".join(unicodedata.normalize("NFC", name).split())


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether `name` matches one of the globs, in any case."""
    found = _any_of(tuple(patterns))
    return found is not None and found.match(fold(name)) is not None


@functools.lru_cache(maxsize=256)
def _any_of(patterns: tuple[str, ...]) -> re.Pattern[str] | None:
    """The globs as one expression: a file of many columns is held against the same few."""
    return re.compile("|".join(f"(?:{fnmatch.translate(fold(pattern))})" for pattern in patterns)) if patterns else None


def questdb_name(name: str) -> str:
    """The QuestDB column of `name`; see the head of this module."""
    if _LEGAL.fullmatch(name) and name.casefold() not in FIXED_COLUMNS:
        return name
    legal = re.sub(r"[^A-Za-z0-9_]", "_", name, flags=re.ASCII)
    if legal[:1].isdigit():
        legal = f"c_{legal}"
    return f"{legal[:53]}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def renamed(header: Sequence[str], rename: Mapping[str, str | None]) -> list[str]:
    """The names of `header` with those of `rename` (theirs -> ours, in any case) replaced; columns that are left out keep theirs."""
    ours = {fold(clean(theirs)): name for theirs, name in rename.items() if name is not None}
    return [ours.get(fold(clean(text)), text) for text in header] if ours else list(header)


def _left_out(header: Sequence[str], rename: Mapping[str, str | None]) -> set[int]:
    """Positions of the columns that `rename` leaves out."""
    gone = {fold(clean(theirs)) for theirs, name in rename.items() if name is None}
    return {position for position, text in enumerate(header) if fold(clean(text)) in gone}


def resolve_columns(
    header: Sequence[str],
    spec: ColumnsSpec,
    *,
    max_columns: int,
    rename: Mapping[str, str | None] | None = None,
    optional: Collection[str] = (),
    **where: Any,
) -> list[Column]:
    """Columns of a file with `header`, some of them under other names than theirs (`rename`: theirs -> ours, None leaves a column out).

    The file may lack columns of `rename` that are `optional`. Raises `BarsError` for names that cannot be told apart, `ManifestError` for
    patterns and renamings that fit no column.
    """
    rename = rename or {}
    _refuse_idle_renamings(header, [theirs for theirs in rename if theirs not in optional], where)
    gone = _left_out(header, rename)
    if len(header) > max_columns:
        raise BarsError(
            "the file has too many columns",
            code="too_many_columns",
            expected=f"at most {max_columns}",
            found=len(header),
            hint="Split the indicators over several datasets.",
            **where,
        )
    shown = [f"column {i + 1}" if i in gone and not text.strip() else text for i, text in enumerate(renamed(header, rename))]
    names = [_checked_name(text, position, len(header), where) for position, text in enumerate(shown)]
    kept = [position for position in range(len(names)) if position not in gone]
    _refuse_collisions([header[position] for position in kept], [names[position] for position in kept], where)
    if "date" not in {fold(names[position]) for position in kept}:
        raise missing_date([names[position] for position in kept], **where)
    columns = [
        Column(position, text, name, "excluded", questdb_name(name)) if position in gone else _column(position, text, name, spec)
        for position, (text, name) in enumerate(zip(header, names, strict=True))
    ]
    _refuse_idle_patterns(columns, spec, where)
    _refuse_questdb_collisions(columns, where)
    if not any(column.is_data for column in columns):
        raise BarsError(
            "the file has no column besides its keys",
            code="no_columns",
            found=", ".join(names[:10]),
            hint="Export at least one indicator.",
            **where,
        )
    return columns


def is_date_and_time(name: str) -> bool:
    """Whether a column is called by both: `Date Time`, `Datetime`, `timestamp`, `open_time`, or `Time` (in a file without Date)."""
    return re.sub(r"[^a-z]", "", fold(name)) in _DATE_AND_TIME


def missing_date(names: Sequence[str], **where: Any) -> BarsError:
    """The refusal of a header without a Date column."""
    close = next((name for name in names if re.sub(r"[^a-z]", "", fold(name)) in _DATES), None)
    joined = None if close else next((name for name in names if is_date_and_time(name)), None)
    close = close or nearest("date", names)
    shown = ", ".join(name[:40] for name in names[:8]) + (", ..." if len(names) > 8 else "")
    return BarsError(
        "the header has no Date column",
        code="date_column_missing",
        found=shown or "an empty line",
        hint=f"{joined[:40]!r} holds date and time in one: write two columns, Date (YYYYMMDD) and Time (HHMM or HHMMSS)."
        if joined
        else f"Rename {close[:40]!r} to Date and write it as YYYYMMDD."
        if close
        else "The first line must name the columns, one of them Date (YYYYMMDD).",
        **where,
    )


def _column(position: int, text: str, name: str, spec: ColumnsSpec) -> Column:
    role: Role = "feature"
    if not name or matches(name, spec.exclude):
        role = "excluded"
    elif fold(name) in KEYS:
        role = "key"
    elif matches(name, (*TARGET_PATTERNS, *spec.targets)):
        role = "target"
    elif matches(name, PRICE_NAMES if spec.prices is None else spec.prices):
        role = "price"
    # The Arrow file has key columns of its own; an indicator of exactly that name steps aside.
    stored = f"{name}_" if role != "key" and name in ARROW_KEYS else name
    return Column(position, text, stored, role, questdb_name(name) if role != "key" else fold(name))


def _checked_name(text: str, position: int, count: int, where: dict[str, Any]) -> str:
    name = clean(text)
    if not name and position != count - 1:
        raise BarsError(
            f"column {position + 1} has no name",
            code="column_unnamed",
            hint="Give every column a name in the header, or write the table without its index.",
            **where,
        )
    if len(name.encode(errors="replace")) > MAX_NAME_BYTES:
        raise BarsError(
            f"the name of column {position + 1} is {len(name)} characters long",
            code="column_name_too_long",
            expected=f"at most {MAX_NAME_BYTES} bytes",
            found=f"{name[:60]}...",
            hint="Shorten the name.",
            **where,
        )
    if not (name.isascii() and name.isprintable()) and any(unicodedata.category(character) in {"Cc", "Cs", "Cf"} for character in name):
        # Cf: zero-width and direction marks; two names that differ by one look the same.
        raise BarsError(
            f"the name of column {position + 1} holds a control character or an invisible one",
            code="column_name_invalid",
            found=ascii(name[:60]),
            hint="Type the name again.",
            **where,
        )
    return name


def _refuse_collisions(header: Sequence[str], names: Sequence[str], where: dict[str, Any]) -> None:
    seen: dict[str, int] = {}
    for position, name in enumerate(names):
        other = seen.setdefault(fold(name), position)
        if other != position:
            raise BarsError(
                f"columns {other + 1} and {position + 1} have the same name: {header[other].strip()!r} and {header[position].strip()!r}",
                code="column_collision",
                hint="Names are compared without regard to case, blanks around them and Unicode form; rename one of the two.",
                column=name,
                **where,
            )


def _refuse_questdb_collisions(columns: Sequence[Column], where: dict[str, Any]) -> None:
    """No two columns may meet under their names in the dataset (one may have stepped aside) or in QuestDB."""
    seen: dict[str, Column] = {}
    for column in columns:
        if not column.is_data:
            continue
        for name in (fold(column.name), column.questdb_column.casefold()):
            other = seen.setdefault(name, column)
            if other is not column:
                raise BarsError(
                    f"columns {other.source_name!r} and {column.source_name!r} would be the same column {name!r}",
                    code="column_collision",
                    hint="Rename one of the two.",
                    column=column.name,
                    **where,
                )


def _refuse_idle_renamings(header: Sequence[str], rename: Sequence[str], where: dict[str, Any]) -> None:
    known = {fold(clean(text)) for text in header}
    for theirs in rename:
        if fold(clean(theirs)) not in known:
            close = nearest(theirs, list(header))
            raise ManifestError(
                f"format.rename: the file has no column {theirs!r}",
                code="pattern_idle",
                hint=f"Did you mean {close!r}?" if close else "`chronos inspect FILE` lists the columns.",
                **where,
            )


def _refuse_idle_patterns(columns: Sequence[Column], spec: ColumnsSpec, where: dict[str, Any]) -> None:
    names = [column.name for column in columns]
    for what, patterns in (("targets", spec.targets), ("prices", spec.prices or []), ("exclude", spec.exclude)):
        for pattern in patterns:
            if not any(matches(name, [pattern]) for name in names):
                close = nearest(pattern.strip("*?"), names)
                raise ManifestError(
                    f"columns.{what}: {pattern!r} matches no column of the file",
                    code="pattern_idle",
                    hint=f"Did you mean {close!r}?" if close else "`chronos inspect FILE` lists the columns.",
                    **where,
                )
    if matches("date", spec.exclude):
        raise ManifestError("columns.exclude takes out the Date column", code="pattern_takes_key", **where)
    taken = [column.name for column in columns if column.role == "key" and matches(column.name, spec.targets)]
    if taken:
        raise ManifestError(f"columns.targets takes the key column {taken[0]!r}", code="pattern_takes_key", **where)
