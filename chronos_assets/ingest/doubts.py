"""Warnings of what a file can hold only by mistake: impossible prices, marks of missing values, far dates, leaks.

All of it is accepted as it is written, and told: whether it is a mistake is for the user to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from chronos_assets.ingest.future_prices import features_ahead
from chronos_assets.ingest.moments import iso
from chronos_assets.ingest.names import fold
from chronos_assets.ingest.price_checks import KINDS
from chronos_assets.ingest.report import BarsReport, ReportWarning
from chronos_assets.ingest.stats import Stats
from chronos_assets.ingest.steps import without_outliers

_SHOWN = 8
_SLOW = 0.9
_MOST_PRICES = 2
_OUTLIER = 1_000.0
_DAY_SECONDS = 86_400
CLOSE_WORDS = (
    *("last", "price", "settle", "settlement", "close/last", "adj close", "adjclose", "c", "last price", "px_last", "value"),
    *("closeprice", "close_price", "<close>", "schluss"),
)
OTHER_PRICE_WORDS = frozenset(
    {"o", "h", "l", "openprice", "highprice", "lowprice", "open_price", "high_price", "low_price", "<open>", "<high>", "<low>"}
)
VALUE_DOUBTS = (*KINDS, "close_missing", "sentinel_values", "far_dates")
"""Codes of warnings about impossible values, as the check in Dagster counts them."""
CAUSAL_DOUBTS = ("lookahead_suspect", "target_horizon_undeclared", "target_horizon_short")
"""Codes of warnings about bars that know the future."""


def list_shown(names: Sequence[str]) -> str:
    """The first eight of `names`, and how many more."""
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def future_doubts(report: BarsReport, stats: Stats) -> Iterator[ReportWarning]:
    """Features that give away a target, and features that know prices of later bars."""
    targets = {column.name: column.horizon or 1 for column in report.columns if column.role == "target"}
    told: set[str] = set()
    for target, reasons in stats.sample.suspects(targets).items():
        told |= reasons.keys()
        yield _suspicion(f"target {target} is nearly determined by", reasons)
    reasons = _ahead_of_prices(report, stats)
    reasons = {name: why for name, why in reasons.items() if name not in told}
    if reasons:
        yield _suspicion("what comes after a bar shows in", reasons)


def _ahead_of_prices(report: BarsReport, stats: Stats) -> dict[str, str]:
    names, values = stats.tail.names, stats.tail.values()
    quick = [name for name in report.by_role("target") if not _is_slow(values[:, names.index(name)])]
    return features_ahead(names, values, features=report.by_role("feature"), prices=stats.prices, targets=quick)


def _is_slow(target: np.ndarray) -> bool:
    """Whether neighbours are nearly equal, as price levels are: then a feature of the bar resembles it without knowing the future."""
    target = without_outliers(target, _OUTLIER)
    both = np.isfinite(target[1:]) & np.isfinite(target[:-1])
    if both.sum() < 2:
        return True
    moves, values = (target[1:] - target[:-1])[both], target[1:][both]
    return bool(moves.var() <= 2 * (1 - _SLOW) * values.var())


def _suspicion(what: str, reasons: Mapping[str, str]) -> ReportWarning:
    shown = list_shown([f"{name} ({why})" for name, why in reasons.items()])
    return ReportWarning(code="lookahead_suspect", message=f"{what} {shown}: such a feature probably knows the future; exclude it")


def value_doubts(report: BarsReport, stats: Stats, usual_step_seconds: int | None) -> Iterator[ReportWarning]:
    """Impossible prices, a missing Close, values that stand for none, far dates."""
    for fault in stats.price_checks.finish():
        yield ReportWarning(code=fault.code, message=fault.sentence(f"row {fault.first}"))
    yield from _missing_close(report, stats)
    found = [f"{column.name} {sentinel}" for column in report.columns for sentinel in stats.columns[column.name].range.sentinels()]
    if found:
        yield ReportWarning(
            code="sentinel_values",
            message=f"values that look like marks of a missing one: {list_shown(found)}; leave such cells empty, or they are trained on",
        )
    for far in stats.islands.far(usual_step_seconds):
        days = far.distance_seconds // _DAY_SECONDS
        bars = f"{far.bars} bar{'s' * (far.bars != 1)}"
        yield ReportWarning(
            code="far_dates",
            message=f"{bars} from {iso(far.first_time)} on, first in row {far.first_row}, are {days} days away from all others: "
            "check the dates",
        )


def _missing_close(report: BarsReport, stats: Stats) -> Iterator[ReportWarning]:
    """A file with some prices and no Close: what looks like one, and the key that maps it."""
    others = stats.prices.keys() & {"open", "high", "low"} | {fold(column.name) for column in report.columns} & OTHER_PRICE_WORDS
    if "close" in stats.prices or not others:
        return
    candidate = _like_close(column.source_name or column.name for column in report.columns if column.role != "target")
    if candidate is None and len(others) < _MOST_PRICES:
        return
    hint = (
        f"{candidate!r} looks like it: `format: {{rename: {{{candidate}: Close}}}}` in the manifest, or --format rename={candidate}:Close"
        if candidate
        else "`format: {rename: {NAME: Close}}` in the manifest maps the column that holds it"
    )
    yield ReportWarning(code="close_missing", message=f"there are prices but no Close, so nothing can be simulated; {hint}")


def _like_close(names: Iterable[str]) -> str | None:
    by_word = {fold(name.strip()): name.strip() for name in names}
    return next((by_word[word] for word in CLOSE_WORDS if word in by_word), None)
