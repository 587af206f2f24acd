"""Which column of `indicator_bars` each column of a dataset is kept in, so that the table does not grow wider with every dataset.

QuestDB keeps one file per column and year, open and mapped: at some 5,500 columns it suspends the table, and every dataset stops. So names
get columns of their own up to a budget. Beyond it a column goes into a slot (`v0001`, `v0002`, ...) that all datasets share, and the
table becomes no wider than the budget and the slots of the widest dataset. The registry's `columns` says which is where.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping


def slot_name(number: int) -> str:
    """The shared column of this number, from 1 on: `v0001`."""
    return f"v{number:04d}"


def choose_columns(own: Mapping[str, str], kept: Mapping[str, str], table: Collection[str], budget: int) -> dict[str, str]:
    """The QuestDB column of each column of a dataset; no two meet in one.

    `own` is, for each name in the dataset, the QuestDB name of a column of its own; `kept` the columns that the registry or an earlier
    attempt gave to some of the names: they stay. `table` holds the indicator columns that exist, in any case of letters. A name
    whose own column exists takes it. If the table has room for all other names within `budget`, each gets a new column of its own; if
    not, each gets a slot.
    """
    there = {column.casefold() for column in table}
    chosen: dict[str, str] = {}
    used: set[str] = set()

    def take(name: str, column: str) -> None:
        chosen[name] = column
        used.add(column.casefold())

    for name in own:
        if name in kept:
            take(name, kept[name])
    for name in own:
        if name not in chosen and own[name].casefold() in there - used:
            take(name, own[name])
    new = [name for name in own if name not in chosen]
    if len(there) + len(new) <= budget:
        for name in new:
            if own[name].casefold() not in used:
                take(name, own[name])
    slots = (slot for slot in map(slot_name, itertools.count(1)) if slot not in used)
    for name in new:
        if name not in chosen:
            take(name, next(slots))
    return {name: chosen[name] for name in own}
