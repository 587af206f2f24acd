"""`python -m benchmarks.models.nights [--nights 30]`: a dataset that grows by a bar a night, and the live model of each night.

Per night: CPU seconds, bytes of the stores, what became of the model. Then some of the nights once more from scratch, on empty servers with
the file of that night: the model has to be the same, and the time is that of a full run. At the end the trace of a night's signal to its
file, live signals against the folds, and a rollback. Ends with 1 if something does not hold.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl

from benchmarks.figures import Figure, none_of, report
from benchmarks.nights.__main__ import run_night, servers_seconds, slope
from benchmarks.nights.market import PROFILE, SIMULATION, a_day_passes, write_file
from chronos_assets import services
from chronos_assets.pipeline.models.live_checks import drift, parity
from chronos_assets.pipeline.walkforward.run import plan_request
from chronos_assets.services import Connections
from chronos_assets.settings import Settings
from chronos_assets.storage.live_signals import read_signals
from chronos_assets.storage.manifest_files import load_manifest, manifest_path
from chronos_assets.storage.models import LIVE, ModelRecord, alias_history, list_models
from chronos_assets.storage.stores import Stores, open_stores
from chronos_assets.testing import process_environment, temporary_servers

CHRONOS = [sys.executable, "-W", "ignore", "-c", "from chronos_assets.cli.main import main; main()"]
HORIZON = 1
KEYS = {
    "walkforward": {"default": PROFILE},
    "simulation": {"default": SIMULATION | {"statistics": {"bootstraps": 0, "permutations": 99}}},
    "live": {"promote": "if_better", "min_profit_factor": 1.0, "max_p_value": 0.10},
}
# Of a backtest, what later trials and the clock change.
OF_ITS_TIME = {"as_of", "trials"}


@dataclass(frozen=True)
class Night:
    """What one night left: the file's hash, its model, what the model said of the bars of its window, and what it took."""

    rows: int
    checksum: str
    model: ModelRecord
    signals: pl.DataFrame
    cpu_seconds: float
    bytes: int


def file_of(settings: Settings, rows: int, most: int) -> tuple[str, str]:
    """Write the file as it is that night: the newest bar has no target yet. Gives slug and checksum."""
    slug = write_file(settings.exports_dir, 0, rows, most, pending=HORIZON, keys=KEYS)
    return slug, f"sha256:{hashlib.sha256((settings.exports_dir / f'{slug}.csv').read_bytes()).hexdigest()}"


def a_night(settings: Settings, connections: Connections, rows: int, most: int) -> Night:
    """Grow the file, `chronos backfill --all`, and look what is there."""
    slug, checksum = file_of(settings, rows, most)
    stores, pids = open_stores(connections, settings), [one.pid for one in services.status(settings) if one.pid]
    before = servers_seconds(pids)
    document, seconds = run_night(process_environment(settings))
    seconds += servers_seconds(pids) - before
    found = [one for one in list_models(stores.postgres, slug) if one.description["checksum"] == checksum]
    if len(found) != 1:
        raise SystemExit(f"{len(found)} models come from the file of {rows} bars: {json.dumps(document)[:2000]}")
    signals = read_signals(stores, dataset=slug, model_id=found[0].model_id)
    return Night(rows, checksum, found[0], signals, seconds, document["morning"]["space"]["total_bytes"])


def without_signal(night: Night) -> int:
    """Bars behind the last complete window of which the model said nothing, or said more than once."""
    due = list(range(night.model.fold["test_start_idx"], night.rows))
    return len(set(due) ^ set(night.signals["bar_index"].to_list())) + night.signals.height - night.signals["bar_index"].n_unique()


def from_scratch(night: Night, most: int) -> Iterator[Figure]:
    """The same file on servers that have never seen anything."""
    with temporary_servers(durable=True, manifest_settle_seconds=0) as (settings, connections):
        whole = a_night(settings, connections, night.rows, most)
    words = f"the model of {night.rows} bars"
    same = (whole.model.model_id, whole.model.sha256) == (night.model.model_id, night.model.sha256)
    yield Figure(f"{words}, id and bytes", "the same" if same else f"{whole.model} and {night.model}", "as from scratch", same)
    yield none_of(f"{words}, signals", int(not whole.signals.equals(night.signals)), 1, "nights differ from scratch")
    differing = sorted(_differing(whole.model.backtest, night.model.backtest))
    yield Figure(f"{words}, backtest", ", ".join(differing) or "the same", "as from scratch", not differing)
    ratio = night.cpu_seconds / whole.cpu_seconds
    print(f"      CPU of that night against a full run: {night.cpu_seconds:.1f} s / {whole.cpu_seconds:.1f} s = {ratio:.2f}", flush=True)


def _differing(one: Any, two: Any, path: str = "") -> Iterator[str]:
    """Where two documents differ."""
    if isinstance(one, dict) and isinstance(two, dict):
        for name in one.keys() | two.keys():
            if name not in OF_ITS_TIME and name != "deflated_sharpe":
                yield from _differing(one.get(name), two.get(name), f"{path}.{name}")
    elif isinstance(one, list) and isinstance(two, list) and len(one) == len(two):
        for at, (left, right) in enumerate(zip(one, two, strict=True)):
            yield from _differing(left, right, f"{path}[{at}]")
    elif one != two:
        yield f"{path}: {one} and {two}"


def trace(stores: Stores, night: Night) -> Iterator[Figure]:
    """From the row of a signal in QuestDB to the file: every step is read from the stores as they are at the end."""
    slug = night.model.dataset_id
    (row,) = read_signals(stores, dataset=slug, model_id=night.model.model_id).tail(1).to_dicts()
    (model,) = (one for one in list_models(stores.postgres, slug) if one.model_id == row["model_id"])
    about, backtest = model.description, model.backtest
    (simulation,) = backtest["simulations"]
    print(f"      {row['signal']} at bar {row['bar_index']}, prediction {row['prediction']!r}, said by model {row['model_id']}")
    print(
        f"      which was trained on rows {about['train']['first_row']} to {about['train']['end_row']} of content {about['content_hash']},"
    )
    print(f"      read from the file {about['checksum']}; it continues run {about['run_id']},")
    state = "retired" if model.run_id is None else "kept"
    print(f"      {backtest['run']['folds']} folds, simulation {simulation['simulation_id']}, run {state}")
    yield Figure("the signal's file", about["checksum"], f"that of {night.rows} bars", about["checksum"] == night.checksum)
    named = backtest["run"]["run_id"] == about["run_id"] and model.simulation_ids == [simulation["simulation_id"]]
    yield Figure("its backtest", "there" if named else "of another run", "of the run that it continues", named)


def at_the_end(stores: Stores, settings: Settings, nights: list[Night], traced: int) -> Iterator[Figure]:
    """What all nights together have to come to."""
    slug = nights[0].model.dataset_id
    yield none_of(
        "bars behind the last complete window",
        sum(without_signal(n) for n in nights),
        sum(n.signals.height for n in nights),
        "lack a signal",
    )
    kept = read_signals(stores, dataset=slug)
    changed = sum(not kept.filter(pl.col("model_id") == n.model.model_id).equals(n.signals) for n in nights)
    yield none_of("signals of a night as they were given", changed, len(nights), "nights changed later")
    manifest = load_manifest(manifest_path(settings.exports_dir, slug)).manifest
    request = plan_request(slug, manifest.walkforward_profile("default"), stores, horizon=HORIZON, horizon_assumed=False)
    found, later = parity(stores, request), drift(stores, request)
    yield none_of("live signals against the folds of the last night", len(found.differing), found.compared, "differ by a bit")
    print(f"      live hit rate {later.hit_rate} of {later.signals} signals ({later.low} to {later.high}), backtest {later.backtest}")
    yield from trace(stores, nights[traced - 1])
    promoted = [change for change in alias_history(stores.postgres, slug) if change.name == LIVE]
    print(f"      promotions: {len(promoted)} in {len(nights)} nights; the last one because of: {promoted[-1].reason if promoted else '-'}")
    if len(promoted) > 1:
        words = [*CHRONOS, "model", "rollback", slug, "--json"]
        done = subprocess.run(words, env=process_environment(settings), stdout=subprocess.PIPE, check=True)
        now, due = json.loads(done.stdout)["model"]["model_id"], promoted[-2].model_id
        yield Figure("`chronos model rollback`", now, f"yesterday's model {due}", now == due)


def figures(asked: argparse.Namespace) -> Iterator[Figure]:
    """The nights, then some of them from scratch."""
    most, nights = asked.first_bars + asked.nights, list[Night]()
    own = {"manifest_settle_seconds": 0, "keep_nights": asked.keep_nights, "keep_months": 1}
    with temporary_servers(durable=True, **own) as (settings, connections):
        stores = open_stores(connections, settings)
        print(f"{'night':>5} {'bars':>6} {'CPU s':>7} {'MB':>8} {'window':>6} live", flush=True)
        for number in range(1, asked.nights + 1):
            nights.append(night := a_night(settings, connections, asked.first_bars + number, most))
            (change, *_) = [one for one in alias_history(stores.postgres) if one.model_id == night.model.model_id] or [None]
            word = "not promoted" if change is None else f"promoted: {change.reason}"
            print(
                f"{number:>5} {night.rows:>6} {night.cpu_seconds:>7.1f} {night.bytes / 1e6:>8.1f} {night.signals.height:>6} {word}",
                flush=True,
            )
            a_day_passes(settings, connections)
        print(f"      a night: CPU {slope([n.cpu_seconds for n in nights])}, bytes {slope([float(n.bytes) for n in nights])}", flush=True)
        yield from at_the_end(stores, settings, nights, min(asked.trace, len(nights)))
    for number in sorted({min(number, len(nights)) for number in asked.scratch}):
        yield from from_scratch(nights[number - 1], most)


def main() -> None:
    """Print a line per night, then a line per figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nights", type=int, default=30)
    parser.add_argument("--first-bars", type=int, default=800)
    parser.add_argument("--keep-nights", type=int, default=7)
    parser.add_argument("--trace", type=int, default=17, help="The night whose newest signal is traced.")
    parser.add_argument(
        "--scratch", type=lambda text: [int(one) for one in text.split(",")], default=[1, 17, 30], help="Nights that are run again."
    )
    report(figures(parser.parse_args()))


if __name__ == "__main__":
    main()
