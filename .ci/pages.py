"""Write the pages that are made from the code: `python3 bootstrap.py run python .ci/pages.py`. A test compares them.

| page | made from |
|---|---|
| docs/SETTINGS.md | `settings.py` |
| docs/CLI.md | `--help` of every command |
| tables of learners and selectors in docs/WALKFORWARD.md | `domain/learners.py`, `domain/selectors.py` and the classes they name |
| docs/INDICATORS.md | `domain/indicators.py` |
| docs/PRESETS.md | `domain/presets.py`, `FormatSpec` in `domain/bars_spec.py` |
| docs/storage/QUESTDB_INGESTION.md | `storage/questdb_tables.py` |
| docs/storage/postgres_schema.sql, docs/storage/POSTGRES.md | `storage/postgres_schema/` |

Words about a setting, command, table or index are beside its code; `written_pages/` only lays them out. `--check` writes nothing and exits
1 if a page differs.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from written_pages.commands import cli_page
from written_pages.common import COMMAND, DOCS, PROJECT
from written_pages.indicators import indicators_page
from written_pages.postgres import postgres_page, postgres_schema
from written_pages.presets import presets_page
from written_pages.questdb import questdb_page
from written_pages.settings import settings_page
from written_pages.walkforward import walkforward_page


def pages() -> dict[Path, str]:
    """Every generated page and its text."""
    return {
        DOCS / "SETTINGS.md": settings_page(),
        DOCS / "CLI.md": cli_page(),
        DOCS / "WALKFORWARD.md": walkforward_page(),
        DOCS / "INDICATORS.md": indicators_page(),
        DOCS / "PRESETS.md": presets_page(),
        DOCS / "storage" / "QUESTDB_INGESTION.md": questdb_page(),
        DOCS / "storage" / "postgres_schema.sql": postgres_schema(),
        DOCS / "storage" / "POSTGRES.md": postgres_page(),
    }


def main() -> int:
    """Write or check the pages."""
    differing = [path for path, text in pages().items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if "--check" in sys.argv:
        for path in differing:
            print(f"{path.relative_to(PROJECT)} is not what the code says: run `{COMMAND}`", file=sys.stderr)
        return 1 if differing else 0
    for path, text in pages().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    print(f"written: {', '.join(str(path.relative_to(PROJECT)) for path in differing) or 'nothing new'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
