"""The dashboard's pages on real servers: what they show, what they answer to nonsense, and that they work without a script."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime

import polars as pl
import pytest
from pydantic import SecretStr

from chronos_assets.domain.profiles.lfs import LfsProfile
from chronos_assets.domain.profiles.simulation import EXIT_REASONS, SimulationProfile
from chronos_assets.domain.profiles.walkforward import WalkforwardProfile
from chronos_assets.domain.strict_yaml import load_yaml
from chronos_assets.errors import ServiceUnavailableError
from chronos_assets.pipeline.selection.request import plan_lfs
from chronos_assets.pipeline.selection.run import run_request
from chronos_assets.pipeline.simulation.run import simulate_run
from chronos_assets.pipeline.walkforward.run import run_walkforward
from chronos_assets.pipeline.walkforward.sweep import SweepResult, run_sweep
from chronos_assets.services import Connections
from chronos_assets.settings import Settings
from chronos_assets.storage.reading import open_reading
from chronos_assets.storage.stores import Stores, open_stores
from chronos_assets.views.nights import Ended, record_night
from chronos_assets.web.pages import long_tables
from chronos_assets.web.pages.formats import minute, number, significant
from chronos_assets_tests.support.trained_market import WALK, train
from chronos_assets_tests.support.web_process import Web, running

SLUG = "pagemarket_1d_v1"
PROFILE = SimulationProfile.model_validate({"modes": ["dual"], "statistics": {"bootstraps": 40, "permutations": 40}})


@pytest.fixture(scope="module")
def run_id(servers: Connections, settings: Settings) -> str:
    return train(open_stores(servers, settings), SLUG)


@pytest.fixture(scope="module")
def simulation_id(servers: Connections, settings: Settings, run_id: str) -> str:
    [simulated] = simulate_run(run_id, PROFILE, open_stores(servers, settings))
    return simulated.simulation_id


@pytest.fixture(scope="module")
def sweep(servers: Connections, settings: Settings, run_id: str) -> SweepResult:
    assert run_id  # its dataset is published
    axes: dict[str, list[float]] = {"model.eta": [0.05, 0.1], "model.max_depth": [2, 3]}
    return run_sweep(SLUG, WALK, axes, open_stores(servers, settings), horizon_of=lambda _: (1, False))


@pytest.fixture(scope="module")
def chosen_run_id(servers: Connections, settings: Settings, run_id: str) -> str:
    """A run with a baseline beside it and a selector inside its folds."""
    assert run_id  # its dataset is published
    choice = {"select": "lfs", "keep": 1}
    profile = WalkforwardProfile.model_validate({**WALK.model_dump(exclude_unset=True), "baseline": "ridge", "features": choice})
    return run_walkforward(SLUG, profile, open_stores(servers, settings), horizon=1, horizon_assumed=False, requested_by="test").run_id


@pytest.fixture(scope="module")
def lfs_id(servers: Connections, settings: Settings, run_id: str) -> str:
    assert run_id  # its dataset is published
    stores = open_stores(servers, settings)
    profile = LfsProfile.model_validate({"max_kept": 2, "iterations": 1, "permutations": 3, "end_row": "all"})
    request = plan_lfs(SLUG, profile, stores, horizon_of=lambda _: (1, False), walkforward=WalkforwardProfile(train_size=100, test_size=20))
    run_request(request, stores, requested_by="test")
    return request.lfs_id


@pytest.fixture(scope="module")
def web(servers: Connections, settings: Settings, run_id: str) -> Iterator[Web]:
    assert run_id  # it is stored
    with running(settings, lambda: open_reading(servers, settings)) as web:
        yield web


def test_a_reader_walks_from_the_overview_to_a_fold_of_a_run(web: Web, run_id: str) -> None:
    """Overview, datasets, dataset, runs and run are whole pages that link to one another, and the run shows its folds."""
    for path, link in (("/", f"/datasets/{SLUG}"), ("/datasets", f"/datasets/{SLUG}"), (f"/datasets/{SLUG}", f"/runs/{run_id}")):
        text = web.ask(path).text
        assert f'href="{link}"' in text, path
        assert text.count("<h1") == 1, path
    folds = web.get(f"/api/walkforward/runs/{run_id}")["folds"]
    text = web.ask(f"/runs/{run_id}").text
    assert all(f'href="/runs/{run_id}/folds/{fold["fold_number"]}"' in text for fold in folds)


def test_long_tables_come_in_parts(web: Web, run_id: str, sweep: SweepResult, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each fold of a run and each run of a sweep is in one part; links lead to the next part and to all; nonsense is refused."""
    monkeypatch.setattr(long_tables, "ROWS", 3)

    def rows(address: str) -> tuple[list[str], list[str]]:
        text = html.unescape(web.ask(address).text)
        return re.findall(r'<tr data-href="(/runs/[^"]+)"', text), re.findall(r'href="([^"]+[?&]rows=\w+)#', text)

    folds = web.get(f"/api/walkforward/runs/{run_id}")["run"]["folds_present"]
    for path, total in ((f"/runs/{run_id}", folds), (f"/sweeps/{sweep.sweep_id}", len(sweep.trials))):
        whole, _ = rows(f"{path}?rows=all")
        assert len(set(whole)) == total > 3
        for start in range(0, total, 3):
            shown, leads = rows(f"{path}?rows={start + 1}")
            assert shown == whole[start : start + 3]
            beside = [one for one in (start - 2, start + 4) if 0 < one <= total]
            assert leads == [f"{path}?rows={one}" for one in (*beside, "all")]
        assert rows(f"{path}?rows=9999")[0] == whole[(total - 1) // 3 * 3 :]
        assert web.ask(f"{path}?rows=-1").status_code == 422


def test_the_overview_says_what_the_last_night_came_to(
    web: Web, servers: Connections, settings: Settings, run_id: str, simulation_id: str
) -> None:
    """Outcome with its reason and its nights, signal and prediction of each current run, equity with a link to its simulation."""
    stores = open_stores(servers, settings)
    again = run_walkforward(SLUG, WALK, stores, horizon=1, horizon_assumed=False, profile_name="default")
    assert again.run_id == run_id
    refused = Ended("elsewhere_1d_v1", "refused", "the file differs from its checksum")
    for night in ("the night before", "this night"):
        morning = record_night(stores, night, datetime.now(UTC), [Ended(SLUG, "done", folds_trained=3), refused])
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", web.ask("/").text))
    assert f"The last night {morning.headline}." in text
    assert "elsewhere_1d_v1 refused for 2 nights now the file differs from its checksum" in text
    [profile] = next(one for one in morning.datasets if one.dataset == SLUG).profiles
    assert profile.prediction is not None
    assert f"default {profile.signal} {minute(profile.bar)} {significant(profile.prediction)}" in text
    [equity] = profile.equity
    assert f"dual {number(equity.equity)} (" in text
    assert f'href="/simulations/{simulation_id}">dual</a>' in web.ask("/").text


def test_the_address_of_the_list_says_what_it_shows(web: Web, run_id: str) -> None:
    """Filters are in the address; a swap gets the part alone, a reload of the same address the whole page, and nothing found says why."""
    address = f"/runs?dataset={SLUG}&status=completed&sort=-both.profit_factor&min_pf=&q="
    whole, part = web.ask(address), web.ask(address, headers={"HX-Request-Type": "partial"})
    assert f"/runs/{run_id}" in whole.text
    assert f"/runs/{run_id}" in part.text
    assert "<html" in whole.text
    assert "<html" not in part.text
    assert "aria-sort" in part.text
    nothing = web.ask("/runs?dataset=nowhere_1d_v1").text
    assert "No run matches" in nothing
    assert "nowhere_1d_v1" in nothing


def test_a_reader_walks_from_a_simulation_to_the_file_of_a_trade(web: Web, run_id: str, simulation_id: str) -> None:
    """The list leads to the simulation, its table to the trade, and its page holds the checksum of the file."""
    assert f'href="/simulations/{simulation_id}"' in web.ask(f"/simulations?mode=dual&dataset={SLUG}").text
    assert web.ask(f"/search?q={simulation_id[:8]}").url.endswith(f"/simulations/{simulation_id}")
    shown = web.ask(f"/simulations/{simulation_id}").text
    assert f'href="/simulations/{simulation_id}/trades/1"' in shown
    trace = web.get(f"/api/tradesim/runs/{simulation_id}/trades/1")
    text = web.ask(f"/simulations/{simulation_id}/trades/1").text
    assert trace["file"]["checksum"] in text
    assert trace["model"]["sha256"] in text
    fold = web.ask(f"/runs/{run_id}/folds/{trace['fold']['fold_number']}").text
    assert "Predictions against target" in fold


def test_a_filter_of_trades_shows_and_downloads_the_same_trades(web: Web, simulation_id: str) -> None:
    """The table's count and sums, and the file behind its link, are those of exactly the filtered trades."""
    part = web.ask(f"/simulations/{simulation_id}?side=short&pnl_lt=0&sort=-pnl", headers={"HX-Request-Type": "partial"}).text
    rows = web.get(f"/api/tradesim/runs/{simulation_id}/trades", side="short", pnl_lt=0, limit=10_000)
    assert 0 < len(rows) == part.count("data-entry=") or len(rows) > 100
    assert f"{len(rows):,} of " in part
    [link] = re.findall(r'href="([^"]+format=parquet[^"]*)"', part)
    table = pl.read_parquet(web.ask(link.replace("&amp;", "&")).content)
    assert table["trade_no"].sort().to_list() == sorted(row["trade_no"] for row in rows)
    assert web.ask(f"/simulations/{simulation_id}?exit_reason=luck").status_code == 422
    reasons = sorted({row["exit_reason"] for row in web.get(f"/api/tradesim/runs/{simulation_id}/trades", limit=10_000)})
    asked = "&".join(f"exit_reason={reason}" for reason in reasons[:2])
    several = web.ask(f"/simulations/{simulation_id}?{asked}").text
    assert several.count(' name="exit_reason"') == len(EXIT_REASONS)
    assert len(re.findall(r'name="exit_reason" value="[a-z_]+" checked', several)) == len(reasons[:2])
    chosen = web.get(f"/api/tradesim/runs/{simulation_id}/trades", exit_reason=reasons[:2], limit=10_000)
    assert f"{len(chosen):,} of " in several


def test_a_selection_is_shown_as_table_over_time_in_pairs_and_against_chance(web: Web, lfs_id: str) -> None:
    """Each view of a selection is an address of its own; the table holds every feature, the map one cell per feature and slice."""
    assert f'href="/lfs/{lfs_id}"' in web.ask(f"/lfs?dataset={SLUG}").text
    pages = {tab: web.ask(f"/lfs/{lfs_id}?tab={tab}") for tab in ("table", "over-time", "pairs", "null", "setup")}
    assert {answer.status_code for answer in pages.values()} == {200}
    assert "few permutations" in pages["table"].text
    assert pages["over-time"].text.count('class="cell"') % 60 == 0 < pages["over-time"].text.count('class="cell"')
    assert "Lift" in pages["pairs"].text
    assert "3 permutations" in pages["null"].text
    assert web.ask(f"/lfs/{lfs_id}?tab=luck").status_code == 422


def test_features_of_a_selection_are_sorted_filtered_and_downloaded_as_shown(web: Web, lfs_id: str) -> None:
    """The table goes by any of its columns and keeps the rank; its files hold the same rows; its snippet is a profile of them."""
    features = web.get(f"/api/lfs/runs/{lfs_id}")["features"]
    rows = re.compile(r'<td>(\d+)</td><td class="text">[^<]+</td><th scope="row" class="text">([^<]+)</th>')
    ranks = {one["feature"]: rank for rank, one in enumerate(features, 1)}
    for sort in ("-pct", "feature", "-feature", "p_solo"):
        text = web.ask(f"/lfs/{lfs_id}?sort={sort}&max_p=").text
        shown = [(name, int(rank)) for rank, name in rows.findall(text)]
        assert dict(shown) == ranks
        table = pl.read_csv(web.ask(f"/lfs/{lfs_id}/features?format=csv&sort={sort}").content)
        assert list(zip(table["feature"], table["rank"], strict=True)) == shown
    least = min(one["p_unbiased"] for one in features)
    few = pl.read_parquet(web.ask(f"/lfs/{lfs_id}/features?format=parquet&max_p={least}").content)
    assert few["p_unbiased"].to_list() == [least] * sum(one["p_unbiased"] == least for one in features)
    assert web.ask(f"/lfs/{lfs_id}?sort=luck").status_code == 400
    [snippet] = re.findall(r'data-copy="(# features of selection [^"]+)"', web.ask(f"/lfs/{lfs_id}").text)
    assert lfs_id in snippet
    section = load_yaml(html.unescape(snippet))["walkforward"]["default"]
    profile = WalkforwardProfile.model_validate(section)
    assert (profile.features.candidates, profile.features_from) == ([one["feature"] for one in features], lfs_id)


def test_a_run_can_be_asked_for_again_by_what_its_page_copies(
    web: Web, servers: Connections, settings: Settings, run_id: str, chosen_run_id: str
) -> None:
    """The profile that the page of a run copies names the same run: with a selector and a baseline too."""
    stores = open_stores(servers, settings)
    for wanted in (run_id, chosen_run_id):
        [snippet] = re.findall(r'data-copy="(walkforward:[^"]+)"', web.ask(f"/runs/{wanted}").text)
        profile = WalkforwardProfile.model_validate(load_yaml(html.unescape(snippet))["walkforward"]["default"])
        again = run_walkforward(SLUG, profile, stores, horizon=1, horizon_assumed=False, requested_by="test")
        assert (again.run_id, again.folds_trained) == (wanted, 0)


def test_a_run_whose_row_says_no_layout_has_its_page_without_a_profile_to_copy(
    web: Web, servers: Connections, settings: Settings, run_id: str
) -> None:
    """A row that an older program left is shown whole; only what no manifest can say is missing."""
    other = "00000000-0000-0000-0000-0000000000ac"
    with open_stores(servers, settings).postgres.connection() as connection:
        connection.execute(
            "INSERT INTO walkforward_runs (run_id, dataset_id, target_column, feature_columns, hyperparameters, walk_config, status)"
            " SELECT %s, dataset_id, target_column, feature_columns, hyperparameters, walk_config - 'train', 'cancelled'"
            " FROM walkforward_runs WHERE run_id = %s",
            (other, run_id),
        )
    answer = web.ask(f"/runs/{other}")
    assert answer.status_code == 200
    assert "Copy parameters" in answer.text
    assert "Copy for a manifest" not in answer.text


def test_a_run_is_drawn_beside_others_by_time_or_by_fold(web: Web, run_id: str, chosen_run_id: str) -> None:
    """Other runs on the same target are offered, and drawn where the address names them; the axis is time or the number of the fold."""
    alone = web.ask(f"/runs/{run_id}").text
    assert f'name="beside" value="{chosen_run_id}"' in alone
    for axis in ("time", "fold"):
        text = web.ask(f"/runs/{run_id}?beside={chosen_run_id}&axis={axis}").text
        [columns] = re.findall(r'data-columns="([^"]+)"', text)
        found = json.loads(html.unescape(columns))
        folds = web.get(f"/api/walkforward/runs/{run_id}")["folds"]
        assert found[run_id] == [float(f"{fold['running_sum']:.6g}") for fold in folds]
        assert found.keys() == {"timestamp_unix", run_id, chosen_run_id}
        assert (found["timestamp_unix"] == [fold["fold_number"] for fold in folds]) == (axis == "fold")
        assert f'href="/runs/compare?runs={run_id}%2C{chosen_run_id}"' in text
    assert web.ask(f"/runs/{run_id}?axis=luck").status_code == 422


def test_a_search_finds_selections_and_sweeps(web: Web, lfs_id: str, sweep: SweepResult) -> None:
    """The beginning of an id leads to its page, the name of a dataset to everything on it, and too short a beginning to no id."""
    assert web.ask(f"/search?q={lfs_id[:8]}").url.endswith(f"/lfs/{lfs_id}")
    [made] = web.get("/api/sweeps", dataset=SLUG)
    assert web.ask(f"/search?q={made['sweep_id'].upper()}").url.endswith(f"/sweeps/{made['sweep_id']}")
    text = web.ask("/search?q=pagemarket").text
    for path in (f"/lfs/{lfs_id}", f"/sweeps/{made['sweep_id']}", f"/datasets/{SLUG}"):
        assert f'href="{path}"' in text
    assert f"/lfs/{lfs_id}" not in web.ask(f"/search?q={lfs_id[:3]}").text


def test_a_simulation_says_how_far_it_could_be_luck(web: Web, simulation_id: str) -> None:
    """The deflated Sharpe ratio has its number of trials and every p-value its adjusted one with its count, as the API computes them."""
    found = web.get(f"/api/tradesim/runs/{simulation_id}/judgement")
    part = web.ask(f"/simulations/{simulation_id}").text.partition('id="judgement"')[2].partition("</section>")[0]
    sharpe = found["deflated_sharpe"]
    assert f"<b>{sharpe['probability']:.3f}</b>" in part
    assert re.search(rf"among {sharpe['trials']} trials?\b", part)
    assert len(found["tests"]) == 2
    for one in found["tests"]:
        assert f"p {one['p_value']:.3f}; adjusted for the 2 tests of this page (Holm) <b>{one['holm']:.3f}</b>" in part
    assert "each bar by itself" in part or re.search(r"blocks of \d+ bar", part)


def test_a_run_is_shown_beside_its_baseline(web: Web, run_id: str, chosen_run_id: str) -> None:
    """The page and the list give the baseline's numbers; the page says what thresholds rest on and how often features were chosen."""
    summary = web.get(f"/api/walkforward/runs/{chosen_run_id}")["run"]["summary_metrics"]
    text, baseline = web.ask(f"/runs/{chosen_run_id}").text, summary["baseline"]
    table = text.partition('id="baseline"')[2].partition("</section>")[0]
    assert f'href="/runs/{baseline["run_id"]}"' in table
    assert f"<td>{baseline['both']['n_signals']:,}</td>" in table
    assert f"rests on {summary['threshold_cases']['long']['median']:g} cases" in table
    chosen = text.partition("<h2>Features chosen")[2].partition("</section>")[0]
    for name, count in summary["features_chosen"].items():
        assert re.search(rf"{name}</th><td>{count}</td>", chosen)
    over_time = web.get(f"/api/walkforward/runs/{chosen_run_id}/chosen-features?slices=2")
    assert {one["feature"]: one["folds"] for one in over_time["features"]} == summary["features_chosen"]
    for one in over_time["features"]:
        counted = sum(share * part["folds"] for share, part in zip(one["shares"], over_time["slices"], strict=True))
        assert counted == pytest.approx(one["folds"])
    shown = f"{baseline['both']['profit_factor']:.2f}"
    listed = web.ask(f"/runs?dataset={SLUG}").text
    assert re.search(rf'href="/runs/{baseline["run_id"]}" title="Profit factor of ridge[^"]*">{shown}<', listed)
    assert "None was run beside it" in web.ask(f"/runs/{run_id}").text


def test_a_run_that_waits_has_pages_without_numbers(web: Web, servers: Connections, settings: Settings, run_id: str) -> None:
    """While a run has no metrics its page and every list that holds it are whole, with dashes for what is not known yet."""
    with open_stores(servers, settings).postgres.connection() as connection:
        [waiting] = connection.execute(
            "INSERT INTO walkforward_runs (run_id, dataset_id, target_column, feature_columns, hyperparameters, walk_config, status)"
            " SELECT gen_random_uuid(), dataset_id, target_column, feature_columns, hyperparameters, walk_config, 'queued'"
            " FROM walkforward_runs WHERE run_id = %s RETURNING run_id::text AS run_id",
            (run_id,),
        ).fetchall()
    for path in ("/", "/runs", f"/datasets/{SLUG}", f"/runs/{waiting['run_id']}"):
        answer = web.ask(path)
        assert answer.status_code == 200, path
        assert waiting["run_id"] in answer.text, path


def test_the_list_has_chosen_columns_runs_on_top_and_a_file_of_all(web: Web, run_id: str, chosen_run_id: str, sweep: SweepResult) -> None:
    """Columns and kept runs are those of the address, whatever the sort; the file holds all that the filters choose."""
    text = web.ask(f"/runs?dataset={SLUG}&columns=sum&columns=device&pin={chosen_run_id}&sort=both.signal_sum").text
    heads = re.findall(r"<th scope=\"col\"[^>]*>(?:<a [^>]*>|<span [^>]*>)?([^<]+)", text)
    assert [head.strip(" \u2191") for head in heads] == ["Choose", "Run", "Status", "Sum", "Device"]
    assert re.findall(r'<tr data-href="/runs/([^"]+)"', text)[0] == chosen_run_id
    table = pl.read_parquet(web.ask(f"/runs/export?dataset={SLUG}").content)
    listed = web.get("/api/walkforward/runs", dataset=SLUG)
    assert table["run_id"].to_list() == [one["run_id"] for one in listed]
    assert (
        table.filter(pl.col("run_id") == run_id)["both.n_signals"].item()
        == web.get(f"/api/walkforward/runs/{run_id}")["run"]["summary_metrics"]["both"]["n_signals"]
    )
    assert web.ask("/runs?columns=luck").status_code == 422
    assert {one.run_id for one in sweep.trials} <= set(table["run_id"])


def test_runs_are_compared_by_curves_and_common_folds(web: Web, run_id: str, sweep: SweepResult) -> None:
    """A curve per run; folds that test the same bars are counted as better or worse, and their difference is that of the sums."""
    other = next(one.run_id for one in sweep.trials if one.run_id not in {None, run_id})
    found = web.get("/api/walkforward/compare", runs=f"{run_id},{other}")
    [folds] = found["folds"]
    sums = [web.get(f"/api/walkforward/runs/{one}")["folds"][-1]["running_sum"] for one in (run_id, other)]
    assert (folds["run_id"], folds["against"]) == (other, run_id)
    assert folds["difference"] == pytest.approx(sums[1] - sums[0])
    assert 0 < folds["better"] + folds["worse"] <= folds["folds"]
    text = web.ask(f"/runs/compare?runs={run_id},{other}").text
    assert (text.count('<polyline class="one"'), text.count('<polyline class="two"')) == (1, 1)
    assert len(found["differs"]) < len(re.findall("<tr><th scope", web.ask(f"/runs/compare?runs={run_id},{other}&all=1").text))


def test_a_selection_is_estimated_before_it_is_requested(web: Web, lfs_id: str) -> None:
    """The form offers the dataset's columns; the estimate has the cases of the stored selection and leads to it; wrong values are said."""
    wanted = f"/lfs/new?dataset={SLUG}&max_kept=2&iterations=1&permutations=3&end_row=all"
    assert 'name="feature" value="SIGNAL"' in web.ask(wanted).text
    text = web.ask(f"{wanted}&estimate=1").text
    cases = web.get(f"/api/lfs/runs/{lfs_id}")["run"]["summary_metrics"]["cases"]
    assert f"<b>{cases}</b>" in text
    assert "<b>0.250</b><span>smallest possible p-value" in text
    one = web.ask(f"{wanted}&feature=SIGNAL&estimate=1").text
    assert "<output data-count>1</output> of 2" in one
    assert "<li><b>1</b><span>features" in one
    assert web.ask(f"/lfs/new?dataset={SLUG}&bins=1&estimate=1").status_code == 422


def test_a_dataset_shows_what_its_columns_hold(web: Web) -> None:
    """Each column has its empty cells, range and line, as the API says."""
    text = web.ask(f"/datasets/{SLUG}").text.partition('id="columns"')[2]
    [target] = web.get(f"/api/datasets/{SLUG}/targets")
    assert re.search(rf">TGT_NEXT</th><td>{target['nulls']}</td>", text)
    assert text.count('<svg class="inline"') == 7


def test_the_sheet_is_a_view_of_the_page(web: Web, simulation_id: str) -> None:
    """`print=1` has the numbers of the analysis, and no script; the page leads to it."""
    found = web.get(f"/api/tradesim/runs/{simulation_id}/analysis")
    text = web.ask(f"/simulations/{simulation_id}?print=1").text
    assert "<script" not in text
    assert text.count("(as simulated)") == 1
    for one in found["deciles"]:
        assert f"<td>{one['cases']}</td>" in text
    assert f'href="/simulations/{simulation_id}?print=1"' in web.ask(f"/simulations/{simulation_id}").text


def test_a_sweep_is_ranked_judged_and_mapped(web: Web, sweep: SweepResult) -> None:
    """The page has the order, probability of overfitting and SPA p-value of the command, links to runs, and a cell per pair of settings."""
    assert f'href="/sweeps/{sweep.sweep_id}"' in web.ask(f"/sweeps?dataset={SLUG}").text
    assert "No sweep of" in web.ask("/sweeps?dataset=nowhere_1d_v1").text
    text = web.ask(f"/sweeps/{sweep.sweep_id}").text
    assert re.findall(r'<th scope="row" class="text mono"><a href="/runs/([^"]+)"', text) == [one.run_id for one in sweep.trials]
    found = sweep.overfitting
    assert found is not None
    assert re.search(rf"<b>{found.probability:.3f}</b><span[^>]*>probability of backtest overfitting", text)
    assert re.search(rf"<b>{found.spa_p_value:.3f}</b><span[^>]*>SPA p-value", text)
    best = sweep.trials[0]
    eta, depth = best.changes["model"]["eta"], best.changes["model"]["max_depth"]
    assert text.count('class="cell"') == 4
    assert f"<title>{eta}, {depth}: {best.metrics['profit_factor']:.4g}</title>" in text
    turned = web.ask(f"/sweeps/{sweep.sweep_id}?x=model.max_depth&y=model.eta&rank_by=mean").text
    assert f"<title>{depth}, {eta}: {best.metrics['mean']:.4g}</title>" in turned
    assert web.ask(f"/sweeps/{sweep.sweep_id}?x=model.luck").status_code == 422
    assert web.ask("/sweeps/none").status_code == 404


def test_nonsense_is_answered_by_a_page(web: Web) -> None:
    """An unknown page, run or value gets the frame, the sentence and the right status, never a traceback or JSON."""
    for path, status, words in (
        ("/nope", 404, "there is no such page"),
        ("/runs/6a1f0c52-0000-5000-8000-000000000000", 404, "6a1f0c52"),
        ("/runs?min_pf=much", 422, "a number is needed"),
        ("/runs?sort=luck", 400, "luck"),
        ("/datasets/<script>alert(1)</script>", 404, "&lt;script&gt;"),
    ):
        answer = web.ask(path)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "text/html; charset=utf-8"), path
        assert words in answer.text, path
        assert "<script>alert" not in answer.text


def test_files_are_kept_for_ever_and_the_theme_is_remembered(web: Web) -> None:
    """A page names its files by content; the switch of the theme works by a form and never leads to another site."""
    text = web.ask("/datasets").text
    [css] = re.findall(r'href="(/static/app\.[0-9a-f]{12}\.css)"', text)
    assert "immutable" in web.ask(css).headers["cache-control"]
    answer = web.send_form("/theme", {"theme": "dark", "back": "//evil.example/"}, allow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert 'data-theme="dark"' in web.ask("/datasets", headers={"Cookie": "theme=dark"}).text


def test_a_store_that_is_down_is_a_page_that_asks_again(settings: Settings) -> None:
    """While the stores are down every page says so, what starts them, and that it asks again."""

    def nothing() -> Stores:
        raise ServiceUnavailableError("Postgres does not run", code="postgres_down", hint="`chronos services start` starts it.")

    with running(settings, nothing) as web:
        answer = web.ask("/runs")
        assert answer.status_code == 503
        assert "chronos services start" in answer.text
        assert "data-retry" in answer.text


def test_a_person_gives_the_token_once(servers: Connections, settings: Settings, run_id: str) -> None:
    """With a token set a page leads to a form; the right token leads on with a cookie that is not the token, a wrong one does not."""
    guarded = settings.model_copy(update={"api_token": SecretStr("canary-8ZQ2")})
    with running(guarded, lambda: open_reading(servers, settings)) as web:
        asked = web.ask(f"/runs/{run_id}", allow_redirects=False)
        assert (asked.status_code, asked.headers["location"]) == (303, f"/login?next=%2Fruns%2F{run_id}")
        wrong = web.send_form("/login", {"token": "canary", "next": "/runs"}, allow_redirects=False)
        assert (wrong.status_code, "That is not the token" in wrong.text) == (401, True)
        right = web.send_form("/login", {"token": "canary-8ZQ2", "next": "//evil.example"}, allow_redirects=False)
        assert (right.status_code, right.headers["location"]) == (303, "/")
        cookie = right.headers["set-cookie"]
        assert "canary" not in cookie
        assert {"HttpOnly", "SameSite=strict"} <= {part.strip() for part in cookie.split(";")}
        session = {"Cookie": cookie.partition(";")[0]}
        assert web.ask(f"/runs/{run_id}", headers=session).status_code == 200
        assert web.ask("/api/datasets", headers=session).status_code == 200
        forged = {"Cookie": "chronos_session=99999999999." + "0" * 64}
        assert web.ask("/api/datasets", headers=forged).status_code == 401
