"""The page about input names every code that reading a file or a manifest can answer with."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = [*(ROOT / "chronos_assets" / "ingest").glob("*.py"), ROOT / "chronos_assets" / "domain" / "manifest.py"]
SOURCES += [ROOT / "chronos_assets" / "pipeline" / name for name in ("export/normalize.py", "upkeep/manifests.py")]


def test_every_code_is_on_the_page() -> None:
    """Codes of errors and warnings in the source are all explained in docs/INPUT.md."""
    page = (ROOT / "docs" / "INPUT.md").read_text()
    written = "\n".join(path.read_text() for path in SOURCES)
    codes = set(re.findall(r'code="([a-z_]+)"', written)) | set(re.findall(r'UnclearTimeError\(\s*"([a-z_]+)"', written))
    codes |= set(re.findall(r'Unit\(\s*"([a-z_]+)"', written))
    codes |= set(re.findall(r'\("(date_[a-z_]+)", ', written)) | set(re.findall(r'return "(date_[a-z_]+)"', written))
    assert len(codes) > 60
    assert {code for code in codes if f"`{code}`" not in page} == set()
