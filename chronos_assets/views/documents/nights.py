"""Documents about what one night or backfill did."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from chronos_assets.views.documents.base import Document, Mode, Warn
from chronos_assets.views.documents.upkeep import Space

Outcome = Literal["done", "unchanged", "failed", "refused", "in progress elsewhere", "not taken"]


class NightRun(Document):
    """How one dataset of a night or backfill ended; `message` says why it failed."""

    slug: str
    why: str
    run_id: str
    succeeded: bool
    exit_code: int
    message: str
    seconds: float


class NightEquity(Document):
    """The simulated equity of one mode, and how it changed since the night before."""

    mode: Mode
    simulation_id: str
    configuration: str = Field(description="Names the parameters of the simulation; equal from night to night if they are.")
    equity: float | None = Field(description="At the close of the last simulated bar.")
    total_return_pct: float | None
    change: float | None = Field(description="Against the same simulation of the night before; null if there was none.")
    change_pct: float | None


class NightProfile(Document):
    """The current run of a profile: its newest prediction, the signal that it gives, and the simulated equity."""

    profile: str
    run_id: str
    bar: datetime | None = Field(description="The last bar that was predicted.")
    prediction: float | None
    signal: Literal["long", "short", "none"] | None = Field(description="Null without a prediction.")
    equity: list[NightEquity]


class NightDataset(Document):
    """One dataset of a night: what came of it, and how it stands in the morning."""

    dataset: str
    outcome: Outcome
    reason: str = Field("", description="Why it failed, was refused or did not run.")
    nights: int = Field(1, description="How many nights in a row it ended like this for the same reason.")
    bars: int | None = None
    last_bar: datetime | None = None
    bars_added: int | None = Field(None, description="Since the night before; null if it was not published then.")
    folds_trained: int = 0
    profiles: list[NightProfile] = Field(default_factory=list)
    warnings: list[Warn] = Field(default_factory=list)


class Morning(Document):
    """What a night or backfill came to, dataset by dataset: the same in Dagster, on the command line and over HTTP."""

    night: str
    started_at: datetime
    completed_at: datetime
    headline: str
    outcomes: dict[str, int] = Field(description="How many datasets ended in which way.")
    datasets: list[NightDataset]
    space: Space | None = Field(None, description="What the stores take at its end.")


class Night(Document):
    """What one night or backfill did."""

    name: str
    manifests: int
    unchanged: int
    problems: list[str]
    datasets: list[NightRun]
    totals: dict[str, int]
    summary: str
    morning: Morning | None = Field(None, description="What it came to, dataset by dataset.")
