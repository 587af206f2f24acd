"""SIGKILL at every step of a pack's life: `python -m benchmarks.walkforward.pack_kills [--kills 10] [--only WORD] [--seed 1]`.

A process that stores folds, or that writes packs anew and removes old ones, kills itself at one step, the n-th time it gets there (n by
lot). After each kill no row may name what is missing or damaged; the run done again must equal one that was never killed, row by row and
byte by byte; and a prune must leave exactly the packs that rows name. Ends with 1 if something of that does not hold.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import wraps
from typing import Any

import psycopg

from benchmarks.figures import Figure, add_json, none_of, report
from chronos_assets.domain.profiles.walkforward import WalkforwardProfile
from chronos_assets.pipeline.upkeep import packs as upkeep
from chronos_assets.pipeline.upkeep.retire import remove_orphans, retire_run
from chronos_assets.pipeline.walkforward import store as writing
from chronos_assets.pipeline.walkforward.run import run_walkforward
from chronos_assets.services import Connections
from chronos_assets.settings import Settings
from chronos_assets.storage import atomic_write
from chronos_assets.storage.artifacts.files import FileArtifacts
from chronos_assets.storage.fold_artifacts import FoldArtifacts
from chronos_assets.storage.queries import query
from chronos_assets.storage.runs import get_folds, list_runs, read_predictions, stored_fold_files
from chronos_assets.storage.stores import Stores, open_stores
from chronos_assets.testing import temporary_servers
from chronos_assets_tests.support.walkforward_data import make_bars, publish, small_profile

SLUG = "killed_1d_v1"
FOLDS = 18  # a pack each: so many small packs are written together by a prune
HORIZON = 3
ROWS = 60 + 2 + 2 * FOLDS


@dataclass(frozen=True)
class Step:
    """Where a process kills itself: before or after a call of `owner` whose arguments name `of`; `times`: how often it gets there."""

    words: str
    owner: Any
    name: str
    of: str
    after: bool
    times: int
    pruning: bool = False


STEPS = (
    Step("flush: bytes written, not synced", atomic_write, "sync", "", after=False, times=FOLDS),
    Step("flush: synced, without its name", atomic_write, "sync", "", after=True, times=FOLDS),
    Step("flush: pack in place, no row", FileArtifacts, "put", ".pack", after=True, times=FOLDS),
    Step("flush: rows written, not committed", psycopg.Cursor, "executemany", query("fold_store"), after=True, times=FOLDS),
    Step("flush: committed", writing, "store_folds", "", after=True, times=FOLDS),
    Step("prune: new pack not synced", atomic_write, "sync", "", after=False, times=1, pruning=True),
    Step("prune: new pack in place, rows not switched", FileArtifacts, "put", ".pack", after=True, times=1, pruning=True),
    Step("prune: rows switched, uncommitted", psycopg.Connection, "execute", query("pack_replace"), after=True, times=FOLDS, pruning=True),
    Step("prune: rows switched, old packs there", upkeep, "replace_pack", "", after=True, times=1, pruning=True),
    Step("prune: an old pack about to go", FileArtifacts, "delete", ".pack", after=False, times=FOLDS, pruning=True),
    Step("prune: an old pack removed", FileArtifacts, "delete", ".pack", after=True, times=FOLDS, pruning=True),
)


def kill_at(step: Step, count: int) -> None:
    """Make this process kill itself when it comes to a step for the `count`-th time."""
    call: Callable[..., Any] = getattr(step.owner, step.name)
    seen = 0

    @wraps(call)
    def killing(*arguments: Any, **options: Any) -> Any:
        nonlocal seen
        if not any(step.of in str(getattr(argument, "name", argument)) for argument in arguments):
            return call(*arguments, **options)
        seen += 1
        result = call(*arguments, **options) if step.after or seen < count else None
        if seen >= count:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(step.owner, step.name, killing)


def profile() -> WalkforwardProfile:
    """Folds of a moment each."""
    return small_profile(test_size=2, model={"learner": "xgboost", "rounds": 8, "early_stopping": 0, "min_child_weight": 1.0})


def walk(stores: Stores) -> None:
    """The run, each fold stored by itself."""
    writing.MOST_BUFFERED_ROWS = 1
    run_walkforward(SLUG, profile(), stores, horizon=HORIZON, horizon_assumed=False)


def prune(stores: Stores) -> None:
    """What `chronos prune` does with packs, twice: packs that were replaced go the second time."""
    for _ in range(2):
        remove_orphans(stores)
        upkeep.rewrite_packs(stores, SLUG, rested=timedelta(0))
    remove_orphans(stores)


def killed(settings: Settings, connections: Connections, number: int, count: int) -> None:
    """A process of its own: the work, until it kills itself."""
    stores, step = open_stores(connections, settings), STEPS[number]
    kill_at(step, count)
    if step.pruning:
        prune(stores)
    else:
        walk(stores)


def contents(stores: Stores) -> list[Any]:
    """All that a run left: its folds' rows without what names a run or pack, their files byte by byte, and its predictions."""
    runs = list_runs(stores.postgres, SLUG)
    artifacts, run_id = FoldArtifacts(stores.artifacts), runs[0].run_id
    files = stored_fold_files(stores.postgres, run_id)
    rows = [(f.fold_number, f.fold_key, f.thresholds, f.metrics, f.importance, f.best_score) for f in get_folds(stores.postgres, run_id)]
    predictions = read_predictions(stores, run_id).rows()
    return [rows, {number: artifacts.contents([one]) for number, one in sorted(files.items())}, predictions]


def unsound(stores: Stores) -> int:
    """Folds whose row names something that is missing or damaged."""
    runs = list_runs(stores.postgres, SLUG)
    files = [one for run in runs for one in stored_fold_files(stores.postgres, run.run_id).values()]
    return sum(state != "whole" for state in FoldArtifacts(stores.artifacts).states(files))


def unnamed(stores: Stores) -> int:
    """Packs and half-written files that no row names, and packs that are named and not here."""
    needed = {one.pack for run in list_runs(stores.postgres, SLUG) for one in stored_fold_files(stores.postgres, run.run_id).values()}
    parts = [path for path in stores.settings.artifacts_dir.rglob("*") if path.name.startswith(".")]
    return len(needed ^ set(FoldArtifacts(stores.artifacts).packs())) + len(parts)


def forget(stores: Stores) -> None:
    """Retire the run and remove what it left."""
    for run in list_runs(stores.postgres, SLUG):
        retire_run(stores, run.run_id)
    remove_orphans(stores)
    assert not FoldArtifacts(stores.artifacts).packs()


def figures(settings: Settings, connections: Connections, asked: argparse.Namespace) -> Iterator[Figure]:
    """Three counts for each step, all of which have to be 0."""
    stores, chance = open_stores(connections, settings), random.Random(asked.seed)
    method = multiprocessing.get_context("forkserver")
    method.set_forkserver_preload(["benchmarks.walkforward.pack_kills"])
    publish(stores, SLUG, make_bars(ROWS))
    walk(stores)
    due = contents(stores)
    forget(stores)
    assert len(due[0]) == FOLDS, len(due[0])
    for step in (one for one in STEPS if asked.only in one.words):
        alive = broken = differing = left = 0
        for _ in range(asked.kills):
            if step.pruning:
                walk(stores)
            process = method.Process(target=killed, args=(settings, connections, STEPS.index(step), chance.randint(1, step.times)))
            process.start()
            process.join()
            alive += process.exitcode != -signal.SIGKILL
            broken += unsound(stores)
            walk(stores)
            differing += contents(stores) != due
            prune(stores)
            differing += contents(stores) != due
            left += unnamed(stores)
            forget(stores)
        yield none_of(f"{step.words}: processes that lived", alive, asked.kills, "were not killed")
        yield none_of(f"{step.words}: rows after the kill", broken, asked.kills * len(due[0]), "name something missing or damaged")
        yield none_of(f"{step.words}: the run again, before and after a prune", differing, 2 * asked.kills, "differ from the whole one")
        yield none_of(f"{step.words}: packs and parts after a prune", left, asked.kills, "are named by no row, or named and gone")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=10, help="of each step")
    parser.add_argument("--only", default="", metavar="WORD", help="steps whose description has it")
    parser.add_argument("--seed", type=int, default=1)
    add_json(parser)
    asked = parser.parse_args()
    with temporary_servers(durable=True) as (settings, connections):
        report(figures(settings, connections, asked), as_json=asked.json)


if __name__ == "__main__":
    main()
