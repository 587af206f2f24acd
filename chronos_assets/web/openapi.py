"""The OpenAPI document as it is committed in `docs/openapi.json`: `python -m chronos_assets.web.openapi FILE` renews it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from chronos_assets.errors import ServiceUnavailableError
from chronos_assets.settings import Settings
from chronos_assets.storage.stores import Stores
from chronos_assets.web.app import create_app


def openapi_text() -> str:
    """The document, with default settings: none of them changes a route."""
    return json.dumps(create_app(_defaults(), _closed).openapi(), indent=1, ensure_ascii=False) + "\n"


def _defaults() -> Settings:
    defaults: dict[str, Any] = {name: field.get_default(call_default_factory=True) for name, field in Settings.model_fields.items()}
    return Settings.model_construct(**defaults)


def _closed() -> Stores:
    raise ServiceUnavailableError("the document needs no store")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(openapi_text(), encoding="utf-8")
