"""Trials of runs: recorded when a run has numbers, kept when it is retired, and counted whenever one of them is judged.

A lineage is a dataset in all its versions and contents: the same symbol and interval. All runs on a lineage and target are trials, by hand
or by sweep, retired or of older content: whoever picks the best of them has looked at all.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from chronos_assets.domain.slug import Slug
from chronos_assets.domain.statistics.trials import Signals, Trial, trial_of
from chronos_assets.domain.targets import case_returns
from chronos_assets.storage.runs import RunRecord, get_run, read_predictions
from chronos_assets.storage.stores import Stores
from chronos_assets.storage.trials import has_trial, read_trials, record_trial


def lineage_of(slug: str) -> str:
    """Symbol and interval of a dataset: what its versions have in common."""
    parsed = Slug.parse(slug)
    return f"{parsed.symbol}_{parsed.granularity}"


def signals_of(predictions: pl.DataFrame, *, binary: bool) -> Signals:
    """All signals of a run whose target is known, each bar judged by its own fold's thresholds (columns as `read_predictions` has them)."""
    names = ("prediction", "long_threshold", "short_threshold", "target_value")
    prediction, long_threshold, short_threshold, target = (predictions[name].fill_null(np.nan).to_numpy() for name in names)
    with np.errstate(invalid="ignore"):
        long, short = prediction >= long_threshold, prediction <= short_threshold
    at = np.flatnonzero((long != short) & ~np.isnan(target))
    signs = np.where(long[at], 1.0, -1.0)
    times, rows = (predictions[name].to_numpy()[at] for name in ("timestamp_unix", "bar_index"))
    return Signals(times, rows, signs, signs * case_returns(target[at], binary=binary))


def trial_of_run(run: RunRecord, predictions: pl.DataFrame, *, binary: bool) -> Trial:
    """The trial of a run from its stored predictions."""
    horizon = int(run.walk_config.get("horizon") or 1)
    interval = Slug.parse(run.dataset_id).interval_seconds
    return trial_of(signals_of(predictions, binary=binary), horizon=horizon, interval_seconds=interval)


def keep_trial(stores: Stores, run_id: str, predictions: pl.DataFrame, *, binary: bool) -> None:
    """Record the trial of a run that has numbers."""
    run = get_run(stores.postgres, run_id)
    record_trial(stores.postgres, run, lineage_of(run.dataset_id), trial_of_run(run, predictions, binary=binary))


def keep_trial_of_old_run(stores: Stores, run: RunRecord) -> None:
    """Record the trial of a run that an older program made, before the run goes; a run without predictions showed nothing."""
    if has_trial(stores.postgres, run.run_id):
        return
    predictions = read_predictions(stores, run.run_id)
    if predictions.height:
        keep_trial(stores, run.run_id, predictions, binary=_binary(run))


def all_trials(stores: Stores, dataset_id: str, target: str) -> dict[str, Trial]:
    """Every trial on the dataset's lineage and target by run_id, newest first. Reads only: of old runs they are computed each time."""
    kept, others = read_trials(stores.postgres, lineage_of(dataset_id), target)
    old = {}
    for run_id in others:
        run = get_run(stores.postgres, run_id)
        old[run_id] = trial_of_run(run, read_predictions(stores, run_id), binary=_binary(run))
    return kept | old


def _binary(run: RunRecord) -> bool:
    return bool((run.summary_metrics or {}).get("binary_target"))
