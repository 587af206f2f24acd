"""Pages of runs and simulations: filters, sort keys and keyset cursors as SQL. Nothing a caller gives becomes part of a statement.

Every sort key has an index (migrations). Rows without a value come last whichever way the sort goes; ties go by id in the same direction,
so that one index serves both directions and a page begins where the last one ended, however many rows came meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, LiteralString

from psycopg.sql import SQL, Composed, Identifier

from chronos_assets.errors import UsageError
from chronos_assets.storage.postgres import Postgres, Row, lock_number
from chronos_assets.storage.queries import query

MOST_ROWS = 500


@dataclass(frozen=True)
class Listing:
    """One list: its table and id, what it can be sorted by (`numbers` may be missing in a row), and the conditions it knows."""

    table: LiteralString
    id: LiteralString
    columns: LiteralString
    numbers: Mapping[str, LiteralString]
    conditions: Mapping[str, LiteralString]

    @property
    def sorts(self) -> tuple[str, ...]:
        """Names of the sort keys."""
        return ("created_at", *self.numbers)


@dataclass(frozen=True)
class After:
    """Where a page begins: behind the row with this sort value (None: among the rows without one) and id."""

    value: Any
    id: str


@dataclass(frozen=True)
class RowPage:
    """Rows of a page, how many rows the filters choose in all, and where the next page begins (None: there is none)."""

    rows: list[Row]
    total: int
    next: After | None


_SHARED: dict[str, LiteralString] = {
    "dataset": "t.dataset_id = %(dataset)s",
    "status": "t.status = ANY(%(status)s)",
    "created_from": "t.created_at >= %(created_from)s",
    "created_to": "t.created_at < %(created_to)s",
    # Of each profile: the completed run on the registered content that was requested last.
    "current": "%(current)s::boolean = (t.run_id IN (SELECT DISTINCT ON (q.dataset_id, q.profile) q.run_id FROM walkforward_run_profiles q"
    " JOIN walkforward_runs r USING (run_id) JOIN indicator_datasets d ON d.dataset_id = q.dataset_id"
    " WHERE r.status = 'completed' AND r.content_hash = d.content_hash"
    " ORDER BY q.dataset_id, q.profile, q.requested_at DESC, q.run_id))",
    "profile": "EXISTS (SELECT 1 FROM walkforward_run_profiles q WHERE q.run_id = t.run_id AND q.profile = %(profile)s)",
}
RUNS = Listing(
    table="walkforward_runs",
    id="run_id",
    columns="t.run_id, t.dataset_id, t.target_column, t.feature_columns, t.hyperparameters, t.walk_config, t.status, t.requested_by,"
    " t.started_at, t.completed_at, t.duration_ms, t.summary_metrics - 'feature_importance' AS summary_metrics, t.created_at,"
    " t.dataset_checksum, t.questdb_tag, t.content_hash, t.code_version, t.device, t.pinned_at",
    numbers={
        "duration_ms": "(t.duration_ms::double precision)",
        "both.profit_factor": "((t.summary_metrics #>> '{both,profit_factor}')::double precision)",
        "both.signal_sum": "((t.summary_metrics #>> '{both,signal_sum}')::double precision)",
    },
    conditions={
        **_SHARED,
        "target": "t.target_column = %(target)s",
        "feature": "t.feature_columns ? %(feature)s",
        "min_pf": "(t.summary_metrics #>> '{both,profit_factor}')::double precision >= %(min_pf)s",
        "q": "(t.run_id::text LIKE %(q_prefix)s OR strpos(lower(t.dataset_id), lower(%(q)s)) > 0"
        " OR strpos(lower(t.target_column), lower(%(q)s)) > 0)",
    },
)
# The importance of every feature makes a row several times as long; only some readers want it.
RUNS_WITH_IMPORTANCE = replace(RUNS, columns="t.*")
SIMULATIONS = Listing(
    table="simulation_runs",
    id="simulation_id",
    columns="t.*",
    numbers={
        "total_return_pct": "((t.summary_metrics ->> 'total_return_pct')::double precision)",
        "sharpe": "((t.summary_metrics ->> 'sharpe')::double precision)",
        "max_drawdown_pct": "((t.summary_metrics ->> 'max_drawdown_pct')::double precision)",
        "trade_count": "((t.summary_metrics ->> 'trade_count')::double precision)",
    },
    conditions={
        **_SHARED,
        "run": "t.run_id = %(run)s::uuid",
        "mode": "t.mode = %(mode)s",
        "min_pf": "(t.summary_metrics ->> 'profit_factor_trade')::double precision >= %(min_pf)s",
        "q": "(t.simulation_id::text LIKE %(q_prefix)s OR strpos(lower(t.dataset_id), lower(%(q)s)) > 0)",
    },
)


def list_page(
    postgres: Postgres,
    listing: Listing,
    filters: Mapping[str, Any],
    *,
    sort: str,
    limit: int,
    after: After | None,
    dead: Sequence[str] = (),
) -> RowPage:
    """One page in the order of `sort` (`-` before a key: descending). Filters that are None do not count.

    `dead`: ids of rows that say `running` and are shown as `failed`; the filter `status` takes them for failed ones.
    Raises `UsageError` for a sort key that the list does not have.
    """
    key, descending = sort.removeprefix("-"), sort.startswith("-")
    if key not in listing.sorts:
        known = ", ".join(listing.sorts)
        raise UsageError(f"the list has no sort key {key!r}", code="sort_unknown", expected=f"one of {known}, each with or without a -")
    binds = {name: value for name, value in filters.items() if value is not None}
    chosen = [listing.conditions[name] for name in binds]
    if dead and "status" in binds:
        chosen.append(_status_shown(listing))
        chosen.remove(listing.conditions["status"])
        binds["dead"] = list(dead)
    if "q" in binds:
        binds["q_prefix"] = f"{_like(binds['q'].lower())}%"
    first, *others = (
        (_statement("listing_page", listing, [*chosen, *part.conditions], key=part.key, order=part.order), {**binds, **part.binds})
        for part in _parts(listing, key, descending=descending, after=after)
    )
    with postgres.opened() as one:
        (total,), rows = one.ask((_statement("listing_total", listing, chosen), binds), (first[0], {**first[1], "limit": limit + 1}))
        for statement, values in others:
            if len(rows) <= limit:
                rows += one.ask((statement, {**values, "limit": limit + 1 - len(rows)}))[0]
    last = rows[limit - 1] if len(rows) > limit else None
    return RowPage(rows[:limit], total["total"], None if last is None else After(last["sort_value"], str(last[listing.id])))


def running_ids(postgres: Postgres, listing: Listing) -> list[str]:
    """Ids of the rows that say `running`."""
    statement = SQL(query("listing_running")).format(table=Identifier(listing.table), id=Identifier(listing.id))
    with postgres.connection() as connection:
        return [str(row["id"]) for row in connection.execute(statement).fetchall()]


def fold_sums(postgres: Postgres, run_ids: Sequence[str]) -> dict[str, list[float]]:
    """The signal sum of each stored fold of each of these runs, in the order of folds."""
    with postgres.connection() as connection:
        rows = connection.execute(query("fold_sums"), {"run_ids": list(run_ids)}).fetchall()
    return {row["run_id"]: row["sums"] for row in rows}


def held_locks(postgres: Postgres, keys: Sequence[str]) -> set[str]:
    """Those of the advisory locks named `keys` that a process holds."""
    if not keys:
        return set()
    numbers = {lock_number(key): key for key in keys}
    with postgres.connection() as connection:
        rows = connection.execute(query("locks_held"), {"keys": list(numbers)}).fetchall()
    return {numbers[row["key"]] for row in rows}


@dataclass(frozen=True)
class _Part:
    """One scan of a page: first the rows that have a value, then those that have none."""

    key: LiteralString
    conditions: list[LiteralString]
    order: LiteralString
    binds: dict[str, Any]


def _parts(listing: Listing, key: str, *, descending: bool, after: After | None) -> list[_Part]:
    by: LiteralString = "DESC" if descending else "ASC"
    beyond: LiteralString = "<" if descending else ">"
    name = listing.id
    value: LiteralString = "t.created_at" if key == "created_at" else listing.numbers[key]
    binds = {} if after is None else {"after_value": after.value, "after_id": after.id}
    kind: LiteralString = "timestamptz" if key == "created_at" else "double precision"
    with_value: list[LiteralString] = [] if key == "created_at" else [f"{value} IS NOT NULL"]
    if after is not None and after.value is not None:
        with_value.append(f"({value}, t.{name}) {beyond} (%(after_value)s::{kind}, %(after_id)s::uuid)")
    parts = [_Part(value, with_value, f"{value} {by}, t.{name} {by}", binds)]
    if key == "created_at":
        return parts
    without: list[LiteralString] = [f"{value} IS NULL"]
    if after is not None and after.value is None:
        without.append(f"t.{name} {beyond} %(after_id)s::uuid")
        parts = []
    return [*parts, _Part("NULL::double precision", without, f"t.{name} {by}", binds)]


def _status_shown(listing: Listing) -> LiteralString:
    """The filter `status` on what readers are shown: rows of `dead` are failed, whatever they say."""
    dead: LiteralString = f"t.{listing.id} = ANY(%(dead)s::uuid[])"
    return f"((t.status = ANY(%(status)s) AND NOT {dead}) OR ('failed' = ANY(%(status)s) AND {dead}))"


def _statement(
    name: str, listing: Listing, conditions: Sequence[LiteralString], *, key: LiteralString = "NULL", order: LiteralString = "NULL"
) -> Composed:
    return SQL(query(name)).format(
        table=Identifier(listing.table),
        conditions=SQL(" AND ").join([SQL("true"), *map(SQL, conditions)]),
        columns=SQL(listing.columns),
        key=SQL(key),
        order=SQL(order),
    )


def _like(text: str) -> str:
    """`text` as the beginning of a LIKE pattern."""
    return text.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
