"""`python -m benchmarks.lineage.overhead [--rows N] [--rounds N] [--ways plain in-process multiprocess]`: what Dagster costs.

One dataset all the way, plainly and through Dagster with both executors, in one run.

Each way gets a dataset of its own (same shape, other numbers), so that nothing can be reused. Everything is imported and compiled
before the clock starts; the ways take turns, and the median of each is compared.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator

from dagster import DagsterInstance

from benchmarks.figures import Figure, add_json, at_most, note, report
from benchmarks.lineage.workplace import write_dataset
from chronos_assets.ingest.schema import check_normalized
from chronos_assets.orchestration.checks.walkforward import AUDITED_FOLDS
from chronos_assets.orchestration.execute import run_partition
from chronos_assets.orchestration.instance import open_instance
from chronos_assets.orchestration.resources import Workplace
from chronos_assets.pipeline.export.dataset import audit_bars, publish_dataset, write_bars
from chronos_assets.pipeline.export.normalize import normalize_dataset
from chronos_assets.pipeline.models.live_checks import drift, parity
from chronos_assets.pipeline.models.predict import predict_live
from chronos_assets.pipeline.models.promotion import apply_policy
from chronos_assets.pipeline.models.train import train_request
from chronos_assets.pipeline.simulation.run import check_simulation, simulate_run
from chronos_assets.pipeline.walkforward.checks import completeness, recompute_run_metrics, signal_counts, thresholds_agree
from chronos_assets.pipeline.walkforward.look_ahead import look_ahead_audit
from chronos_assets.pipeline.walkforward.run import plan_request, run_request
from chronos_assets.storage.manifest_files import load_manifest, manifest_path
from chronos_assets.testing import temporary_servers

WAYS = ("plain", "in-process", "multiprocess")
BOUNDS = {"in-process": 1.10, "multiprocess": 1.30}
PROFILE = {"train_size": 650, "test_size": 14, "model": {"rounds": 300, "early_stopping": 50, "eta": 0.05}}


def plainly(slug: str, workplace: Workplace) -> None:
    """The use cases and checks that the job runs, one after the other: no less than the job, or the ratio says nothing."""
    settings, stores = workplace.settings, workplace.stores
    loaded = load_manifest(manifest_path(settings.exports_dir, slug))
    manifest = loaded.manifest
    bars = normalize_dataset(loaded, settings)
    assert check_normalized(bars.path, bars.report).passed
    write_bars(bars, loaded, stores)
    assert audit_bars(bars, loaded, stores).passed
    publish_dataset(bars, loaded, stores)
    request = plan_request(slug, manifest.walkforward_profile(), stores, horizon=1, horizon_assumed=False)
    run = run_request(request, stores, baseline=None)
    assert completeness(stores, run.run_id).complete
    assert not thresholds_agree(stores, run.run_id)
    assert not recompute_run_metrics(stores, run.run_id)
    assert look_ahead_audit(stores, run.run_id, AUDITED_FOLDS).clean
    signal_counts(stores, run.run_id)
    for simulation in simulate_run(run.run_id, manifest.simulation_profile(), stores):
        assert all(check.passed for check in check_simulation(simulation.simulation_id, stores))
    model = train_request(request, stores).model
    apply_policy(stores, manifest.live, model, changed_by="benchmark")
    predict_live(slug, stores, model_id=model.model_id)
    assert not parity(stores, request).differing
    drift(stores, request)


def through_dagster(instance: DagsterInstance, *, multiprocess: bool) -> Callable[[str, Workplace], None]:
    """The job `whole_way` of one partition, as `chronos run` starts it."""

    def run(slug: str, workplace: Workplace) -> None:
        outcome = run_partition(slug, workplace, instance, multiprocess=multiprocess)
        assert outcome.succeeded, outcome.message
        note("  " + ", ".join(f"{step.name} {step.seconds:.2f}" for step in outcome.steps))

    return run


def measure(asked: argparse.Namespace) -> dict[str, float]:
    """The median seconds of each way."""
    with (
        temporary_servers(durable=True, manifest_settle_seconds=0) as (settings, connections),
        open_instance(settings, captured_output=False) as instance,
    ):
        workplace = Workplace(settings, connections=connections)
        all_ways = (plainly, through_dagster(instance, multiprocess=False), through_dagster(instance, multiprocess=True))
        ways = {name: way for name, way in zip(WAYS, all_ways, strict=True) if name in asked.ways}
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(asked.rounds + 1):  # the first round warms up
            for index, (name, way) in enumerate(ways.items()):
                slug = f"bench{number}x{index}_1h_v1"
                size = asked.rows if number else 1_000
                write_dataset(settings.exports_dir, slug, rows=size, features=20, profile=PROFILE, seed=10 * number + index)
                started = time.monotonic()
                way(slug, workplace)
                if number:
                    seconds[name].append(time.monotonic() - started)
                    note(f"round {number}: {name:<13} {seconds[name][-1]:7.2f} s")
    return {name: statistics.median(values) for name, values in seconds.items() if values}


def figures(asked: argparse.Namespace) -> Iterator[Figure]:
    """What each executor costs; the seconds are told beside."""
    medians = measure(asked)
    for name, value in medians.items():
        note(f"{name:<13} median {value:7.2f} s")
        if name in BOUNDS and "plain" in medians:
            yield at_most(f"lineage of {asked.rows:,} bars in Dagster / plainly, {name}", value / medians["plain"], BOUNDS[name], "")


def main() -> None:
    """Print what Dagster costs, and seconds of each way beside it."""
    parser = argparse.ArgumentParser(description="The whole lineage of one dataset, plainly and through Dagster.")
    parser.add_argument("--rows", type=int, default=8_000, help="bars of each dataset")
    parser.add_argument("--rounds", type=int, default=3, help="times that each way is taken")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    add_json(parser)
    asked = parser.parse_args()
    report(figures(asked), as_json=asked.json)


if __name__ == "__main__":
    main()
