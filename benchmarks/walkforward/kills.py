"""SIGKILL at random moments: `python -m benchmarks.walkforward.kills [--kills 20] [--seed 1]`.

A `chronos walkforward` process is started and killed again and again, after a random time, until it has been killed often enough and is
let to finish. Then its run must equal one that was never killed, prediction by prediction and row by row, and no fold may have been
trained again after it was stored (its row is the one that was seen first).
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import time
from typing import Any

from chronos_assets.storage.runs import declare_dead_runs, get_folds, list_runs, read_predictions
from chronos_assets.storage.stores import Stores
from chronos_assets.testing import process_environment, temporary_stores
from chronos_assets_tests.support.walkforward_data import make_bars, publish

KILLED, WHOLE = "killed_1d_v1", "whole_1d_v1"
SIZES = [
    "--horizon",
    "3",
    "--train-size",
    "200",
    "--test-size",
    "2",
    "--gap",
    "2",
    "--set",
    "model.rounds=150",
    "--set",
    "model.early_stopping=0",
]
COMMAND = [sys.executable, "-c", "from chronos_assets.cli.main import main; main()", "walkforward"]


def row_versions(stores: Stores, slug: str) -> dict[int, str]:
    """The transaction that wrote each stored fold's row: it changes where a fold is stored a second time."""
    runs = list_runs(stores.postgres, slug)
    if not runs:
        return {}
    with stores.postgres.connection() as connection:
        statement = "SELECT fold_number, xmin::text AS version FROM walkforward_folds WHERE run_id = %s"
        return {row["fold_number"]: row["version"] for row in connection.execute(statement, [runs[0].run_id]).fetchall()}


def run_once(stores: Stores, slug: str, chance: random.Random | None = None) -> dict[str, Any] | None:
    """One process; None if it was killed (with `chance`), else the document that it printed."""
    command = [*COMMAND, slug, *SIZES, "--json"]
    with subprocess.Popen(command, env=process_environment(stores.settings), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        if chance is not None and survive(stores, slug, process, chance):
            process.send_signal(signal.SIGKILL)
            process.wait()
            return None
        out, _ = process.communicate()
    document: dict[str, Any] = json.loads(out)
    return document


def survive(stores: Stores, slug: str, process: subprocess.Popen[bytes], chance: random.Random) -> bool:
    """Wait for a random moment: mostly a little after it has stored folds, now and then at its start; False if it ended before."""
    before, at_the_start = len(row_versions(stores, slug)), chance.random() < 0.2
    while not at_the_start and process.poll() is None and len(row_versions(stores, slug)) <= before:
        time.sleep(0.1)
    time.sleep(chance.uniform(0.0, 4.0 if at_the_start else 0.8))
    return process.poll() is None


def campaign(stores: Stores, kills: int, chance: random.Random) -> dict[str, Any]:
    bars = make_bars(200 + 2 + 2 * 400)
    for slug in (KILLED, WHOLE):
        publish(stores, slug, bars)
    whole = run_once(stores, WHOLE)
    assert whole is not None
    done, seen, trained_again, finished_early = 0, {}, 0, 0
    while done < kills:
        result = run_once(stores, KILLED, chance)
        if result is not None:  # it was faster than its killer: begin again with nothing stored
            finished_early += 1
            with stores.postgres.connection() as connection:
                connection.execute("DELETE FROM walkforward_runs WHERE run_id = %s", [result["run_id"]])
            seen = {}
            continue
        done += 1
        now = row_versions(stores, KILLED)
        trained_again += sum(now.get(fold) != version for fold, version in seen.items())
        seen = now
        print(f"kill {done}: {len(now)} folds stored", flush=True)
    dead = declare_dead_runs(stores.postgres)
    killed = run_once(stores, KILLED)
    assert killed is not None
    now = row_versions(stores, KILLED)
    trained_again += sum(now.get(fold) != version for fold, version in seen.items())
    mine, theirs = (read_predictions(stores, document["run_id"]) for document in (killed, whole))
    rows = [
        [(f.fold_number, f.fold_key, f.thresholds, f.metrics, f.best_score) for f in get_folds(stores.postgres, d["run_id"])]
        for d in (killed, whole)
    ]
    return {
        "kills": done,
        "finished_before_the_kill": finished_early,
        "declared_dead": len(dead),
        "folds": len(now),
        "trained_in_the_end": killed["folds_trained"],
        "stored_before_it": len(seen),
        "folds_stored_twice": trained_again,
        "predictions_equal": mine.equals(theirs),
        "rows_equal": rows[0] == rows[1],
        "summary_equal": killed["summary_metrics"]["both"] == whole["summary_metrics"]["both"],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with temporary_stores(durable=True) as stores:
        result = campaign(stores, given.kills, random.Random(given.seed))
    print(json.dumps(result, indent=2))
    sound = result["predictions_equal"] and result["rows_equal"] and result["summary_equal"] and not result["folds_stored_twice"]
    return 0 if sound and result["trained_in_the_end"] + result["stored_before_it"] == result["folds"] else 1


if __name__ == "__main__":
    sys.exit(main())
