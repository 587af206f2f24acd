"""QuestDB through our one door: tables made beforehand, rows in over both transports, typed frames out."""

from __future__ import annotations

import math
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import polars as pl
import pytest

from chronos_assets import services
from chronos_assets.errors import ServiceUnavailableError, StoreError, UsageError
from chronos_assets.services import Connections
from chronos_assets.services.questdb import _SMALL_MEMORY
from chronos_assets.settings import Settings
from chronos_assets.storage.questdb import QuestDB
from chronos_assets.storage.questdb_tables import TableSpec
from chronos_assets.storage.stores import Stores


@pytest.fixture
def spec(stores: Stores) -> Iterator[TableSpec]:
    """A table of its own, dropped afterwards."""
    spec = TableSpec(f"t_{secrets.token_hex(4)}", ("dataset",), ("n",), ("x",), ("dataset",))
    stores.questdb.ensure_table(spec)
    yield spec
    stores.questdb.execute(f"DROP TABLE {spec.name}")


def frame(rows: int = 5, **columns: object) -> pl.DataFrame:
    stamps = [86_400 * (n + 1) for n in range(rows)]
    return pl.DataFrame({"dataset": ["d"] * rows, "n": range(rows), "x": [0.5 * n for n in range(rows)], "timestamp": stamps, **columns})


def put(questdb: QuestDB, spec: TableSpec, rows: pl.DataFrame, **options: object) -> pl.DataFrame:
    questdb.write(rows, table=spec.name, symbols=spec.symbols, **options)  # type: ignore[arg-type]
    questdb.wait_applied(spec.name)
    return questdb.read(f"SELECT * FROM {spec.name} ORDER BY timestamp")


def test_rows_come_back_typed_and_sorted(stores: Stores, spec: TableSpec) -> None:
    """Symbols, longs, doubles and nanosecond UTC times, whatever order they were sent in."""
    back = put(stores.questdb, spec, frame()[::-1])
    assert back.schema == {"dataset": pl.String, "n": pl.Int64, "x": pl.Float64, "timestamp": pl.Datetime("ns", "UTC")}
    assert back["n"].to_list() == [0, 1, 2, 3, 4]


def test_the_same_rows_three_times_are_one_copy(stores: Stores, spec: TableSpec) -> None:
    """DEDUP keeps one row per key, the last one sent."""
    for factor in (1.0, 2.0, 3.0):
        back = put(stores.questdb, spec, frame().with_columns(pl.col("x") * factor))
    assert back["x"].to_list() == [1.5 * n for n in range(5)]


def test_what_is_not_finite_becomes_null_and_nulls_stay(stores: Stores, spec: TableSpec) -> None:
    """QuestDB means NULL by infinity, now and then; so it never gets one."""
    back = put(stores.questdb, spec, frame(4, x=[math.inf, -math.inf, math.nan, None]))
    assert back["x"].to_list() == [None] * 4


def test_integers_meant_for_doubles_are_cast_before_they_go(stores: Stores, spec: TableSpec) -> None:
    """A column of whole numbers with a null arrives as doubles."""
    back = put(stores.questdb, spec, frame(3, x=[1, None, 3]))
    assert back["x"].to_list() == [1.0, None, 3.0]


@pytest.mark.parametrize(("senders", "batch_rows"), [(1, 1), (1, 2000), (2, 7), (3, 7)])
def test_senders_and_batches_do_not_change_the_rows(stores: Stores, spec: TableSpec, senders: int, batch_rows: int) -> None:
    """However the rows are cut and sent, the table is the same."""
    rows = frame(101)
    back = put(stores.questdb, spec, rows, senders=senders, batch_rows=batch_rows)
    assert back["x"].equals(rows["x"])


def test_a_null_timestamp_is_refused_before_the_server_puts_its_clock_there(stores: Stores, spec: TableSpec) -> None:
    """Nothing is sent."""
    with pytest.raises(StoreError, match="without a timestamp"):
        put(stores.questdb, spec, frame(2, timestamp=[86_400, None]))


def test_text_in_a_number_column_is_refused(stores: Stores, spec: TableSpec) -> None:
    """The column and its type are named."""
    with pytest.raises(StoreError, match="column 'x' cannot be stored as DOUBLE"):
        put(stores.questdb, spec, frame(2, x=["a", "b"]))


def test_a_transport_that_disagrees_is_a_usage_error(stores: Stores, spec: TableSpec) -> None:
    """The scheme of the client string decides."""
    with pytest.raises(UsageError, match="ilp-tcp does not go with"):
        put(stores.questdb, spec, frame(), transport="ilp-tcp")


def test_columns_are_added_once_and_checked(stores: Stores, spec: TableSpec) -> None:
    """A new name is added, a known one left alone in any case, one of another type refused."""
    stores.questdb.ensure_columns(spec.name, ["macd", "X"])
    stores.questdb.ensure_columns(spec.name, ["MACD"])
    assert set(stores.questdb.columns(spec.name)) == {"dataset", "n", "x", "macd", "timestamp"}
    with pytest.raises(StoreError, match="another type"):
        stores.questdb.ensure_columns(spec.name, ["N"])


def test_datasets_side_by_side_may_add_the_same_columns(stores: Stores, spec: TableSpec) -> None:
    """Eight writers that lack the same columns at the same time all find them there in the end, each once."""
    names = [f"c{number}" for number in range(12)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: stores.questdb.ensure_columns(spec.name, names), range(8)))
    assert set(stores.questdb.columns(spec.name)) == {"dataset", "n", "x", "timestamp", *names}


def test_a_table_of_another_shape_is_refused(stores: Stores) -> None:
    """Without DEDUP, by day, or with another type, it is not our table."""
    name = f"t_{secrets.token_hex(4)}"
    spec = TableSpec(name, ("dataset",), ("n",), ("x",), ("dataset",))
    for columns, tail in (
        ("dataset SYMBOL, n LONG, x DOUBLE", "PARTITION BY DAY WAL DEDUP UPSERT KEYS(timestamp, dataset)"),
        ("dataset SYMBOL, n LONG, x DOUBLE", "PARTITION BY YEAR WAL"),
        ("dataset SYMBOL, n INT, x DOUBLE", "PARTITION BY YEAR WAL DEDUP UPSERT KEYS(timestamp, dataset)"),
    ):
        stores.questdb.execute(f"CREATE TABLE {name} ({columns}, timestamp TIMESTAMP_NS) TIMESTAMP(timestamp) {tail}")
        with pytest.raises(StoreError, match="another"):
            stores.questdb.ensure_table(spec)
        stores.questdb.execute(f"DROP TABLE {name}")


def test_another_shape_is_told_in_words(stores: Stores) -> None:
    """Expected and found name timestamp, partitions, log and keys; a name in other letters is said; the hint is about the table."""
    name = f"t_{secrets.token_hex(4)}"
    spec = TableSpec(name, ("dataset",), ("n",), ("x",), ("dataset",))
    for made, words in (
        (
            f"{name} (dataset SYMBOL, n LONG, x DOUBLE, timestamp TIMESTAMP_NS) TIMESTAMP(timestamp) PARTITION BY DAY WAL",
            "expected designated timestamp timestamp, partitioned by YEAR, with a WAL, DEDUP on dataset, timestamp; "
            "found designated timestamp timestamp, partitioned by DAY, with a WAL, no DEDUP",
        ),
        (
            f"{name} (dataset SYMBOL, timestamp TIMESTAMP) TIMESTAMP(timestamp) PARTITION BY YEAR WAL",
            "TIMESTAMP_NS; found TIMESTAMP. Rename or drop",
        ),
        (
            f"{name.upper()} (dataset SYMBOL, timestamp TIMESTAMP_NS) TIMESTAMP(timestamp) PARTITION BY YEAR WAL",
            f"found one called {name.upper()}",
        ),
    ):
        stores.questdb.execute(f"CREATE TABLE {made}")
        with pytest.raises(StoreError, match=words):
            stores.questdb.ensure_table(spec)
        stores.questdb.execute(f"DROP TABLE {made.split()[0]}")


def test_a_server_that_is_not_there_is_not_a_server_that_refuses(stores: Stores, spec: TableSpec) -> None:
    """Nobody listens: exit code 4. A statement that is wrong, or a wrong password: exit code 1."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(ServiceUnavailableError):
        QuestDB(f"http::addr=127.0.0.1:{port};", f"127.0.0.1:{port}").ping()
    with pytest.raises(StoreError, match="refused a statement"):
        stores.questdb.execute("SELECT nonsense FROM nowhere")


def test_a_wrong_password_is_said_without_showing_it(servers: Connections) -> None:
    """Reading and writing both say who refused, and never the password."""
    wrong = QuestDB(f"http::addr={servers.questdb_http};username=someone;password=hush;", servers.questdb_http, "someone", "hush")
    with pytest.raises(StoreError, match="refused the user or password") as reading:
        wrong.rows("SELECT 1")
    with pytest.raises(StoreError) as writing:
        wrong.write(frame(), table="indicator_bars", symbols=["dataset"])
    assert "hush" not in f"{reading.value} {writing.value}"


def test_more_readers_than_the_server_takes_wait_their_turn(stores: Stores) -> None:
    """A server lets so many exports run at once; those beyond are asked for again, and all get their rows."""
    sql = "SELECT x, rnd_double() AS d FROM long_sequence(400000)"
    with ThreadPoolExecutor(24) as pool:
        heights = [frame.height for frame in pool.map(lambda _: stores.questdb.read(sql), range(24))]
    assert heights == [400_000] * 24


def test_a_suspended_table_is_resumed_once_and_a_server_that_takes_no_writes_is_told_at_once(
    make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With space again the same call works, also while columns are added; without, the cause and the next step are told."""
    settings = make_settings()
    monkeypatch.setitem(_SMALL_MEMORY, "QDB_DEV_MODE_ENABLED", "true")
    questdb = opened(services.start(settings))
    spec = TableSpec("t", ("dataset",), ("n",), ("x",), ("dataset",))
    questdb.ensure_table(spec)
    put(questdb, spec, frame())
    suspend = "ALTER TABLE t SUSPEND WAL WITH 28, 'no space left'"
    questdb.execute(suspend)
    questdb.ensure_columns("t", ["macd"])
    questdb.execute(suspend)
    put(questdb, spec, frame(9))
    assert questdb.rows("SELECT count() AS n FROM t")[0]["n"] == 9
    resume = questdb.http.exec

    def still_full(sql: str, **options: Any) -> dict[str, Any]:
        return {"ddl": "OK"} if "RESUME" in sql else resume(sql, **options)  # as if it was suspended again at once

    monkeypatch.setattr(questdb.http, "exec", still_full)
    started = time.monotonic()
    for refused in (lambda: questdb.ensure_columns("t", ["rsi"]), lambda: put(questdb, spec, frame(10))):
        resume(suspend)
        with pytest.raises(StoreError, match=r"has suspended table 't'.*DISK FULL no space left.*same command again"):
            refused()
    assert time.monotonic() - started < 30
    services.stop(settings)
    monkeypatch.setitem(_SMALL_MEMORY, "QDB_HTTP_SECURITY_READONLY", "true")
    readonly = opened(services.start(settings))
    with pytest.raises(StoreError, match=r"read-only for this user.*http.security.readonly"):
        readonly.ensure_columns("t", ["atr"])
    with pytest.raises(StoreError, match=r"read-only and took no rows.*http.security.readonly"):
        put(readonly, spec, frame())


def opened(connections: Connections) -> QuestDB:
    return QuestDB(connections.questdb_conf, connections.questdb_http, connections.questdb_user, connections.questdb_password)
