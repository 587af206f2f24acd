"""Which run of a profile is the current one: completed, on the registered content, requested last. The others say what replaced them."""

from __future__ import annotations

from chronos_assets.pipeline.walkforward.run import run_walkforward
from chronos_assets.storage.run_standings import run_standings
from chronos_assets.storage.runs import find_run
from chronos_assets.storage.stores import Stores
from chronos_assets.views.runs import list_runs, list_runs_with_space, read_run_detail
from chronos_assets.views.simulations import list_simulations
from chronos_assets_tests.support.commands import run_program
from chronos_assets_tests.support.walkforward_data import make_bars, publish, small_profile


def _run(stores: Stores, slug: str, name: str | None = "default", **changes: object) -> str:
    """Run a small profile under a name."""
    profile = small_profile(**changes)
    return run_walkforward(slug, profile, stores, horizon=1, horizon_assumed=False, profile_name=name).run_id


def test_growth_makes_the_newer_run_the_current_one(stores: Stores, unique_slug: str) -> None:
    """The older run of each profile names the one that replaced it, and a changed profile has no name and replaces nothing."""
    bars = make_bars(110)
    publish(stores, unique_slug, bars.head(100))
    old, fast_old = _run(stores, unique_slug), _run(stores, unique_slug, "fast", gap=3)
    by_hand = _run(stores, unique_slug, None, gap=4)
    publish(stores, unique_slug, bars)
    filters = {"dataset": unique_slug, "current": True}
    assert list_runs(stores.postgres, filters).total == 0  # on the registered content nothing has run yet
    new = _run(stores, unique_slug)
    fast = _run(stores, unique_slug, "fast", gap=3)
    assert {run.run_id for run in list_runs(stores.postgres, filters).items} == {new, fast}
    assert {run.run_id for run in list_runs(stores.postgres, {**filters, "current": False}).items} == {old, fast_old, by_hand}
    shown = {run.run_id: run for run in list_runs(stores.postgres, {"dataset": unique_slug}).items}
    assert [(shown[one].profiles, shown[one].bars, shown[one].superseded_by) for one in (old, fast_old, by_hand, new, fast)] == [
        (["default"], 100, new),
        (["fast"], 100, fast),
        ([], 100, None),
        (["default"], 110, None),
        (["fast"], 110, None),
    ]
    (superseded,) = [one for one in read_run_detail(stores.postgres, old).warnings if one.code == "superseded"]
    assert new in superseded.message
    assert [run.run_id for run in list_runs_with_space(stores, unique_slug, limit=9, current=True)] == [fast, new]


def test_the_profile_as_requested_last_is_current(stores: Stores, unique_slug: str) -> None:
    """A profile that was changed and changed back has its first run as the current one again; one run can serve two profiles."""
    publish(stores, unique_slug, make_bars(100))
    first, second = _run(stores, unique_slug), _run(stores, unique_slug, gap=3)
    assert run_standings(stores.postgres, [first])[first].superseded_by == second
    assert _run(stores, unique_slug) == first
    standings = run_standings(stores.postgres, [first, second])
    assert standings[first].current_of == ("default",)
    assert standings[second].superseded_by == first
    _run(stores, unique_slug, "twin", gap=3)
    standing = run_standings(stores.postgres, [second])[second]
    assert (standing.profiles, standing.current_of, standing.superseded_by) == (("default", "twin"), ("twin",), None)


def test_runs_of_an_older_program_get_the_profile_that_asks_for_the_same(stores: Stores, unique_slug: str) -> None:
    """A run without a profile that differs from the named one in its content only is the profile's, too; another is not."""
    bars = make_bars(110)
    publish(stores, unique_slug, bars.head(100))
    old, other = _run(stores, unique_slug, None), _run(stores, unique_slug, None, gap=3)
    publish(stores, unique_slug, bars)
    new = _run(stores, unique_slug)
    standings = run_standings(stores.postgres, [old, other, new])
    assert standings[old].superseded_by == new
    assert other not in standings


def test_a_baseline_has_a_current_run_of_its_own(stores: Stores, unique_slug: str) -> None:
    """It is listed as the baseline of its profile."""
    publish(stores, unique_slug, make_bars(100))
    run_id = _run(stores, unique_slug, baseline="ridge")
    run = find_run(stores.postgres, run_id)
    assert run is not None
    assert run.summary_metrics is not None
    baseline = run.summary_metrics["baseline"]["run_id"]
    assert run_standings(stores.postgres, [baseline])[baseline].current_of == ("default/baseline",)
    assert list_simulations(stores.postgres, {"dataset": unique_slug, "current": True}).total == 0


def test_the_command_line_shows_profile_bars_and_standing(stores: Stores, unique_slug: str, cli_environment: dict[str, str]) -> None:
    """`runs list` has them in every line; `pin` and `unpin` show."""

    def chronos(*arguments: str) -> str:
        return run_program(*arguments, env=cli_environment, check=True).stdout

    publish(stores, unique_slug, make_bars(100))
    first, second = _run(stores, unique_slug), _run(stores, unique_slug, gap=3)
    chronos("runs", "pin", first)
    text = chronos("runs", "list", unique_slug)
    assert f"superseded by {second}, pinned" in text
    (line,) = [line for line in text.splitlines() if line.startswith(second)]
    assert line.split()[2:4] == ["default", "100"]
    chronos("runs", "unpin", first)
    only = chronos("runs", "list", unique_slug, "--current")
    assert second in only
    assert f"\n{first}" not in only
