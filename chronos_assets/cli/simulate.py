"""`chronos simulate`, `chronos trace` and `chronos report`: a run's trades, where each came from, and the sheet that shows them."""

from __future__ import annotations

import webbrowser
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from chronos_assets.cli import completion
from chronos_assets.cli.common import emit, json_option
from chronos_assets.cli.page_line import page_line
from chronos_assets.cli.workplace import open_for_reading
from chronos_assets.errors import UsageError
from chronos_assets.storage.ids import full_id

if TYPE_CHECKING:
    from chronos_assets.domain.profiles.simulation import SimulationProfile


@click.command()
@click.argument("run_id", shell_complete=completion.run_ids)
@click.option("--profile", "profile_name", default=None, help="Simulation profile of the manifest (default: `default`).")
@click.option("--mode", "modes", multiple=True, type=click.Choice(["long", "short", "dual"]), help="Only this mode (repeatable).")
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="KEY=VALUE",
    shell_complete=completion.simulation_keys,
    help="Change a key of the profile, for example exits.max_bars=5.",
)
@click.option(
    "--manifest", "manifest_file", type=click.Path(path_type=Path), default=None, help="Manifest to use instead of the dataset's."
)
@json_option
def simulate(
    *, run_id: str, profile_name: str | None, modes: tuple[str, ...], changes: tuple[str, ...], manifest_file: Path | None, as_json: bool
) -> None:
    """Turn the predictions of run RUN_ID into trades, one simulation per mode of the profile."""
    from chronos_assets.cli.progress import Reporter
    from chronos_assets.cli.workplace import find_manifest, open_stores_of
    from chronos_assets.domain.profiles.simulation import SimulationProfile
    from chronos_assets.errors import ManifestError
    from chronos_assets.pipeline.simulation.judgement import deflated_sharpes, tests_of_page
    from chronos_assets.pipeline.simulation.price_sources import price_source
    from chronos_assets.pipeline.simulation.run import simulate_run
    from chronos_assets.storage.runs import get_run
    from chronos_assets.views.documents import SimulationsOutcome

    stores = open_stores_of()
    run = get_run(stores.postgres, full_id(stores.postgres, "run", run_id))
    loaded = find_manifest(stores.settings, run.dataset_id, manifest_file)
    if loaded is None and profile_name not in {None, "default"}:
        raise ManifestError(f"there is no manifest to take profile {profile_name!r} from", code="manifest_missing", slug=run.dataset_id)
    profile = SimulationProfile() if loaded is None else loaded.manifest.simulation_profile(profile_name or "default")
    changed = _changed(profile, modes, changes)
    with Reporter(run.dataset_id) as progress:
        results = simulate_run(run.run_id, changed, stores, prices=price_source(loaded, changed), progress=progress)
    chances = deflated_sharpes(stores, run.run_id, [result.simulation_id for result in results])
    tests = tests_of_page({result.mode: result.summary_metrics for result in results})
    document = {
        "run_id": run.run_id,
        "dataset": run.dataset_id,
        "simulations": [
            asdict(result) | {"deflated_sharpe": None if (d := chances[result.simulation_id]) is None else d.as_json()}
            for result in results
        ],
        "tests": [asdict(test) for test in tests],
    }
    page = page_line(stores.settings, f"/simulations/{results[-1].simulation_id}")
    emit(SimulationsOutcome(**document), as_json, lambda _: f"{_simulations_text(document)}\n{page}")


@click.command()
@click.argument("trade", shell_complete=completion.simulation_ids)
@json_option
def trace(trade: str, as_json: bool) -> None:
    """Follow a trade, named SIMULATION_ID/TRADE_NO, back to its fold, model, bars and file."""
    from chronos_assets.pipeline.simulation.trace import parse_trade, trace_trade
    from chronos_assets.views.documents import Trace

    simulation_id, number = parse_trade(trade)
    stores = open_for_reading()
    document = trace_trade(f"{full_id(stores.postgres, 'simulation', simulation_id)}/{number}", stores)
    emit(Trace(**document), as_json, lambda _: _trace_text(document))


@click.command()
@click.argument("simulation_id", shell_complete=completion.simulation_ids)
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), default=None, help="File to write (default: in the reports folder)."
)
@click.option("--open", "show", is_flag=True, help="Open the sheet in the browser.")
@json_option
def report(simulation_id: str, output: Path | None, show: bool, as_json: bool) -> None:
    """Write the tear sheet of SIMULATION_ID as one HTML file that opens offline."""
    from chronos_assets.views.documents import Report
    from chronos_assets.web.tear_sheet import write_tear_sheet

    stores = open_for_reading()
    simulation_id = full_id(stores.postgres, "simulation", simulation_id)
    sheet = write_tear_sheet(simulation_id, stores, output)
    if show:
        if "://" in sheet.place:
            raise UsageError(
                "the sheet is kept in a bucket, which a browser does not open", code="report_elsewhere", hint="Name a file by --output."
            )
        webbrowser.open(Path(sheet.place).as_uri())
    emit(Report(simulation_id=simulation_id, file=sheet.place, bytes=sheet.bytes), as_json, lambda _: sheet.place)


def _changed(profile: SimulationProfile, modes: tuple[str, ...], changes: tuple[str, ...]) -> SimulationProfile:
    """`profile` with what the options say, validated as a manifest's would be."""
    from chronos_assets.cli.walkforward import parse_change
    from chronos_assets.domain.profiles.variants import change_profile

    values = dict(parse_change(text) for text in changes)
    if modes:
        values["modes"] = list(dict.fromkeys(modes))
    return change_profile(profile, values)


def _simulations_text(document: dict[str, Any]) -> str:
    lines = [f"run {document['run_id']} of {document['dataset']}"]
    for entry in document["simulations"]:
        s = entry["summary_metrics"]
        hold = s["buy_and_hold"]
        lines += [
            f"{entry['mode']:<5} {entry['simulation_id']}" + ("  (already there)" if entry["reused"] else ""),
            f"  trades        {s['trade_count']:>12}   win rate {_number(s['win_rate'], 3)}, expectancy {_number(s['expectancy'])}",
            f"  total return  {_number(s['total_return_pct'])} %   buy and hold {_number(hold['total_return_pct'])} %",
            f"  max drawdown  {_number(s['max_drawdown_pct'])} %   buy and hold {_number(hold['max_drawdown_pct'])} %",
            f"  sharpe        {_number(s['sharpe'])}     buy and hold {_number(hold['sharpe'])}",
            f"  profit factor {_number(s['profit_factor_trade'])}     by trade; by bar {_number(s['profit_factor_bar'])}",
            f"  p-values      trade test {_p(s['trade_test'])}, signal test {_p(s['signal_test'])}{_adjusted(document, entry['mode'])}",
            *_deflated_lines(entry["deflated_sharpe"]),
        ]
        lines += [f"  warning       {w['message']}" for w in entry["warnings"]]
    lines.append("`chronos report SIMULATION_ID` writes a tear sheet; `chronos trace SIMULATION_ID/TRADE_NO` follows a trade back.")
    return "\n".join(lines)


_STATES = {
    "whole": "",
    "missing": "is gone; the walk-forward trains it again",
    "damaged": "is damaged; the walk-forward trains it again",
    "unrecorded": "was stored without a hash by an older program; the walk-forward trains it again",
}


def _trace_text(d: dict[str, Any]) -> str:
    fold, model, bars = d["fold"], d["model"], d["bars"]
    cuts = {
        side: "off" if fold is None or fold["thresholds"][side] is None else f"{fold['thresholds'][side]:.6g}" for side in ("long", "short")
    }
    lines = [
        f"trade    {d['trade']}: {d['side']}, {d['position_size']:.6g} units, pnl {d['pnl']:,.2f} ({d['return_pct']:.3f} %)",
        f"  decided  {d['decision_time']}  prediction {bars['decision']['prediction']:.6g},"
        f" thresholds long {cuts['long']} short {cuts['short']}",
        f"  entered  {d['entry_time']}  at {d['entry_price']:.6g}",
        f"  left     {d['exit_time']}  at {d['exit_price']:.6g}, {d['exit_reason'].replace('_', ' ')}",
    ]
    if fold is not None:
        lines.append(
            f"fold     {fold['fold_number']}: train rows {fold['train_start_idx']}..{fold['train_end_idx']},"
            f" test rows {fold['test_start_idx']}..{fold['test_end_idx']} ({fold['test_start_ts']} to {fold['test_end_ts']})"
        )
    if model is not None:
        again = {True: "predicts this bar again to the bit", False: "does NOT predict this bar again", None: _STATES[model["state"]]}
        lines.append(f"model    {model['artifact']} ({again[model['reproduces_prediction']]})")
    lines += [
        f"bars     {bars['table']}, bar {bars['decision']['bar_index']}",
        f"run      {d['run']['run_id']}, target {d['run']['target']}",
        f"file     {d['file']['dataset']}, {d['file']['checksum']}",
    ]
    return "\n".join(lines)


def _number(value: float | None, digits: int = 2) -> str:
    return f"{'none':>12}" if value is None else f"{value:>12,.{digits}f}"


def _adjusted(document: dict[str, Any], mode: str) -> str:
    """The same p-values adjusted for the number of tests on the page."""
    own = {test["test"]: test for test in document["tests"] if test["name"] == mode}
    if not own or next(iter(own.values()))["tests"] < 2:
        return ""
    values = ", ".join(f"{own[name]['holm']:.4f}" if name in own else "none" for name in ("trade_test", "signal_test"))
    return f"; adjusted for {next(iter(own.values()))['tests']} tests (Holm) {values}"


def _deflated_lines(found: dict[str, Any] | None) -> list[str]:
    if found is None:
        return []
    counted = f"{found['trials']} trials on record ({found['different_trials']} different)"
    return [
        f"  deflated      {_number(found['probability'], 3)}     probability that the Sharpe ratio beats the best by chance of {counted}"
    ]


def _p(test: dict[str, Any] | None) -> str:
    return "none" if test is None else f"{test['p_value']:.4f}"
