"""Documents about what one night or backfill did."""

from __future__ import annotations

from chronos_assets.views.documents.base import Document


class NightRun(Document):
    """How one dataset of a night or backfill ended; `message` says why it failed. `in_progress`: another run works on it."""

    slug: str
    why: str
    run_id: str
    succeeded: bool
    exit_code: int
    message: str
    seconds: float
    in_progress: bool = False


class Night(Document):
    """What one night or backfill did."""

    name: str
    manifests: int
    unchanged: int
    in_progress: int = 0
    problems: list[str]
    datasets: list[NightRun]
    totals: dict[str, int]
    summary: str
