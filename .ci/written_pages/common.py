"""What the pages share: where they lie, the note on top, and lines of one width."""

from __future__ import annotations

import textwrap
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent.parent
DOCS = PROJECT / "docs"
COMMAND = "python3 bootstrap.py run python .ci/pages.py"
NOTE = f"<!-- Written by `{COMMAND}`; do not edit. -->"


def wrapped(text: str) -> list[str]:
    """Lines of at most 140 characters."""
    return textwrap.wrap(text, 140)
