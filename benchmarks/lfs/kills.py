"""SIGKILL at random moments: `python -m benchmarks.lfs.kills [--kills 20] [--seed 1]`.

A `chronos lfs` process on one or two threads is started and killed again and again, until it has been killed often enough and is let to
finish. Then its selection must equal one that was never killed, file by file and row by row, and no permutation that was finished may have
been lost, changed or computed again.
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

import numpy as np

from chronos_assets.storage.lfs import declare_dead_lfs, get_lfs, get_lfs_features, list_lfs
from chronos_assets.storage.lfs_artifacts import LfsArtifacts
from chronos_assets.storage.stores import Stores
from chronos_assets.testing import process_environment, temporary_stores
from chronos_assets_tests.support.walkforward_data import make_bars, publish

KILLED, WHOLE = "killed_1d_v1", "whole_1d_v1"
FEATURES, PERMUTATIONS = 4, 150
OPTIONS = ["--target", "target_a", "--rows", "0:", "--max-kept", "2", "--permutations", str(PERMUTATIONS), "--horizon", "3"]
COMMAND = [sys.executable, "-c", "from chronos_assets.cli.main import main; main()", "lfs"]


def start(stores: Stores, slug: str, threads: int) -> subprocess.Popen[bytes]:
    command = [*COMMAND, slug, *OPTIONS, "--threads", str(threads), "--json"]
    return subprocess.Popen(command, env=process_environment(stores.settings), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def files_of(stores: Stores, slug: str) -> LfsArtifacts | None:
    found = list_lfs(stores.postgres, slug)
    return LfsArtifacts(stores.artifacts, found[0].lfs_id, FEATURES) if found else None


def counts(stores: Stores) -> dict[int, np.ndarray]:
    """Permutations that are kept by now."""
    files = files_of(stores, KILLED)
    return {} if files is None else files.done()


def kill_once(stores: Stores, chance: random.Random) -> bool:
    """Start, wait for a random moment (one of five: while it starts; else a little after another permutation is kept), kill.

    False if it ended before.
    """
    before, at_the_start = len(counts(stores)), chance.random() < 0.2
    with start(stores, KILLED, chance.choice([1, 2])) as process:
        while not at_the_start and process.poll() is None and len(counts(stores)) <= before:
            time.sleep(0.01)
        time.sleep(chance.uniform(0.0, 4.0 if at_the_start else 0.5))
        process.send_signal(signal.SIGKILL)
        return process.wait() == -signal.SIGKILL


def campaign(stores: Stores, kills: int, chance: random.Random) -> dict[str, Any]:
    bars = make_bars(1200)
    for slug in (KILLED, WHOLE):
        publish(stores, slug, bars)
    with start(stores, WHOLE, 2) as process:
        assert process.wait() == 0
    seen: dict[int, np.ndarray] = {}
    done, lost_or_changed, stored = 0, 0, []
    while done < kills and kill_once(stores, chance):
        done += 1
        now = counts(stores)
        lost_or_changed += sum(r not in now or not np.array_equal(now[r], before) for r, before in seen.items())
        seen = now
        stored.append(len(now))
        print(f"kill {done}: {len(now)} of {PERMUTATIONS} permutations kept", flush=True)
    dead = declare_dead_lfs(stores.postgres)
    ended = subprocess.run(
        [*COMMAND, KILLED, *OPTIONS, "--json"], env=process_environment(stores.settings), capture_output=True, text=True, check=True
    )
    killed, whole = (list_lfs(stores.postgres, slug)[0] for slug in (KILLED, WHOLE))
    mine, theirs = (LfsArtifacts(stores.artifacts, one.lfs_id, FEATURES) for one in (killed, whole))
    lost_or_changed += sum(not np.array_equal(mine.done()[r], before) for r, before in seen.items())
    return {
        "kills": done,
        "declared_dead": len(dead),
        "permutations_kept_after_each_kill": stored,
        "lost_or_changed": lost_or_changed,
        "permutations_equal": stores.artifacts.read(mine.counts_place) == stores.artifacts.read(theirs.counts_place),
        "sets_equal": mine.sets().equals(theirs.sets()),
        "features_equal": get_lfs_features(stores.postgres, killed.lfs_id) == get_lfs_features(stores.postgres, whole.lfs_id),
        "status": get_lfs(stores.postgres, killed.lfs_id).status,
        "document_is_whole": json.loads(ended.stdout)["run"]["summary_metrics"]["permutations_done"] == PERMUTATIONS,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with temporary_stores() as stores:
        result = campaign(stores, given.kills, random.Random(given.seed))
    print(json.dumps(result, indent=2))
    equal = all(result[name] for name in ("permutations_equal", "sets_equal", "features_equal", "document_is_whole"))
    return 0 if equal and result["status"] == "completed" and not result["lost_or_changed"] and result["kills"] == given.kills else 1


if __name__ == "__main__":
    sys.exit(main())
