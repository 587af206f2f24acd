"""`python -m benchmarks.dagster.overhead [rows]`: one dataset all the way, plainly and through Dagster with both executors, in one run.

Each way gets a dataset of its own (same shape, other numbers), so that nothing can be reused. Everything is imported and compiled
before the clock starts; the ways take turns, and the median of each is compared.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

from benchmarks.dagster.workplace import own_servers, write_dataset
from chronos_assets.domain.manifest import load_manifest, manifest_path
from chronos_assets.orchestration.execute import run_partition
from chronos_assets.orchestration.instance import open_instance
from chronos_assets.orchestration.resources import Workplace
from chronos_assets.pipeline.export import audit_bars, publish_dataset, write_bars
from chronos_assets.pipeline.look_ahead import look_ahead_audit
from chronos_assets.pipeline.normalize import normalize_dataset
from chronos_assets.pipeline.simulate import check_simulation, simulate_run
from chronos_assets.pipeline.walkforward import run_walkforward
from chronos_assets.pipeline.walkforward_checks import completeness, recompute_run_metrics, signal_counts, thresholds_agree

ROUNDS = 3
PROFILE = {"train_size": 650, "test_size": 14, "model": {"rounds": 300, "early_stopping": 50, "eta": 0.05}}


def plainly(slug: str, workplace: Workplace) -> None:
    """The use cases and checks that the job runs, one after the other."""
    settings, stores = workplace.settings, workplace.stores
    loaded = load_manifest(manifest_path(settings.exports_dir, slug))
    bars = normalize_dataset(loaded, settings)
    write_bars(bars, loaded, stores)
    assert audit_bars(bars, loaded, stores).passed
    publish_dataset(bars, loaded, stores)
    run = run_walkforward(slug, loaded.manifest.walkforward_profile(), stores, horizon=1, horizon_assumed=False)
    assert completeness(stores, run.run_id).complete
    assert not thresholds_agree(stores, run.run_id)
    assert not recompute_run_metrics(stores, run.run_id)
    assert look_ahead_audit(stores, run.run_id, 2).clean
    signal_counts(stores, run.run_id)
    for simulation in simulate_run(run.run_id, loaded.manifest.simulation_profile(), stores):
        assert all(check.passed for check in check_simulation(simulation.simulation_id, stores))


def main() -> None:
    """Print seconds of each way, and what Dagster costs."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 8_000
    with own_servers() as (settings, connections), open_instance(settings, captured_output=False) as instance:
        workplace = Workplace(settings, connections=connections)

        def through_dagster(*, multiprocess: bool) -> Callable[[str, Workplace], None]:
            def run(slug: str, workplace: Workplace) -> None:
                outcome = run_partition(slug, workplace, instance, multiprocess=multiprocess)
                assert outcome.succeeded, outcome.sentence

            return run

        ways = {"plain": plainly, "in process": through_dagster(multiprocess=False), "multiprocess": through_dagster(multiprocess=True)}
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(ROUNDS + 1):  # the first round warms up
            for index, (name, way) in enumerate(ways.items()):
                slug = f"bench{number}x{index}_1h_v1"
                size = rows if number else 1_000
                write_dataset(settings.exports_dir, slug, rows=size, features=20, profile=PROFILE, seed=10 * number + index)
                started = time.monotonic()
                way(slug, workplace)
                if number:
                    seconds[name].append(time.monotonic() - started)
                    print(f"round {number}: {name:<13} {seconds[name][-1]:7.2f} s", flush=True)
    plain = statistics.median(seconds["plain"])
    for name, values in seconds.items():
        print(f"{name:<13} median {statistics.median(values):7.2f} s   {statistics.median(values) / plain:5.2f} times plain")


if __name__ == "__main__":
    main()
