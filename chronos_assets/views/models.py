"""Models of live folds as readers see them: lists, one with its backtest and history, and the signals that were given."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from chronos_assets.errors import NotPublishedError
from chronos_assets.pipeline.models import predict
from chronos_assets.storage.datasets import list_datasets
from chronos_assets.storage.live_signals import newest_signals as newest_rows
from chronos_assets.storage.live_signals import read_signals as read_rows
from chronos_assets.storage.models import ModelRecord, alias_history, get_model, names_of
from chronos_assets.storage.models import list_models as list_records
from chronos_assets.storage.postgres import Postgres
from chronos_assets.storage.reading import NOTHING_STORED
from chronos_assets.storage.stores import Stores
from chronos_assets.views import documents as doc

DAY_SECONDS = 86_400


def list_models(postgres: Postgres, dataset: str | None = None) -> list[doc.Model]:
    """Models, newest first; none if nothing is stored yet."""
    try:
        records = list_records(postgres, dataset)
    except NotPublishedError as error:
        if error.code != NOTHING_STORED:
            raise
        return []
    names = names_of(postgres, dataset)
    return [model_document(record, names.get(record.model_id, [])) for record in records]


def read_model(postgres: Postgres, model_id: str) -> doc.ModelDetail:
    """One model; raises `NotPublishedError` with the nearest id."""
    record = get_model(postgres, model_id)
    names = names_of(postgres, record.dataset_id).get(record.model_id, [])
    history = [doc.AliasChange(**vars(c)) for c in alias_history(postgres, record.dataset_id) if c.model_id == record.model_id]
    more = {name: getattr(record, name) for name in ("fold", "description", "backtest", "sha256", "bytes")}
    return doc.ModelDetail(**_fields(record, names), **more, history=history)


def ended_models(postgres: Postgres, models: Sequence[doc.Model], dataset: str | None = None) -> set[str]:
    """Ids of those of `models` (those of `dataset`, or of all) whose window has ended: the dataset has newer bars."""
    if not models:
        return set()
    known = {record.dataset_id: record for record in list_datasets(postgres)}
    records = (one for one in list_records(postgres, dataset) if one.dataset_id in known)
    return {one.model_id for one in records if predict.is_expired(one, known[one.dataset_id])}


def model_document(record: ModelRecord, names: list[str]) -> doc.Model:
    """A model in short; `names` stand for it now."""
    return doc.Model(**_fields(record, names))


def named_document(postgres: Postgres, record: ModelRecord) -> doc.Model:
    """A model in short, with the names that stand for it now."""
    return model_document(record, names_of(postgres, record.dataset_id).get(record.model_id, []))


def read_signals(
    stores: Stores, dataset: str | None = None, *, model_id: str | None = None, first: datetime | None = None, limit: int | None = None
) -> list[doc.LiveSignal]:
    """Signals that were given, in order of bars."""
    known = list_models(stores.postgres, dataset)
    if not any(model_id in {None, one.model_id} for one in known):
        return []
    rows = read_rows(stores, dataset=dataset, model_id=model_id, first=first, limit=limit)
    return list(_signals(rows.iter_rows(named=True)))


def newest_signals(stores: Stores, models: Sequence[doc.Model], dataset: str | None = None) -> dict[str, doc.LiveSignal]:
    """The newest signal that each of `models` (those of `dataset`, or of all) gave, by model id; none of a model that was not asked yet."""
    if not models:
        return {}
    return {one.model_id: one for one in _signals(newest_rows(stores, dataset).iter_rows(named=True))}


def in_utc(moment: datetime | None) -> datetime | None:
    """`moment` with its zone; UTC if it names none."""
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


def predictions_document(found: predict.LivePredictions, postgres: Postgres) -> doc.LivePredictions:
    """What a model says of the bars of its window, as `chronos predict` shows it."""
    signals = list(_signals(found.signals.iter_rows(named=True)))
    age = (datetime.now(UTC) - found.model.created_at).total_seconds() / DAY_SECONDS
    return doc.LivePredictions(
        dataset=found.record.dataset_id,
        model=named_document(postgres, found.model),
        age_days=age,
        expired=found.expired,
        newest=signals[-1] if signals else None,
        signals=signals,
        warnings=[doc.Warn(**one) for one in warnings_of(found)],
    )


def warnings_of(found: predict.LivePredictions) -> list[dict[str, str]]:
    """What should make a reader stop before a signal is acted on."""
    said = []
    if found.expired:
        message = "the model is expired: its window is full, and the plan's next fold was not trained"
        said.append({"code": "model_expired", "message": message})
    if found.model.fold["learned_nothing"]:
        message = "the live fold learned nothing (best iteration 0, or constant predictions)"
        said.append({"code": "learned_nothing", "message": message})
    off = [side for side in ("long", "short") if found.model.thresholds[side] is None]
    if off:
        message = f"no {' or '.join(off)} threshold had a profit on the validation cases: no {' or '.join(off)} signal can come"
        said.append({"code": "side_off", "message": message})
    if found.model.description["target"]["horizon_assumed"]:
        message = f"no target_horizon is declared for {found.model.description['target']['name']}: 1 is assumed"
        said.append({"code": "target_horizon_assumed", "message": message})
    return said


def _signals(rows: Iterable[dict[str, Any]]) -> Iterable[doc.LiveSignal]:
    return (doc.LiveSignal(**row, timestamp=datetime.fromtimestamp(row["timestamp_unix"], tz=UTC)) for row in rows)


def _fields(record: ModelRecord, names: list[str]) -> dict[str, Any]:
    kept = {name: getattr(record, name) for name in doc.Model.model_fields if hasattr(record, name)}
    return kept | {
        "target": record.description["target"]["name"],
        "fold_number": record.fold["fold_number"],
        "aliases": sorted(names),
    }
