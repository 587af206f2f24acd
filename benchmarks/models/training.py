"""What a night's live training costs, in folds; trainings, promotions and exports that are killed; promotions at once."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.figures import Figure, at_most, none_of
from benchmarks.models.workplace import HORIZON, ROWS, profile_of, trained, walked
from chronos_assets.errors import ChronosError
from chronos_assets.learning.keys import FoldKeys
from chronos_assets.learning.training import FoldSpec, train_fold
from chronos_assets.pipeline.models.aliases import Renamed, model_named, promote, rollback
from chronos_assets.pipeline.models.bundle import verify_bundle
from chronos_assets.pipeline.models.predict import load_stored
from chronos_assets.pipeline.models.train import train_request
from chronos_assets.pipeline.upkeep.retire import remove_orphans
from chronos_assets.pipeline.walkforward.data import make_recipe, read_run_data
from chronos_assets.pipeline.walkforward.run import plan_request, run_walkforward
from chronos_assets.storage.live_signals import read_signals
from chronos_assets.storage.models import alias_history, get_model, list_models, stacks
from chronos_assets.storage.stores import Stores
from chronos_assets.testing import process_environment
from chronos_assets_tests.support.walkforward_data import make_bars, publish, small_profile

CHRONOS = [sys.executable, "-W", "ignore", "-c", "from chronos_assets.cli.main import main; main()"]
MOST_FOLDS = 1.5
BIG = {"train_size": 2_000, "test_size": 21, "model": {"rounds": 500, "early_stopping": 0, "eta": 0.01}}
THREADS = 8


def cost(stores: Stores, *, times: int) -> Iterator[Figure]:
    """A live training, from the stores to the stores, against `train_fold` of the last fold of its run on the same arrays."""
    slug, profile = "cost_1d_v1", small_profile(**BIG)
    rows = BIG["train_size"] + 2 + 5 * 21 + 7
    publish(stores, slug, make_bars(rows, features=29))
    run_walkforward(slug, profile, stores, horizon=HORIZON, horizon_assumed=False)
    request = plan_request(slug, profile, stores, horizon=HORIZON, horizon_assumed=False)
    data = read_run_data(stores, request)
    fold, recipe = request.folds[-1], make_recipe(request, data)
    split = fold.split(profile.val_split_ratio)
    spec = FoldSpec(fold, split, FoldKeys(data.arrays, recipe).key(fold, split), recipe)
    one_fold, live = [], []
    for _ in range(times):
        started = time.perf_counter()
        train_fold(data.arrays, spec)
        one_fold.append(time.perf_counter() - started)
        forget_models(stores, slug)
        started = time.perf_counter()
        assert not train_request(request, stores).reused
        live.append(time.perf_counter() - started)
    bare = statistics.median(one_fold)
    yield at_most(f"a live training, in folds of {bare:.2f} s", statistics.median(live) / bare, MOST_FOLDS, "folds")


def forget_models(stores: Stores, slug: str) -> None:
    """As if no model of a dataset had ever been trained."""
    with stores.postgres.connection() as connection:
        connection.execute("DELETE FROM model_aliases WHERE dataset_id = %s", [slug])
        connection.execute("DELETE FROM models WHERE dataset_id = %s", [slug])
    remove_orphans(stores)


class Killer:
    """Starts `chronos` commands and kills them (SIGKILL) at a random moment of the time that they usually take."""

    def __init__(self, stores: Stores, random: Random, folder: Path) -> None:
        self._environment, self._random, self._folder = process_environment(stores.settings), random, folder
        self._usual: dict[str, float] = {}

    def whole(self, *words: str) -> Any:
        """A command that is left alone: the document that it prints."""
        started = time.perf_counter()
        done = subprocess.run(
            [*CHRONOS, *words, "--json"], env=self._environment, cwd=self._folder, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"chronos {' '.join(words)} ended with {done.returncode}: {done.stderr[-1000:]}")
        self._usual[words[1]] = time.perf_counter() - started
        return json.loads(done.stdout)

    def kill(self, *words: str) -> None:
        """A command that is killed, mostly late: the first half of its time it loads itself."""
        with subprocess.Popen(
            [*CHRONOS, *words], env=self._environment, cwd=self._folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            time.sleep(self._random.uniform(0.4, 1.0) * self._usual[words[1]])
            process.kill()


def kills(stores: Stores, folder: Path, *, count: int, seed: int) -> Iterator[Figure]:
    """Train, promote and export, each killed and asked for again: what is there afterwards is what a run that nobody killed leaves."""
    slug, profile = "killed_1d_v1", profile_of()
    walked(stores, slug, profile)
    options = ["--horizon", str(HORIZON), *_options()]
    killer = Killer(stores, Random(seed), folder)
    due = killer.whole("model", "train", slug, *options)["model"]
    first, signals = get_model(stores.postgres, due["model_id"]), read_signals(stores, dataset=slug)
    wrong = {"train": 0, "promote": 0, "export": 0}
    for _ in range(count):
        forget_models(stores, slug)
        killer.kill("model", "train", slug, *options)
        half = list_models(stores.postgres, slug)
        sound = all(_readable(stores, one.model_id) for one in half)
        killer.whole("model", "train", slug, *options)
        (again,) = list_models(stores.postgres, slug)
        same = (again.model_id, again.sha256, again.thresholds) == (first.model_id, first.sha256, first.thresholds)
        wrong["train"] += not (sound and same and read_signals(stores, dataset=slug).equals(signals))
    yield none_of("trainings killed and run again", wrong["train"], count, "left another model, file or signal")

    other = _second(stores, slug, profile)
    for turn in range(count):
        asked, before = (other, first.model_id) if turn % 2 == 0 else (first.model_id, other)
        killer.whole("model", "promote", before)
        killer.kill("model", "promote", asked)
        between = model_named(stores, slug).model_id
        killer.whole("model", "promote", asked)
        wrong["promote"] += between not in (asked, before) or model_named(stores, slug).model_id != asked
    history = alias_history(stores.postgres, slug)
    twice = sum(one.model_id == two.model_id for one, two in pairwise(history))
    yield none_of("promotions killed and run again", wrong["promote"] + twice, count, "left a name in between or a change twice")

    killer.whole("model", "export", other, "-o", "whole")
    for turn in range(count):
        name = f"bundle-{turn}{'.zip' if turn % 2 else ''}"
        killer.kill("model", "export", other, "-o", name)
        path = folder / name
        there = path.exists()
        wrong["export"] += there and not _verifies(path)
        if not there:
            killer.whole("model", "export", other, "-o", name)
            wrong["export"] += not _verifies(path)
    left = [file.name for file in folder.iterdir() if file.name.startswith(".bundle-")]
    yield none_of("exports killed and run again", wrong["export"], count, "left a bundle that is not whole")
    print(f"      hidden folders that killed exports left beside their place: {len(left)}", flush=True)


def _options() -> list[str]:
    """The small profile as options of a command."""
    sizes = ["--target", "target_a", "--train-size", "60", "--test-size", "10", "--gap", "2"]
    model = profile_of().model.model_dump(exclude_unset=True)
    return [*sizes, *(word for name, value in model.items() if name != "learner" for word in ("--set", f"model.{name}={value}"))]


def _second(stores: Stores, slug: str, profile: Any) -> str:
    """The model of the day after."""
    walked(stores, slug, profile, rows=ROWS + 1)
    return trained(stores, slug, profile).model.model_id


def _readable(stores: Stores, model_id: str) -> bool:
    try:
        load_stored(stores, get_model(stores.postgres, model_id))
    except ChronosError:
        return False
    return True


def _verifies(path: Path) -> bool:
    try:
        verify_bundle(path)
    except ChronosError:
        return False
    return True


def promotions(stores: Stores, *, count: int, seed: int) -> Iterator[Figure]:
    """Promotions and rollbacks of one name from several threads: each was decided by what the one before it left."""
    slug, profile = "crowd_1d_v1", profile_of()
    models = []
    for more in range(3):
        walked(stores, slug, profile, rows=ROWS + more)
        models.append(trained(stores, slug, profile).model.model_id)

    def change(number: int) -> list[Renamed]:
        random, done = Random(seed * THREADS + number), []
        for _ in range(count // THREADS):
            try:
                found = rollback(stores, slug) if random.random() < 0.4 else promote(stores, random.choice(models))
            except ChronosError as error:
                if error.code != "nothing_to_roll_back":
                    raise
                continue
            if found.change is not None:
                done.append(found)
        return done

    with ThreadPoolExecutor(THREADS) as pool:
        done = {found.change.change_id: found for one in pool.map(change, range(THREADS)) for found in one if found.change is not None}
    history, wrong = alias_history(stores.postgres, slug), 0
    for at, made in enumerate(history):
        stack = stacks(history[:at]).get((slug, "live"), [])
        before = stack[-1] if stack else None
        right = stack[-2:-1] == [made.model_id] if made.action == "rollback" else made.model_id != before
        wrong += not right or done[made.change_id].before != before
    lost = set(done) ^ {made.change_id for made in history}
    yield none_of(
        f"promotions and rollbacks from {THREADS} threads", wrong + len(lost), len(history), "changes were decided by something else"
    )
