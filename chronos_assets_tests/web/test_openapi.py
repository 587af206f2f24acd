"""The description of the API: committed, complete, and nothing of Dagster behind it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from chronos_assets.web.openapi import openapi_text

FILE = Path(__file__).parents[2] / "docs" / "openapi.json"


def test_the_committed_document_is_that_of_the_routes() -> None:
    """A change of a route shows in the diff: `python -m chronos_assets.web.openapi docs/openapi.json` renews the file."""
    assert FILE.read_text(encoding="utf-8") == openapi_text()


def test_every_operation_says_what_it_answers() -> None:
    """Each route has a name, a sentence, a schema of its answer and of its problems."""
    document = json.loads(openapi_text())
    assert document["openapi"].startswith("3.1")
    for path, methods in document["paths"].items():
        for operation in methods.values():
            assert operation["description"].strip(), path
            succeeds = [one for status, one in operation["responses"].items() if status.startswith("2")]
            assert succeeds, path
            assert all(one["content"] for one in succeeds), path
            assert "default" in operation["responses"] or path == "/api/health", path
            for one in operation.get("parameters", ()):
                assert "description" in one or one["in"] == "path" or "enum" in str(one["schema"]) or one["name"] in NAMES, (path, one)


# Filters that a column's name explains.
NAMES = {"dataset", "target", "symbol", "granularity", "fold", "pnl_lt", "pnl_gt"}


def test_the_server_imports_no_dagster() -> None:
    """What serves the API loads neither Dagster nor a training library: it starts fast, and stays small."""
    program = (
        "import sys; import chronos_assets.web.app, chronos_assets.cli.serve;"
        "print([m for m in ('dagster', 'xgboost', 'numba', 'arch', 'ray', 'pandera', 'sqlalchemy', 'alembic') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=600)
    assert done.stdout.strip() == "[]"
