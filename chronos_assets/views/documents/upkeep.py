"""Documents about upkeep: what the retention policy keeps and lets go."""

from __future__ import annotations

from pydantic import Field

from chronos_assets.views.documents.base import Document


class PrunedRun(Document):
    """A run that the policy does not keep, and what goes with it."""

    dataset_id: str
    run_id: str
    profiles: list[str]
    folds: int
    simulations: int
    rows: int = Field(description="Predictions in QuestDB.")
    bytes: int = Field(description="Bytes of files that only it uses.")


class Prune(Document):
    """What a prune did, or with `--dry-run` would do."""

    dry_run: bool
    runs: list[PrunedRun]
    kept: dict[str, int] = Field(description="How many runs stay, by reason.")
    files: int = Field(description="Files of bars, audits and prices that go.")
    bytes: int = Field(description="Bytes of files that go.")
    attempts: int = Field(description="Records of export attempts that went; 0 in a dry run.")
    dagster_runs: int = Field(description="Dagster runs that go, with their events and captured output.")
    skipped: list[str] = Field(description="What stays because somebody works on it, and why.")
