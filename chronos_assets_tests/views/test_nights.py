"""The morning: one summary of a night, made from the stores, that says what changed since the night before."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from chronos_assets.domain.profiles.simulation import SimulationProfile
from chronos_assets.pipeline.simulation.run import simulate_run
from chronos_assets.pipeline.walkforward.run import run_walkforward
from chronos_assets.storage.nights import LastPrediction
from chronos_assets.storage.stores import Stores
from chronos_assets.views.nights import Ended, list_mornings, morning_lines, record_night, signal_of
from chronos_assets.views.space import growth_per_night
from chronos_assets_tests.support.trained_market import DAY, START, WALK, bars_frame, publish

NOW = datetime(2026, 11, 27, 2, tzinfo=UTC)


def _run(stores: Stores, slug: str, rows: int) -> None:
    """The dataset's bars, trained and simulated, as a night leaves them."""
    with stores.postgres.connection() as connection:
        connection.execute(
            "UPDATE indicator_datasets SET row_count = %s, last_bar_ts = to_timestamp(%s), content_hash = %s WHERE dataset_id = %s",
            [rows, START + DAY * (rows - 1), f"{slug} {rows}", slug],
        )
    result = run_walkforward(slug, WALK, stores, horizon=1, horizon_assumed=False, profile_name="default")
    simulate_run(result.run_id, SimulationProfile(modes=["dual"]), stores)


def test_the_second_morning_says_what_changed_since_the_first(stores: Stores, unique_slug: str) -> None:
    """Bars added, the newest prediction with its signal, and the equity with its change; what stands refused is counted."""
    publish(stores, unique_slug, bars_frame(400))
    _run(stores, unique_slug, 360)
    refused = Ended(f"{unique_slug[:-1]}2", "refused", "the file differs from its checksum")
    first = record_night(stores, f"{unique_slug} 1", NOW, [Ended(unique_slug, "done", folds_trained=9), refused])
    _run(stores, unique_slug, 400)
    second = record_night(stores, f"{unique_slug} 2", NOW, [refused, Ended(unique_slug, "done", folds_trained=2)])
    assert [one.dataset for one in second.datasets] == [refused.dataset, unique_slug]
    assert (second.datasets[0].nights, first.datasets[0].nights) == (2, 1)
    assert second.outcomes == {"refused": 1, "done": 1}
    before, after = first.datasets[1], second.datasets[1]
    assert (before.bars_added, after.bars, after.bars_added, after.folds_trained) == (None, 400, 40, 2)
    [then], [now] = before.profiles, after.profiles
    assert now.run_id != then.run_id
    assert now.bar is not None
    assert now.signal in {"long", "short", "none"}
    [old], [new] = then.equity, now.equity
    assert old.change is None
    assert old.equity is not None
    assert new.equity is not None
    assert new.change == new.equity - old.equity
    assert new.change_pct == pytest.approx(100 * (new.equity / old.equity - 1))
    assert second.headline == "2 datasets: 1 refused, 1 done; 40 bars added, 2 folds trained"
    assert list_mornings(stores.postgres, limit=1) == [second]
    text = "\n".join(morning_lines(second))
    assert "refused for 2 nights now" in text
    assert "40 added, 2 folds trained" in text
    assert second.space is not None
    assert second.space.total_bytes > 0


def test_a_dataset_without_a_run_on_its_bars_says_so(stores: Stores, unique_slug: str) -> None:
    """A night that failed after the publication leaves bars that nothing was trained on."""
    publish(stores, unique_slug, bars_frame(200))
    (one,) = record_night(stores, unique_slug, NOW, [Ended(unique_slug, "failed", "out of memory")]).datasets
    assert (one.bars, one.profiles) == (200, [])
    assert [warning.code for warning in one.warnings] == ["no_current_run"]


@pytest.mark.parametrize(
    ("prediction", "long", "short", "signal"),
    [(0.2, 0.2, -0.1, "long"), (-0.1, 0.2, -0.1, "short"), (0.1, 0.2, -0.1, "none"), (0.3, 0.2, 0.4, "none"), (9.0, None, None, "none")],
)
def test_a_signal_is_long_short_or_none(prediction: float, long: float | None, short: float | None, signal: str) -> None:
    """At a threshold counts; beyond both is no signal; a side that is off gives none."""
    assert signal_of(LastPrediction(NOW, prediction, long, short)) == signal


def test_growth_is_the_median_night() -> None:
    """A night on which a table was compacted does not hide what the others added."""
    assert growth_per_night([130.0, 30.0, 120.0, 110.0, 100.0]) == 10.0
    assert growth_per_night([5.0]) is None
