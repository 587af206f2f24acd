"""Models of live folds as text: the list, one with its backtest and history, and the signal of the newest bar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from chronos_assets.domain.byte_size import byte_size

if TYPE_CHECKING:
    from chronos_assets.views.documents import (
        BundlePredictions,
        LivePredictions,
        LiveSignal,
        Model,
        ModelDetail,
        ModelNamed,
        ModelOutcome,
        VerifiedBundle,
    )

SIGNALS_SHOWN = 10


def list_text(models: Sequence[Model]) -> str:
    """One line per model, the newest first."""
    if not models:
        return "no models; `chronos model train SLUG` makes one"
    lines = [f"{'model_id':<36} {'dataset':<20} {'target':<16} {'name':<8} {'valid from':<16} {'valid until':<16} created"]
    for one in models:
        name = "retired" if one.retired_at is not None else ", ".join(one.aliases) or "-"
        times = " ".join(f"{moment:%Y-%m-%d %H:%M}" for moment in (one.valid_from_ts, one.valid_until_ts, one.created_at))
        lines.append(f"{one.model_id} {one.dataset_id:<20} {one.target:<16} {name:<8} {times}")
    lines.append("`chronos model show MODEL_ID` shows one (the first characters of the id are enough)")
    return "\n".join(lines)


def model_text(model: ModelDetail) -> str:
    """One model: what it was trained on, when it holds, its backtest, and the names that stood for it."""
    train, versions = model.description["train"], model.description["versions"]
    features = [feature["name"] for feature in model.description["features"]]
    lines = [
        _headline(model),
        f"continues   run {model.run_id or model.description['run_id']}, as its fold {model.fold_number}",
        f"trained on  rows {train['first_row']:,} to {train['end_row']:,} ({train['start']} to {train['end']}): "
        f"{train['samples_fitted']:,} fitted, {train['samples_validation']:,} validated",
        f"holds       from {_minute(model.valid_from_ts)} until {_minute(model.valid_until_ts)} ({model.description['valid_until_is']})",
        f"thresholds  {thresholds_text(model.thresholds)}",
        f"features    {', '.join(features[:8])}{f' and {len(features) - 8} more' if len(features) > 8 else ''}",
        f"file        {byte_size(model.bytes)}, SHA-256 {model.sha256}",
        f"data        {model.description['checksum']} (content {model.description['content_hash']})",
        f"versions    {', '.join(f'{name} {value}' for name, value in versions.items())}",
        *backtest_lines(model.backtest),
    ]
    lines += [
        f"{change.changed_at:%Y-%m-%d %H:%M} {change.action} as {change.name}{f' by {change.changed_by}' if change.changed_by else ''}"
        f"{f': {change.reason}' if change.reason else ''}"
        for change in model.history
    ]
    return "\n".join(lines)


def outcome_text(outcome: ModelOutcome) -> str:
    """What a training came to, in four lines."""
    model = outcome.model
    state = "was there already" if outcome.reused else f"trained in {outcome.seconds:.1f} s"
    return "\n".join(
        [
            f"model {model.model_id} of {model.dataset_id}: {state}",
            f"fold {model.fold_number} of run {model.run_id}; {outcome.bars} bars of its window are there",
            f"holds from {_minute(model.valid_from_ts)} until {_minute(model.valid_until_ts)}; {thresholds_text(model.thresholds)}",
            f"{_names(model)}; `chronos model promote {model.model_id[:8]}` promotes it as live",
        ]
    )


def named_text(named: ModelNamed) -> str:
    """What a name stands for now."""
    if not named.changed:
        return f"{named.name} of {named.model.dataset_id} is model {named.model.model_id} already"
    before = f"; it was {named.before}" if named.before else ""
    return f"{named.name} of {named.model.dataset_id} is model {named.model.model_id} now{before}"


def verified_text(found: VerifiedBundle, backtest: Mapping[str, Any]) -> str:
    """What a verified bundle is."""
    return "\n".join(
        [
            f"{found.path}: whole, {found.sample_rows} sample rows predicted again, 0 bits different",
            f"model {found.model_id} of {found.dataset}, holds from {_minute(found.valid_from)} until {_minute(found.valid_until)}",
            *backtest_lines(backtest),
        ]
    )


def file_text(found: BundlePredictions) -> str:
    """The newest bars of a file as a bundle predicts them, the last one for the bar to come."""
    lines = [f"{_bar(one.bar)}  {one.prediction:>12.6g} {one.signal:<6}" for one in found.signals[-SIGNALS_SHOWN:]]
    head = [f"{'bar':<17} {'prediction':>12} {'signal':<6}", *lines] if lines else ["the file holds no bar of the model's window"]
    until = f"model {found.model_id} of {found.dataset}, holds until {_minute(found.valid_until)}"
    return "\n".join([*head, until])


def predictions_text(found: LivePredictions, backtest: Mapping[str, Any]) -> str:
    """The signal of the newest bar first, then the bars of the window, the model's age and its backtest."""
    shown = found.signals[-SIGNALS_SHOWN:]
    lines = [newest_line(found.dataset, found.newest)]
    if len(found.signals) > 1:
        lines += [f"{'bar':<17} {'prediction':>12} {'signal':<6}", *(_row(one) for one in shown)]
        more = len(found.signals) - len(shown)
        lines += [f"and {more} earlier bars of its window (`--json` has all)"] if more else []
    lines += model_lines(found, backtest)
    return "\n".join(lines)


def newest_line(dataset: str, newest: LiveSignal | None) -> str:
    """The signal for the bar to come, in one line."""
    if newest is None:
        return f"{dataset}: no bar of this model's window is there yet"
    by = "" if newest.fold is None else f" (by fold {newest.fold} of its run: the model's own window begins with the next bar)"
    word = "no signal" if newest.signal == "none" else newest.signal.upper()
    thresholds = thresholds_text({"long": newest.long_threshold, "short": newest.short_threshold})
    return f"{dataset}: {word} after the bar of {_minute(newest.timestamp)}; prediction {newest.prediction:.6g} ({thresholds}){by}"


def model_lines(found: LivePredictions, backtest: Mapping[str, Any]) -> list[str]:
    """Whose signal it is: the model, its age, and what its backtest came to."""
    model = found.model
    state = "expired" if found.expired else f"holds until {_minute(model.valid_until_ts)}"
    return [f"model {model.model_id} ({_names(model)}), {found.age_days:.1f} days old, {state}", *backtest_lines(backtest)]


def backtest_lines(backtest: Mapping[str, Any]) -> list[str]:
    """The backtest in a few lines: signals of the folds, then each simulation with how far it could be luck."""
    run = backtest["run"]
    both = run.get("both") or {}
    lines = [
        f"backtest    {run['folds']} folds from {run['first_test_bar']} to {run['end_of_tests']}: {both.get('n_signals', 0):,} signals, "
        f"hit rate {_percent(both.get('hit_rate'), 100)}, profit factor {_ratio(both)}"
    ]
    for simulation in backtest["simulations"]:
        summary, chance = simulation["summary"], simulation["deflated_sharpe"]
        p = ", ".join(f"{name.replace('_', ' ')} p {test['p_value']:.3f}" for name, test in simulation["tests"].items())
        luck = "" if chance is None else f", deflated probability {chance['probability']:.2f} among {backtest['trials']} trials"
        lines.append(
            f"  {simulation['mode']:<9} {summary.get('trade_count', 0):,} trades, return {_percent(summary.get('total_return_pct'))}"
            f"{f', {p}' if p else ''}{luck}"
        )
    return lines if backtest["simulations"] else [*lines, "  no simulation was made of its run"]


def thresholds_text(thresholds: Mapping[str, Any]) -> str:
    """Both thresholds in words."""
    long, short = thresholds["long"], thresholds["short"]
    return f"{'long off' if long is None else f'long >= {long:.6g}'}, {'short off' if short is None else f'short <= {short:.6g}'}"


def _headline(model: ModelDetail) -> str:
    went = f", retired {_minute(model.retired_at)}" if model.retired_at is not None else ""
    return f"model {model.model_id} of {model.dataset_id}, target {model.target}: {_names(model)}{went}"


def _names(model: Model) -> str:
    return f"promoted as {', '.join(model.aliases)}" if model.aliases else "not promoted"


def _row(one: LiveSignal) -> str:
    return f"{one.timestamp:%Y-%m-%d %H:%M}  {one.prediction:>12.6g} {one.signal:<6}"


def _bar(second: int) -> str:
    return f"{datetime.fromtimestamp(second, tz=UTC):%Y-%m-%d %H:%M}"


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _percent(value: float | None, times: float = 1.0) -> str:
    return "-" if value is None else f"{times * value:.1f} %"


def _ratio(metrics: Mapping[str, Any]) -> str:
    value = metrics.get("profit_factor")
    return ("no losses" if metrics.get("no_losses") else "-") if value is None else f"{value:.2f}"
