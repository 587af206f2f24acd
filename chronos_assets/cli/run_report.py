"""The summary of a run as text, for people."""

from __future__ import annotations

from typing import Any

from chronos_assets.cli.models_text import backtest_lines, newest_line

STEP_WORDS = {
    "normalized_bars": "read and normalize",
    "indicator_bars": "write to QuestDB",
    "indicator_bars_post_export_diff": "read back and compare",
    "indicator_datasets": "publish in the registry",
    "walkforward_predictions": "walk-forward",
    "feature_selection": "select features",
    "trading_simulations": "simulate",
    "live_models": "train the live model",
}


def step_words(name: str) -> str:
    """What a step does, in words."""
    return STEP_WORDS.get(
        name, f"check {name.removesuffix('_checks').replace('_', ' ')}" if name.endswith("_checks") else name.replace("_", " ")
    )


def run_text(document: dict[str, Any]) -> str:
    """The whole summary."""
    lines = [_head(document), ""]
    if "rows" in document:
        lines.append(_rows(document["rows"]))
    for run in document["walkforward"]:
        lines += _walkforward(run)
    if document["simulations"]:
        lines += _simulations(document["simulations"])
    lines += ["", *_times(document)]
    if "live" in document:
        lines += ["", *_live(document["dataset"], document["live"])]
    if "next" in document:
        lines += ["", document["next"]]
    return "\n".join(lines)


def gate_text(document: dict[str, Any]) -> str:
    """What happened at the gate."""
    rows = f"its {document['rows']['total']:,}" if "rows" in document else "its"
    ran = ", ".join(step_words(step["step"]) for step in document["steps"])
    return "\n".join(
        [
            "one stored cell was changed by",
            f"  {document['corrupted_by']}",
            "the audit says",
            f"  {document['found']}",
            f"in the registry: {'yes' if document['published'] else 'no'}; steps that ran after the change: {ran}",
            f"removed again: manifest and partition of {document['dataset']}; {rows} rows stay in QuestDB, where no reader looks at them.",
            "`chronos prune` gives the space of dead rows back once they are more than half of a table.",
        ]
    )


def backfill_text(document: dict[str, Any]) -> str:
    """What a backfill did."""
    busy = f", {document['in_progress']} in progress elsewhere" if document["in_progress"] else ""
    seen = f"{document['manifests']} manifests, {document['unchanged']} unchanged{busy}, {len(document['problems'])} with problems"
    return f"{document['name']}: {seen}\n{document['summary']}"


def _head(document: dict[str, Any]) -> str:
    slug, seconds = document["dataset"], document["seconds"]
    if document["status"] == "failed":
        return f"{slug}: stopped at {step_words(document['error']['step'])} after {seconds:.1f} s"
    if document["unchanged"]:
        return f"{slug}: unchanged. Everything was verified again in {seconds:.1f} s; nothing was written, trained or simulated."
    return f"{slug}: done in {seconds:.1f} s"


def _rows(rows: dict[str, Any]) -> str:
    verified = "not verified" if rows["verified"] is None else f"{rows['verified']:,} verified"
    return f"rows          {rows['total']:,}: {rows['written']:,} written over {rows['transport']}, {verified}, tag {rows['tag']}"


def _walkforward(run: dict[str, Any]) -> list[str]:
    reused = run["folds_reused"]
    folds = f"{run['folds_planned']:,} folds planned, {run['folds_trained']:,} trained, {reused:,} reused"
    lines = [f"walk-forward  {run['profile']} on {run['target']}: {folds}"]
    for side, sign in (("long", ">="), ("short", "<=")):
        threshold, metrics = run["thresholds"][side], run[side]
        off = f", off in {threshold['folds_off']:,} folds" if threshold["folds_off"] else ""
        lines.append(
            f"  {side:<11} {metrics['n_signals'] or 0:>6,} signals  hit rate {_share(metrics['hit_rate'])}  "
            f"profit factor {_factor(metrics)}  threshold {sign} {_number(threshold['median'], 4)} (median{off}){_cases(run, side)}"
        )
    if run["folds_learned_nothing"]:
        lines.append(f"  {run['folds_learned_nothing']:,} of {run['folds_planned']:,} folds learned nothing")
    baseline = run.get("baseline")
    for side in ("long", "short"):
        if baseline is None:
            break
        metrics = baseline[side]
        lines.append(
            f"  {baseline['learner'] + ' ' + side:<11} {metrics['n_signals'] or 0:>6,} signals  hit rate {_share(metrics['hit_rate'])}  "
            f"profit factor {_factor(metrics)}  (baseline)"
        )
    return lines


def _cases(run: dict[str, Any], side: str) -> str:
    """On how many cases the thresholds of a side rest."""
    cases = (run["threshold_cases"] or {}).get(side)
    return "" if cases is None or cases["median"] is None else f" on {cases['median']:g} cases (least {cases['least']})"


def _simulations(simulations: list[dict[str, Any]]) -> list[str]:
    lines = ["simulation"]
    for one in simulations:
        lines.append(
            f"  {one['name']:<11} {one['trades'] or 0:>6,} trades   win rate {_share(one['win_rate'])}  "
            f"profit factor {_factor(one)}  return {_number(one['return_pct'], 1)} %  "
            f"(buy and hold {_number(one['buy_and_hold_pct'], 1)} %)  drawdown {_number(one['max_drawdown_pct'], 1)} %"
        )
    return lines


def _live(dataset: str, live: dict[str, Any]) -> list[str]:
    """The signal for the bar to come, whose model it is of, and what its backtest came to."""
    model, state = live["model"], "promoted as live" if live["promoted"] else "not promoted"
    return [
        "signal for the bar to come",
        f"  {newest_line(dataset, live['newest'])}",
        f"  model {model.model_id}, {live['age_days']:.1f} days old, {state}: {live['reason']}",
        *(f"  {line}" for line in backtest_lines(live["backtest"])),
    ]


def _times(document: dict[str, Any]) -> list[str]:
    lines = ["time of each step"]
    lines += [
        f"  {step['seconds']:>7.2f} s  {step_words(step['step'])}{'' if step['succeeded'] else '  FAILED'}" for step in document["steps"]
    ]
    return lines


def _share(value: float | None) -> str:
    return "    -" if value is None else f"{100 * value:4.1f} %"


def _factor(metrics: dict[str, Any]) -> str:
    value = metrics.get("profit_factor")
    return f"{value:5.2f}" if value is not None else ("  inf" if metrics.get("no_losses") else "    -")


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"
