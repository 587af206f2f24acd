"""Export against the bare client in the same run: rows visible per second, and the audit against a bare read-back.

    uv run python -m benchmarks.export.speed                      # 100,000 rows x 80 columns
    uv run python -m benchmarks.export.speed --rows 1000000

Starts servers of its own in a temporary home. Per transport and batch size: the bare client (one sender, the same Arrow-backed frame, the
same batches, then `wait_wal_table`) and ours take turns, `--rounds` times, each into a new table; the median of each counts.
The peak RSS (`--memory`) is that of a process of its own that only exports.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import requests

from benchmarks.figures import Figure, add_json, at_most, note, report
from chronos_assets.pipeline.export.audit import audit_tag
from chronos_assets.pipeline.export.plan import ExportPlan
from chronos_assets.pipeline.export.planning import same_as_reported
from chronos_assets.pipeline.export.source import Source
from chronos_assets.pipeline.export.types import ExportOptions
from chronos_assets.pipeline.export.write import execute
from chronos_assets.pipeline.progress import silent
from chronos_assets.settings import load_settings
from chronos_assets.storage.bars_file import BarsFile
from chronos_assets.storage.datasets import DatasetColumn
from chronos_assets.storage.questdb import QuestDB
from chronos_assets.storage.questdb_tables import INDICATOR_BARS

SPACING = 600
TAG = "bench_10m_v1"
# Case (transport and rows of a batch) -> bound of the write in times of the bare client.
BOUNDS = {"ilp-http:2000": 0.65, "ilp-http:10000": 0.65, "ilp-tcp:2000": 0.9}
BATCH_ROWS = 16_000  # what 16 MiB of such text hold: so many rows come from the reader at once


def make_source(folder: Path, rows: int, columns: int) -> Source:
    """An Arrow file as the reader writes it, in batches, with nulls in the warm-up and here and there."""
    from chronos_assets.domain.content import ContentHasher

    path = folder / f"bars-{rows}.arrow"
    names = [f"IND_{n:02d}" for n in range(columns)]
    hasher, random = ContentHasher(), np.random.default_rng(1)
    writer: Any = None
    with pa.OSFile(str(path), "wb") as file:
        for start in range(0, rows, BATCH_ROWS):
            count = min(BATCH_ROWS, rows - start)
            stamps = 946_684_800 + (start + np.arange(count, dtype=np.int64)) * SPACING
            values = {name: random.normal(size=count) for name in names}
            frame = pl.DataFrame({"date_i": stamps // 86_400, "time_i": stamps % 86_400, "timestamp_unix": stamps, **values})
            gaps = pl.int_range(pl.len()) % 1_000 < 20
            frame = frame.with_columns(pl.when(~gaps).then(pl.col(names[0])).alias(names[0]))
            hasher.update(frame)
            table = frame.to_arrow()
            writer = writer or pa.ipc.new_file(file, table.schema)
            writer.write_table(table)
        writer.close()
    first, last = 946_684_800, 946_684_800 + (rows - 1) * SPACING
    return Source(
        slug=TAG,
        symbol="bench",
        granularity="10m",
        source="chronosflow",
        checksum="sha256:" + hashlib.sha256(str(rows).encode()).hexdigest(),
        content_hash=hasher.hexdigest(),
        rows=rows,
        first_bar=datetime.fromtimestamp(first, UTC),
        last_bar=datetime.fromtimestamp(last, UTC),
        columns=tuple(DatasetColumn(name, "feature", name) for name in names),
        path=path,
        own_columns={name: name for name in names},
    )


def new_table(questdb: QuestDB, source: Source) -> None:
    if questdb.has_table(INDICATOR_BARS.name):
        questdb.execute(f"DROP TABLE {INDICATOR_BARS.name}")
    questdb.ensure_table(INDICATOR_BARS)
    questdb.ensure_columns(INDICATOR_BARS.name, [c.questdb_column for c in source.columns])


def bare_write(questdb: QuestDB, source: Source, batch_rows: int) -> float:
    """One sender, one frame, and the server's own wait."""
    from questdb import Sender

    with BarsFile(source.path) as bars:
        frame = pl.concat(list(source.rows_for(TAG, bars.frames(source.rows)))).to_pandas(use_pyarrow_extension_array=True)
    conf = questdb.conf.for_batches(batch_rows)
    started = time.perf_counter()
    with Sender.from_conf(conf) as sender:
        sender.dataframe(frame, table_name=INDICATOR_BARS.name, symbols=list(INDICATOR_BARS.symbols), at="timestamp")
    while True:
        # Over TCP rows are still on their way when the sender is closed: wait until they are there.
        questdb.rows(f"SELECT wait_wal_table('{INDICATOR_BARS.name}')")
        if questdb.transport == "ilp-http" or questdb.rows(f"SELECT count() AS n FROM {INDICATOR_BARS.name}")[0]["n"] >= source.rows:
            break
        time.sleep(0.01)
    return time.perf_counter() - started


def our_write(questdb: QuestDB, source: Source, batch_rows: int, settings: Any) -> float:
    started = time.perf_counter()
    plan = ExportPlan(source, "first", TAG)
    execute(plan, questdb, options=ExportOptions(batch_rows=batch_rows), settings=settings, progress=silent)
    return time.perf_counter() - started


def bare_read(questdb: QuestDB, source: Source, access: tuple[str, str]) -> float:
    """The whole table as Parquet, one request a year, into Polars; nothing compared, nothing kept."""
    started = time.perf_counter()
    rows = 0
    for year in range(source.first_bar.year, source.last_bar.year + 1):
        sql = f"SELECT * FROM {INDICATOR_BARS.name} WHERE timestamp IN '{year}'"
        asked = {"query": sql, "fmt": "parquet", "compression_codec": "lz4_raw"}
        response = requests.get(f"{questdb.http.base}/exp", params=asked, auth=access, timeout=300)
        rows += pl.read_parquet(io.BytesIO(response.content)).height
    assert rows == source.rows, rows
    return time.perf_counter() - started


def our_audit(questdb: QuestDB, source: Source) -> float:
    started = time.perf_counter()
    report = audit_tag(source, questdb, TAG, silent)
    assert report.passed, report.summary
    return time.perf_counter() - started


def check_file(source: Source) -> float:
    started = time.perf_counter()
    with BarsFile(source.path) as bars:
        same_as_reported(bars, source, silent)
    return time.perf_counter() - started


def measure(source: Source, questdb: QuestDB, batch_rows: int, *, rounds: int, settings: Any, access: tuple[str, str]) -> dict[str, Any]:
    """Bare and ours in turns; the median of each."""
    taken: dict[str, list[float]] = {"bare_write": [], "write": [], "bare_read": [], "audit": []}
    for _ in range(rounds):
        new_table(questdb, source)
        taken["bare_write"].append(bare_write(questdb, source, batch_rows))
        taken["bare_read"].append(bare_read(questdb, source, access))
        new_table(questdb, source)
        taken["write"].append(our_write(questdb, source, batch_rows, settings))
        taken["audit"].append(our_audit(questdb, source))
    middle = {name: statistics.median(values) for name, values in taken.items()}
    return {
        "transport": questdb.transport,
        "batch_rows": batch_rows,
        "rows": source.rows,
        "columns": len(source.columns),
        "rows_per_second": round(source.rows / middle["write"]),
        **{f"{name}_s": round(value, 2) for name, value in middle.items()},
        "write_to_bare": round(middle["write"] / middle["bare_write"], 3),
        "audit_to_bare_write": round(middle["audit"] / middle["bare_write"], 2),
        "audit_to_bare_read": round(middle["audit"] / middle["bare_read"], 3),
        "all": {name: [round(v, 3) for v in values] for name, values in taken.items()},
    }


def rss(arguments: argparse.Namespace, source: Source, connections: Any) -> int:
    """Peak RSS in MiB of a process that only writes and audits."""
    code = [
        sys.executable,
        "-m",
        "benchmarks.export.speed",
        "--rows",
        str(arguments.rows),
        "--columns",
        str(arguments.columns),
        "--child",
        str(source.path),
    ]
    given = {"conf": connections.questdb_conf, "http": connections.questdb_http, "hash": source.content_hash}
    answer = subprocess.run(code, input=json.dumps(given), capture_output=True, text=True, check=True)
    return int(answer.stdout.strip().splitlines()[-1])


def child(arguments: argparse.Namespace) -> None:
    given = json.load(sys.stdin)
    questdb = QuestDB(given["conf"], given["http"])
    settings = load_settings(home=Path(tempfile.gettempdir()) / "chronos-bench-child")
    source = Source(
        TAG,
        "bench",
        "10m",
        "chronosflow",
        "sha256:0",
        given["hash"],
        arguments.rows,
        datetime.fromtimestamp(946_684_800, UTC),
        datetime.fromtimestamp(946_684_800 + (arguments.rows - 1) * SPACING, UTC),
        tuple(DatasetColumn(f"IND_{n:02d}", "feature", f"IND_{n:02d}") for n in range(arguments.columns)),
        Path(arguments.child),
    )
    check_file(source)
    our_write(questdb, source, 2000, settings)
    our_audit(questdb, source)
    print(peak_rss_mib())


def peak_rss_mib() -> int:
    """Peak RSS of this process. Linux counts in `ru_maxrss` what the process that started us held; `VmHWM` is ours alone."""
    status = Path("/proc/self/status")
    if status.is_file():
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1]) // 1024  # type: ignore[index]  # the kernel writes it
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def figures(arguments: argparse.Namespace) -> Iterator[Figure]:
    """Each case's write and audit; all that was measured is told beside them."""
    import pandas  # noqa: F401 - its import is not what is measured
    import pandera.polars  # noqa: F401 - as above

    from chronos_assets.testing import temporary_servers

    audits = []
    with temporary_servers(durable=True, questdb_ilp_tcp=True) as (settings, connections):
        source = make_source(settings.home, arguments.rows, arguments.columns)
        http = QuestDB(connections.questdb_conf, connections.questdb_http, connections.questdb_user, connections.questdb_password)
        access = (connections.questdb_user or "", connections.questdb_password or "")
        host = connections.questdb_http.split(":")[0]
        conf = f"tcp::addr={host}:{settings.questdb_ilp_port};"
        tcp = QuestDB(conf, connections.questdb_http, connections.questdb_user, connections.questdb_password)
        for case in arguments.cases.split(","):
            transport, batch_rows = case.split(":")
            questdb = http if transport == "ilp-http" else tcp
            measured = measure(source, questdb, int(batch_rows), rounds=arguments.rounds, settings=settings, access=access)
            note(json.dumps(measured))
            size = f"{source.rows:,} x {arguments.columns}"
            what = f"export until visible / one bare sender, {size}, {transport}, {int(batch_rows):,} rows at once"
            yield at_most(what, measured["write_to_bare"], BOUNDS.get(case, 1.0), "")
            audits += [ours / bare for ours, bare in zip(measured["all"]["audit"], measured["all"]["bare_read"], strict=True)]
        yield at_most(f"audit / bare Parquet read, {size}", statistics.median(audits), 1.0, "")
        if arguments.memory:
            new_table(http, source)
            note(json.dumps({"check_file_s": round(check_file(source), 2), "peak_rss_mib": rss(arguments, source, connections)}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--columns", type=int, default=80)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cases", default=",".join(BOUNDS))
    parser.add_argument("--memory", action="store_true", help="the peak RSS, too")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    add_json(parser)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments)
        return
    report(figures(arguments), as_json=arguments.json)


if __name__ == "__main__":
    main()
