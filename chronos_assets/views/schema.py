"""The JSON schema of all documents, as it is committed in `schema.json`: `python -m chronos_assets.views.schema --write` renews it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pydantic.json_schema import models_json_schema

from chronos_assets.views.documents import DOCUMENTS

FILE = Path(__file__).with_name("schema.json")


def schema_text() -> str:
    """The schema of every document, sorted."""
    _, schema = models_json_schema([(model, "serialization") for model in DOCUMENTS], title="Documents of chronos_assets")
    document: dict[str, Any] = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    if "--write" in sys.argv:
        FILE.write_text(schema_text(), encoding="utf-8")
    sys.stdout.write(schema_text())
