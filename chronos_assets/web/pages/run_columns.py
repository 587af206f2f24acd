"""Columns of the list of runs: which there are, which are shown if the address names none, and how they are sorted and explained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chronos_assets.web.pages.forms import one_of


@dataclass(frozen=True)
class RunColumn:
    """One column. `sort`: the key it is sorted by, if it can be; `text`: aligned to the left."""

    key: str
    label: str
    title: str = ""
    sort: str = ""
    text: bool = False
    usual: bool = True


COLUMNS = (
    RunColumn("dataset", "Dataset", text=True),
    RunColumn("profile", "Profile", "Profiles of the manifest that ask for it, and whether it is the current run of one", text=True),
    RunColumn("target", "Target", text=True),
    RunColumn("folds", "Folds", "Folds stored / planned"),
    RunColumn("signals", "Signals L / S", "Signals of the long and of the short side"),
    RunColumn("hits", "Hit rate L / S", "Winning signals / signals"),
    RunColumn(
        "factor",
        "PF L S both",
        "Sum of gains / sum of losses of the signals, pooled over all folds; basis: bar. ! after a side: off in some folds",
        sort="both.profit_factor",
    ),
    RunColumn("baseline", "Baseline", "Profit factor of the baseline learner on the same folds, both sides"),
    RunColumn("sum", "Sum", "Sum of the targets of all signals, negated for shorts", sort="both.signal_sum"),
    RunColumn("running", "Running", "The sum, fold after fold"),
    RunColumn("started", "Created", sort="created_at", text=True),
    RunColumn("took", "Took", sort="duration_ms", usual=False),
    RunColumn("bars", "Bars", "Bars of the dataset when it was trained", usual=False),
    RunColumn("off", "Off L / S / nothing", "Folds without a long threshold, without a short one, and that learned nothing", usual=False),
    RunColumn("cases", "Cases L / S", "Median number of cases that the long and short thresholds rest on", usual=False),
    RunColumn("features", "Features", usual=False),
    RunColumn("learner", "Learner", text=True, usual=False),
    RunColumn("device", "Device", text=True, usual=False),
    RunColumn("by", "Requested by", text=True, usual=False),
)
BY_KEY = {column.key: column for column in COLUMNS}
USUAL = tuple(column.key for column in COLUMNS if column.usual)


def chosen_columns(names: Sequence[str] | None) -> list[RunColumn]:
    """The columns that `names` say, in the order of the table; the usual ones if there are none. Raises `UsageError`."""
    wanted = [one_of("columns", name, list(BY_KEY)) for name in names or [] if name] or list(USUAL)
    return [column for column in COLUMNS if column.key in wanted]
