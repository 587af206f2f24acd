"""What goes by policy, and its going: superseded runs with what depends on them, older files of bars, audits and prices.

Planning looks only; `--dry-run` prints the plan that a prune executes. Nothing that a process works on goes: every run is retired under
its locks, every dataset's files under the dataset's lock, and what is locked is left for the next night.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path, PurePosixPath

from chronos_assets.domain.retention import Keep, current_runs, models_to_let_go, reasons_to_keep
from chronos_assets.errors import ChronosError, ConflictError, NotPublishedError
from chronos_assets.pipeline.export.normalize import report_of
from chronos_assets.pipeline.progress import Progress, silent
from chronos_assets.pipeline.simulation.price_artifacts import FOLDER as PRICES
from chronos_assets.pipeline.upkeep.packs import rewrite_packs
from chronos_assets.pipeline.upkeep.retire import remove_orphans, retire_run, run_spaces
from chronos_assets.settings import Settings
from chronos_assets.storage.audit_cells import kept_cells
from chronos_assets.storage.datasets import DatasetRecord, list_datasets, lock_key
from chronos_assets.storage.manifest_files import load_manifest, manifest_path
from chronos_assets.storage.models import UnnamedModel, delete_models, unnamed_models
from chronos_assets.storage.retention import StandingRun, price_files_in_use, prune_attempts, retention_runs
from chronos_assets.storage.runs import count_predictions
from chronos_assets.storage.stores import Stores

# A file that was written a moment ago may be one that a process is about to name in a row.
YOUNG_SECONDS = 3_600.0
KEPT_BARS_FILES = 2
KeepOf = Callable[[str], Keep]
Count = Callable[[Sequence[str]], Mapping[str, int]]


@dataclass(frozen=True)
class GoingRun:
    """A run that the policy does not keep."""

    dataset_id: str
    run_id: str
    profiles: list[str]
    folds: int
    simulations: int
    rows: int
    bytes: int


@dataclass(frozen=True)
class PrunePlan:
    """What goes, and how many runs stay for which reason.

    `bars`: files of bars on this machine, in bytes by path; `cells`: failing cells of old audits, in bytes by artifact and dataset;
    `prices`: kept prices, in bytes by artifact; `models`: models that go with their signals, of runs that are retired already.
    """

    runs: list[GoingRun]
    kept: dict[str, int]
    bars: dict[Path, int]
    cells: dict[str, dict[str, int]] = field(default_factory=dict)
    prices: dict[str, int] = field(default_factory=dict)
    models: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    """Why runs that could go do not yet."""

    @property
    def files(self) -> int:
        """Files and artifacts that go, besides those of runs."""
        return len(self.bars) + sum(map(len, self.cells.values())) + len(self.prices)

    @property
    def bytes(self) -> int:
        """Bytes of all that goes."""
        cells = sum(sum(sizes.values()) for sizes in self.cells.values())
        return sum(one.bytes for one in self.runs) + sum(self.bars.values()) + cells + sum(self.prices.values())


@dataclass(frozen=True)
class Pruned:
    """What went. `skipped`: what somebody works on, each with why."""

    runs: int
    simulations: int
    rows: int
    bytes: int
    attempts: int
    models: int
    skipped: list[str]


def keep_of(settings: Settings, override: Keep | None = None) -> KeepOf:
    """The policy of each dataset: `override`, else its manifest's `keep`, else the settings'."""

    def policy(slug: str) -> Keep:
        usual = Keep(nights=settings.keep_nights, months=settings.keep_months)
        with suppress(ChronosError, OSError):
            loaded = load_manifest(manifest_path(settings.exports_dir, slug), data_roots=settings.data_roots)
            return override or loaded.manifest.keep or usual
        return override or usual

    return policy


def plan_prune(stores: Stores, policy: KeepOf, slug: str | None = None) -> PrunePlan:
    """What the policy does not keep, of one dataset or of all; changes nothing."""
    standing = retention_runs(stores.postgres, slug)
    by_dataset: dict[str, list[StandingRun]] = {}
    for one in standing:
        by_dataset.setdefault(one.dataset_id, []).append(one)
    going: list[StandingRun] = []
    kept: dict[str, int] = {}
    waiting: list[str] = []
    for dataset, runs in by_dataset.items():
        reasons = reasons_to_keep([one.run for one in runs], policy(dataset))
        for reason in reasons.values():
            kept[reason] = kept.get(reason, 0) + 1
        gone = [one for one in runs if one.run.run_id not in reasons]
        unready = why_unready(runs, gone, partial(count_predictions, stores))
        going += [one for one in gone if one.run.run_id not in unready]
        waiting += [f"{dataset}: {count} runs {why}" for why, count in Counter(unready.values()).items()]
    spaces = run_spaces(stores, [one.run.run_id for one in going])
    runs_going = [
        GoingRun(
            one.dataset_id,
            one.run.run_id,
            sorted(one.run.profiles),
            space.folds,
            len(space.simulations),
            space.prediction_rows,
            space.own_artifact_bytes,
        )
        for one in going
        for space in (spaces[one.run.run_id],)
    ]
    cells = {
        dataset: {entry.name: entry.size for entry in entries[policy(dataset).nights :]}
        for dataset, entries in kept_cells(stores.artifacts, slug).items()
    }
    prices = dict(_old_prices(stores)) if slug is None else {}
    bars, models = dict(_old_bars_files(stores, slug)), _old_models(stores, policy, slug)
    return PrunePlan(runs_going, kept, bars, cells, prices, models, waiting)


def prune(stores: Stores, policy: KeepOf, slug: str | None = None, *, progress: Progress = silent) -> Pruned:
    """Retire what `plan_prune` says, and remove what earlier prunes that were killed have left."""
    plan = plan_prune(stores, policy, slug)
    skipped, retired = list(plan.waiting), []
    for number, going in enumerate(plan.runs):
        progress("retire", number, len(plan.runs), going.run_id)
        try:
            retired.append((going, retire_run(stores, going.run_id)))
        except ConflictError as error:
            skipped.append(f"{going.dataset_id}: run {going.run_id} stays: {error.message}")
        except NotPublishedError:
            continue  # another prune was faster
    freed = sum(space.own_artifact_bytes for _, space in retired)
    bars = _by_dataset(plan.bars)
    for dataset in sorted(bars.keys() | {dataset for dataset, cells in plan.cells.items() if cells}):
        freed += _remove(stores, dataset, bars.get(dataset, {}), plan.cells.get(dataset, {}), skipped)
    freed += sum(stores.artifacts.delete(name) for name in plan.prices)
    try:
        freed += remove_orphans(stores)
        rewrite_packs(stores, slug)
    except ConflictError as error:
        skipped.append(f"files that no row names stay: {error.message}")
    datasets = [record.dataset_id for record in list_datasets(stores.postgres) if slug in {None, record.dataset_id}]
    return Pruned(
        runs=len(retired),
        simulations=sum(going.simulations for going, _ in retired),
        rows=sum(space.prediction_rows for _, space in retired),
        bytes=freed,
        attempts=sum(prune_attempts(stores.postgres, name, newest=policy(name).nights) for name in datasets),
        models=delete_models(stores.postgres, _old_models(stores, policy, slug)),  # those of the runs that went just now included
        skipped=skipped,
    )


def why_unready(runs: Sequence[StandingRun], gone: Sequence[StandingRun], count: Count) -> dict[str, str]:
    """Why runs that the policy does not keep stay all the same, by run_id: what replaced them in a profile is not all there yet.

    A successor is ready once it has all folds, as many predictions in QuestDB (`count`, by run_id) as they say, and a simulation if
    the older run has one. `runs`: all of one dataset; `gone`: those of them that the policy does not keep.
    """
    current = current_runs([one.run for one in runs])
    successors = {profile: one for profile, run_id in current.items() for one in runs if one.run.run_id == run_id}
    needed = sorted({current[profile] for one in gone for profile in one.run.profiles if profile in current})
    predictions = count(needed) if needed else {}
    found: dict[str, str] = {}
    for one in gone:
        for profile in sorted(one.run.profiles):
            successor = successors.get(profile)
            if successor is None or not successor.whole or predictions.get(successor.run.run_id, 0) != successor.rows:
                found.setdefault(one.run.run_id, f"of {profile} stay until its current run is whole in both stores")
            elif one.simulated and not successor.simulated:  # the night got no further than the predictions
                found.setdefault(one.run.run_id, f"of {profile} stay until its current run is simulated")
    return found


def _old_bars_files(stores: Stores, slug: str | None) -> Iterator[tuple[Path, int]]:
    """Files of bars but the registered ones and those before."""
    records = {record.dataset_id: record for record in list_datasets(stores.postgres)}
    for folder in _folders(stores.settings.artifacts_dir / "bars", slug):
        yield from _sized(_old_bars(folder, records.get(folder.name)))


def _old_models(stores: Stores, policy: KeepOf, slug: str | None) -> list[str]:
    """Models whose run is retired that the policy does not keep, of a dataset or of all."""
    by_dataset: dict[str, list[UnnamedModel]] = {}
    for one in unnamed_models(stores.postgres, slug):
        by_dataset.setdefault(one.dataset_id, []).append(one)
    return [
        model_id
        for dataset, models in by_dataset.items()
        for model_id in models_to_let_go({one.model_id: one.created_at for one in models}, models[0].newest, policy(dataset))
    ]


def _old_prices(stores: Stores) -> Iterator[tuple[str, int]]:
    """Kept prices that no simulation used."""
    used, before = price_files_in_use(stores.postgres), datetime.now(UTC) - timedelta(seconds=YOUNG_SECONDS)
    for entry in stores.artifacts.list(PRICES):
        if entry.modified < before and f"sha256:{PurePosixPath(entry.name).stem}" not in used:
            yield entry.name, entry.size


def _old_bars(folder: Path, record: DatasetRecord | None) -> list[Path]:
    """Arrow files of a dataset with their reports, but the newest of the registered content, and the newest besides."""
    newest_first = sorted(folder.glob("*.arrow"), key=_age)
    registered = [path for path in newest_first if record is not None and _checksum_of(path) == record.checksum][:1]
    others = [path for path in newest_first if path not in registered]
    old = others[KEPT_BARS_FILES - len(registered) :]
    return [path for arrow in old if _age(arrow) > YOUNG_SECONDS for path in (arrow, arrow.with_suffix(".json")) if path.is_file()]


def _checksum_of(path: Path) -> str:
    report = report_of(path)
    return "" if report is None else report.checksum


def _remove(stores: Stores, dataset: str, bars: Mapping[Path, int], cells: Mapping[str, int], skipped: list[str]) -> int:
    """Remove files of bars and failing cells of a dataset under its lock; returns the bytes."""
    try:
        with stores.postgres.session_lock(lock_key(dataset), what=f"dataset {dataset}"):
            for path in bars:
                path.unlink(missing_ok=True)
            for name in cells:
                stores.artifacts.delete(name)
    except ConflictError as error:
        skipped.append(f"{dataset}: {len(bars) + len(cells)} files stay: {error.message}")
        return 0
    return sum(bars.values()) + sum(cells.values())


def _by_dataset(files: Mapping[Path, int]) -> dict[str, dict[Path, int]]:
    """Files by the folder that they are in: a dataset's name."""
    found: dict[str, dict[Path, int]] = {}
    for path, size in files.items():
        found.setdefault(path.parent.name, {})[path] = size
    return found


def _folders(root: Path, slug: str | None) -> list[Path]:
    return sorted(folder for folder in root.glob("*") if folder.is_dir() and slug in {None, folder.name})


def _sized(paths: Iterator[Path] | Sequence[Path]) -> Iterator[tuple[Path, int]]:
    for path in paths:
        with suppress(FileNotFoundError):
            yield path, path.stat().st_size


def _age(path: Path) -> float:
    """Seconds since a file was written; 0 for one that has just gone."""
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
