"""The tables of learners and selectors in docs/WALKFORWARD.md."""

from __future__ import annotations

import re
from typing import Any

from chronos_assets.domain.learners import LEARNERS
from chronos_assets.domain.parts import Catalogue, documentation_row
from chronos_assets.domain.selectors import SELECTORS
from written_pages.common import DOCS


def walkforward_page() -> str:
    """The page as it is, with the rows of its two tables of parts from their classes."""
    text = (DOCS / "WALKFORWARD.md").read_text(encoding="utf-8")
    catalogues: tuple[Catalogue[Any], ...] = (LEARNERS, SELECTORS)
    for catalogue in catalogues:
        rows = "".join(f"{documentation_row(catalogue.find(name), catalogue.field)}\n" for name in catalogue.names)
        table = re.compile(rf"(^\| {catalogue.what} \|.*\n\|[-|]+\|\n)(?:\|.*\n)*", re.MULTILINE)
        text, found = table.subn(lambda match, rows=rows: match[1] + rows, text)
        assert found == 1, f"docs/WALKFORWARD.md needs one table headed `| {catalogue.what} |`"
    return text
