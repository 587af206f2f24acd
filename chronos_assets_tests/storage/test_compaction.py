"""Compaction: a table made again with the rows that are alive, whole at every moment for whoever reads it."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from chronos_assets.errors import ConflictError, StoreError
from chronos_assets.storage.compaction import compact, finish_swap, rows_by_key, table_space
from chronos_assets.storage.questdb import QuestDB
from chronos_assets.storage.questdb_tables import COPY, OLD, READY, WALKFORWARD_PREDICTIONS, TableSpec
from chronos_assets.storage.stores import Stores
from chronos_assets.storage.table_locks import alone_with, writing

RUNS, BARS = 6, 300
ALIVE = ["run-1", "run-4"]


@pytest.fixture
def table(stores: Stores) -> Iterator[TableSpec]:
    """A table of predictions of its own: what other tests wrote is not alive for this one."""
    spec = replace(WALKFORWARD_PREDICTIONS, name=f"predictions_{secrets.token_hex(4)}")
    stores.questdb.ensure_table(spec)
    stores.questdb.ensure_columns(spec.name, ["unused", "used"])
    rows = pl.concat(_rows(f"run-{number}", number) for number in range(RUNS))
    stores.questdb.write(rows, table=spec.name, symbols=spec.symbols)
    stores.questdb.wait_applied(spec.name)
    yield spec
    for name in stores.questdb.table_names():
        if name.startswith(spec.name):
            stores.questdb.execute(f"DROP TABLE {name}")


def _rows(run_id: str, seed: int) -> pl.DataFrame:
    """Rows of one run over two years, some values null."""
    values = [None if n % 7 == 0 else (n + seed) / 3 for n in range(BARS)]
    return pl.DataFrame(
        {
            "run_id": run_id,
            "fold": [str(n // 50) for n in range(BARS)],
            "dataset": "d",
            "target": "t",
            "bar_index": range(BARS),
            "prediction": values,
            "score": [-0.0 if n == 3 else 1e-310 * n for n in range(BARS)],
            "used": [float(n) if run_id == "run-4" else None for n in range(BARS)],
            "unused": [1.0 if run_id == "run-0" else None] * BARS,
            "timestamp": [1_480_000_000 + 86_400 * n for n in range(BARS)],
        },
        schema_overrides={"used": pl.Float64, "unused": pl.Float64},
    )


def _alive_rows(questdb: QuestDB, spec: TableSpec) -> pl.DataFrame:
    listed = ", ".join(f"'{name}'" for name in ALIVE)
    columns = ", ".join((*spec.types, "used"))
    frame = questdb.read(f"SELECT {columns} FROM {spec.name} WHERE run_id IN ({listed})")
    return frame.cast(dict.fromkeys(spec.symbols, pl.String)).sort("run_id", "timestamp")


def test_the_rows_alive_stay_bit_for_bit_and_the_others_go(stores: Stores, table: TableSpec) -> None:
    """Shape, DEDUP and columns in use stay; dead rows and a column that only they used go, and their bytes with them."""
    before, space = _alive_rows(stores.questdb, table), table_space(stores.questdb, table.name, _by_run(stores, table), ALIVE)
    assert (space.rows, space.dead_rows, space.is_due) == (RUNS * BARS, 4 * BARS, True)
    with alone_with(stores.postgres, table.name):
        compact(stores.questdb, table, "run_id", ALIVE, (), timeout_seconds=60)
    assert_frame_equal(_alive_rows(stores.questdb, table), before)
    assert _by_run(stores, table) == dict.fromkeys(ALIVE, BARS)
    stores.questdb.ensure_table(table)  # raises for another shape
    assert "unused" not in stores.questdb.columns(table.name)
    after = table_space(stores.questdb, table.name, _by_run(stores, table), ALIVE)
    assert (after.dead_rows, after.is_due) == (0, False)
    assert after.bytes < space.bytes
    stores.questdb.write(_rows("run-4", 4), table=table.name, symbols=table.symbols)
    stores.questdb.wait_applied(table.name)
    assert_frame_equal(_alive_rows(stores.questdb, table), before)


def test_readers_never_see_half_of_a_table(stores: Stores, table: TableSpec) -> None:
    """Whoever reads while the table is swapped, again and again, counts every row alive each time."""
    seen: list[int | str] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            try:
                seen.append(stores.questdb.rows(f"SELECT count() AS n FROM {table.name} WHERE run_id = 'run-4'")[0]["n"])
            except StoreError as error:
                seen.append(str(error))

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for _ in range(4):
        compact(stores.questdb, table, "run_id", ALIVE, (), timeout_seconds=60)
    stop.set()
    for reader in readers:
        reader.join()
    assert set(seen) == {BARS}


class DyingQuestDB(QuestDB):
    """Ends the process, as far as the caller can tell, before or after its nth statement that changes something."""

    def die(self, at: int, *, after: bool) -> DyingQuestDB:
        """Die at statement `at`, counted from 0."""
        self.left, self.after = at, after
        return self

    def execute(self, sql: str) -> None:
        if not self.after and self.left == 0:
            raise KeyboardInterrupt
        super().execute(sql)
        if self.after and self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1


@pytest.mark.parametrize("after", [False, True])
def test_a_compaction_killed_anywhere_loses_no_row(stores: Stores, table: TableSpec, after: bool) -> None:
    """At each statement: whoever comes next finishes the swap or drops the copy, and every row alive is there."""
    before = _alive_rows(stores.questdb, table)
    conf = stores.questdb.conf
    dying = DyingQuestDB(f"{conf.scheme}::addr={conf.address};", conf.address)
    dying.http = stores.questdb.http
    for at in range(20):
        try:
            compact(dying.die(at, after=after), table, "run_id", ALIVE, (), timeout_seconds=60)
        except KeyboardInterrupt:
            finish_swap(stores.questdb, table.name)
            assert_frame_equal(_alive_rows(stores.questdb, table), before)
            left = {name for name in stores.questdb.table_names() if name.startswith(table.name)}
            assert left == {table.name}
        else:
            break
    assert at >= 5
    assert_frame_equal(_alive_rows(stores.questdb, table), before)


def test_a_table_that_a_client_made_in_the_gap_does_not_take_the_place(stores: Stores, table: TableSpec) -> None:
    """ILP makes a table that is missing; the copy is named all the same."""
    before = _alive_rows(stores.questdb, table)
    stores.questdb.execute(f"RENAME TABLE {table.name} TO {table.name}{READY}")
    stores.questdb.execute(table.ddl(f"{table.name}{OLD}"))
    stores.questdb.execute(table.ddl())
    finish_swap(stores.questdb, table.name)
    assert_frame_equal(_alive_rows(stores.questdb, table), before)
    assert not {f"{table.name}{suffix}" for suffix in (COPY, READY, OLD)} & stores.questdb.table_names()


def test_a_writer_and_a_compaction_keep_out_of_each_others_way(stores: Stores, table: TableSpec) -> None:
    """Several writers at once are fine; a compaction does not begin while one writes."""

    def compaction() -> AbstractContextManager[object]:
        return alone_with(stores.postgres, table.name, wait_seconds=0)

    with writing(stores.postgres, table.name), writing(stores.postgres, table.name):
        with pytest.raises(ConflictError, match="another process works on QuestDB's table"):
            compaction().__enter__()
        assert _by_run(stores, table)
    with compaction():
        pass


def _by_run(stores: Stores, table: TableSpec) -> dict[str, int]:
    return rows_by_key(stores.questdb, table.name, "run_id")
