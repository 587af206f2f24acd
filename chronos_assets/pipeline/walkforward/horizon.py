"""How far a target looks ahead, as far as the published bars show, and the refusal to train on less than that."""

from __future__ import annotations

import numpy as np
import polars as pl

from chronos_assets.errors import ProfileError
from chronos_assets.ingest.horizon import EmptyEnd, HorizonShown, horizons_shown
from chronos_assets.ingest.price_checks import price_fields
from chronos_assets.ingest.tail import TAIL_BARS
from chronos_assets.storage.datasets import DatasetRecord, read_last_bars
from chronos_assets.storage.stores import Stores


def shown_horizon(stores: Stores, record: DatasetRecord, target: str) -> HorizonShown:
    """What the last 1,280 published bars show of `target` (DEFINITIONS, Horizon)."""
    prices = {field: name for field, name in price_fields(record.names("price")).items() if field in {"open", "close"}}
    names = [target, *prices.values()]
    bars = read_last_bars(stores.questdb, record, [record.column(name) for name in names], TAIL_BARS)
    end = EmptyEnd()
    end.add(bars[target])
    values = np.stack([bars[name].cast(pl.Float64).fill_null(float("nan")).to_numpy() for name in names], axis=1)
    return horizons_shown(names, values, prices=prices, empty={target: end.bars})[target]


def refuse_undeclared(stores: Stores, record: DatasetRecord, target: str) -> None:
    """Raise `ProfileError` if nobody declared how far `target` looks and the published bars show more than one bar."""
    shown = shown_horizon(stores, record, target)
    if shown.bars > 1:
        raise undeclared(target, shown.bars, shown.reason, record.dataset_id)


def undeclared(target: str, bars: int, reason: str, slug: str) -> ProfileError:
    """The refusal of a horizon that nobody declared and that is more than 1: at least `bars`, for `reason`."""
    return ProfileError(
        f"{target} looks more than one bar ahead, and no target_horizon is declared for it: training would leak",
        code="target_horizon_undeclared",
        expected=f"a declared horizon of at least {bars} bars",
        found=f"none; {reason}",
        hint=f"Write `target_horizon: {{{target}: {bars}}}` into the manifest, or the true number if it is larger "
        f"(without a manifest: --horizon {bars}).",
        slug=slug,
        horizon_shown=bars,
    )
