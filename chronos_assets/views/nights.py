"""The morning: what a night came to, dataset by dataset, made once from the stores and kept as it was; shown wherever somebody looks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from chronos_assets.errors import ServiceUnavailableError
from chronos_assets.storage.datasets import DatasetRecord, find_dataset
from chronos_assets.storage.nights import (
    LastPrediction,
    current_runs,
    datasets_before,
    last_prediction,
    newest_nights,
    simulations_of_night,
    write_night,
)
from chronos_assets.storage.postgres import Postgres
from chronos_assets.storage.stores import Stores
from chronos_assets.views import documents as doc
from chronos_assets.views.runs import read_run, warnings_of
from chronos_assets.views.space import read_space

# Outcomes that stand until somebody does something.
STANDING = ("failed", "refused", "not taken")


@dataclass(frozen=True)
class Ended:
    """How one dataset of a night ended, as whoever ran the night knows it."""

    dataset: str
    outcome: doc.Outcome
    reason: str = ""
    folds_trained: int = 0


def record_night(stores: Stores, night: str, started_at: datetime, ended: Sequence[Ended]) -> doc.Morning:
    """Make the summary of a night from the stores, and keep it. `ended`: every dataset that has a manifest, once.

    Without QuestDB it holds what Postgres knows: why each dataset failed, and its bars, runs and equity, but no prediction and no space.
    """
    questdb_answers = _answers(stores)
    earlier = datasets_before(stores.postgres, night, [one.dataset for one in ended])
    before = {one.dataset: one for one in map(doc.NightDataset.model_validate, earlier)}
    datasets = [_dataset(stores, one, before.get(one.dataset), predictions=questdb_answers) for one in sorted(ended, key=_by_urgency)]
    counts = Counter[str](one.outcome for one in datasets)
    morning = doc.Morning(
        night=night,
        started_at=started_at,
        completed_at=datetime.now(UTC),
        headline=_headline(datasets, counts) + ("" if questdb_answers else "; QuestDB did not answer"),
        outcomes=dict(counts),
        datasets=datasets,
        space=read_space(stores) if questdb_answers else None,
    )
    write_night(stores.postgres, night, started_at, morning.model_dump(mode="json"))
    return morning


def list_mornings(postgres: Postgres, *, limit: int) -> list[doc.Morning]:
    """Nights on record, the newest first."""
    return [doc.Morning.model_validate(record.document) for record in newest_nights(postgres, limit)]


def morning_lines(morning: doc.Morning) -> list[str]:
    """The summary as text: the line that says all, then each dataset."""
    lines = [f"{morning.night}: {morning.headline}"]
    for one in morning.datasets:
        lines.append(f"  {one.dataset:<20} {one.outcome}{_standing(one)}")
        if one.last_bar is not None:
            added = "" if not one.bars_added else f", {one.bars_added:,} added"
            trained = f", {_folds(one.folds_trained)} trained" if one.folds_trained else ""
            lines.append(f"    last bar {one.last_bar:%Y-%m-%d %H:%M}, {one.bars or 0:,} bars{added}{trained}")
        for profile in one.profiles:
            lines.append(f"    {profile.profile:<16} {_prediction(profile)}")
            lines += [f"      {_equity(equity)}" for equity in profile.equity]
        if one.reason:
            lines.append(f"    {one.reason}")
        lines += [f"    warning {warning.code}: {warning.message}" for warning in one.warnings]
    return lines


def _answers(stores: Stores) -> bool:
    """Whether QuestDB does: it may be what made the night fail."""
    try:
        stores.questdb.ping()
    except ServiceUnavailableError:
        return False
    return True


def _dataset(stores: Stores, ended: Ended, before: doc.NightDataset | None, *, predictions: bool) -> doc.NightDataset:
    record = find_dataset(stores.postgres, ended.dataset)
    same = before is not None and ended.outcome in STANDING and (before.outcome, before.reason) == (ended.outcome, ended.reason)
    values = {"dataset": ended.dataset, "outcome": ended.outcome, "reason": ended.reason, "folds_trained": ended.folds_trained}
    nights = before.nights + 1 if before is not None and same else 1
    if record is None:
        return doc.NightDataset(**values, nights=nights)
    runs = current_runs(stores.postgres, ended.dataset)
    earlier = {} if before is None else {one.profile: one for one in before.profiles}
    return doc.NightDataset(
        **values,
        nights=nights,
        bars=record.row_count,
        last_bar=record.last_bar_ts,
        bars_added=None if before is None or before.bars is None else record.row_count - before.bars,
        profiles=[_profile(stores, name, run_id, earlier.get(name), predictions=predictions) for name, run_id in runs.items()],
        warnings=_warnings(stores.postgres, record, runs),
    )


def _profile(stores: Stores, name: str, run_id: str, before: doc.NightProfile | None, *, predictions: bool) -> doc.NightProfile:
    newest = last_prediction(stores, run_id) if predictions else None
    known = {} if before is None else {(one.mode, one.configuration): one.equity for one in before.equity}
    equity = []
    for row in simulations_of_night(stores.postgres, run_id):
        then = known.get((row["mode"], row["configuration"]))
        change = None if then is None or row["equity"] is None else row["equity"] - then
        equity.append(doc.NightEquity(**row, change=change, change_pct=None if change is None or not then else 100 * change / then))
    return doc.NightProfile(
        profile=name,
        run_id=run_id,
        bar=None if newest is None else newest.bar,
        prediction=None if newest is None else newest.prediction,
        signal=None if newest is None else signal_of(newest),
        equity=equity,
    )


def signal_of(newest: LastPrediction) -> str | None:
    """`long`, `short`, or `none` (beyond no threshold, or beyond both); None without a prediction."""
    if newest.prediction is None:
        return None
    long = newest.long_threshold is not None and newest.prediction >= newest.long_threshold
    short = newest.short_threshold is not None and newest.prediction <= newest.short_threshold
    return "none" if long == short else "long" if long else "short"


def _warnings(postgres: Postgres, record: DatasetRecord, runs: Mapping[str, str]) -> list[doc.Warn]:
    """What a reader of the current runs should stop at, each once."""
    found = {(one.code, one.message): one for run_id in runs.values() for one in warnings_of(read_run(postgres, run_id))}
    if not runs:
        message = f"no profile has a completed run on the {record.row_count:,} registered bars"
        found["no_current_run", message] = doc.Warn(code="no_current_run", message=message)
    return list(found.values())


def _by_urgency(ended: Ended) -> tuple[bool, str]:
    return ended.outcome in {"done", "unchanged"}, ended.dataset


def _headline(datasets: Sequence[doc.NightDataset], counts: Mapping[str, int]) -> str:
    if not datasets:
        return "no dataset has a manifest"
    ways = ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
    added, trained = sum(one.bars_added or 0 for one in datasets), sum(one.folds_trained for one in datasets)
    return f"{len(datasets)} dataset{'' if len(datasets) == 1 else 's'}: {ways}; {_bars(added)} added, {_folds(trained)} trained"


def _folds(count: int) -> str:
    return f"{count:,} fold{'' if count == 1 else 's'}"


def _bars(count: int) -> str:
    return f"{count:,} bar{'' if count == 1 else 's'}"


def _standing(one: doc.NightDataset) -> str:
    return f" for {one.nights} nights now" if one.nights > 1 else ""


def _prediction(profile: doc.NightProfile) -> str:
    if profile.bar is None or profile.prediction is None:
        return "no prediction"
    return f"predicts {profile.prediction:.6g} at {profile.bar:%Y-%m-%d %H:%M}: {profile.signal}"


def _equity(equity: doc.NightEquity) -> str:
    if equity.equity is None:
        return f"{equity.mode:<5} no equity"
    change = "" if equity.change is None else f", {equity.change:+,.2f} ({equity.change_pct or 0:+.2f} %) since the night before"
    return f"{equity.mode:<5} equity {equity.equity:,.2f}{change}"
