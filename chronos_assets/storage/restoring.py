"""The mark of a home that a restore has begun and not ended: until it is gone, what lies there is half of a backup."""

from __future__ import annotations

from pathlib import Path

from chronos_assets.errors import RefusedError

MARK = "restoring"


def require_whole(home: Path) -> None:
    """Raise `RefusedError` if a restore into `home` was killed, or is under way."""
    if (home / MARK).exists():
        raise RefusedError(
            "the home holds half of a backup: a restore into it is under way, or was killed",
            code="home_half_restored",
            expected="a restore that has ended",
            hint="Wait for it, or call `chronos restore FOLDER` again: it clears the home and begins anew.",
            home=home,
        )
