"""Validation of a run that growth has superseded: everything that its bars can still tell is judged, and what cannot be is said."""

from __future__ import annotations

import polars as pl

from chronos_assets.pipeline.validation.run import validate_run
from chronos_assets.pipeline.walkforward.run import run_walkforward
from chronos_assets.storage.questdb_tables import INDICATOR_BARS
from chronos_assets.storage.stores import Stores
from chronos_assets_tests.support.walkforward_data import make_bars, publish, small_profile

MODELS = "predictions follow from the stored models"
TARGETS = "times and targets are those of the dataset's bars"
ORIGIN = "checksum and tag are those of a publication of these bars"


def test_an_older_run_is_judged_by_the_bars_that_growth_left_as_they_were(stores: Stores, unique_slug: str) -> None:
    """Models, times and targets are compared; only the publication, of which these tests keep no record, is not: "partly".

    A bar of those that changed behind the registry is found; a revision with other bars leaves nothing to compare with.
    """
    bars = make_bars(120)
    publish(stores, unique_slug, _unfilled(bars.head(100)))
    run_id = run_walkforward(unique_slug, small_profile(), stores, horizon=3, horizon_assumed=False).run_id
    publish(stores, unique_slug, bars)
    report = validate_run(run_id, stores)
    asked = {check.name: check.passed for check in report.checks}
    assert (asked[MODELS], asked[TARGETS]) == (True, True)
    assert report.verdict == "partly"
    assert [name for name, passed in asked.items() if passed is None] == [ORIGIN]

    changed = bars.slice(70, 1).with_columns(feat_0=pl.lit(9.0), target_a=pl.lit(9.0), dataset=pl.lit(unique_slug), source=pl.lit("test"))
    row = changed.with_columns(granularity=pl.lit("1d"), timestamp=pl.col("timestamp_unix"))
    stores.questdb.write(row, table=INDICATOR_BARS.name, symbols=INDICATOR_BARS.symbols)
    stores.questdb.wait_applied(INDICATOR_BARS.name)
    assert validate_run(run_id, stores).verdict == "differs"

    publish(stores, unique_slug, make_bars(130, seed=5), tag=f"{unique_slug}@2")
    other = validate_run(run_id, stores)
    assert (other.verdict, {check.name: check.passed for check in other.checks}[MODELS]) == ("partly", None)


def _unfilled(bars: pl.DataFrame) -> pl.DataFrame:
    """Bars whose last three targets are not known yet."""
    late = pl.int_range(pl.len()) >= bars.height - 3
    return bars.with_columns(pl.when(late).then(None).otherwise(pl.col(name)).alias(name) for name in ("target_a", "target_b"))
