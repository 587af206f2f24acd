"""Which `dagster.yaml` applies, and what it says of Dagster's records. Read without loading Dagster."""

from __future__ import annotations

from pathlib import Path

import yaml

from chronos_assets.settings import find_project

OUR_STORAGE = {"custom": {"module": "chronos_assets.orchestration.instance", "class": "ServicesPostgresStorage", "config": {}}}


def config_dir() -> Path:
    """The folder whose `dagster.yaml` applies: the project of the working directory, else the checkout of this package."""
    project = find_project()
    checkout = Path(__file__).resolve().parents[2]
    return project if (project / "dagster.yaml").is_file() else checkout


def records_are_in_our_postgres() -> bool:
    """Whether Dagster keeps its records where our settings say; False if its file places them elsewhere or cannot be read."""
    try:
        document = yaml.safe_load((config_dir() / "dagster.yaml").read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return False
    return isinstance(document, dict) and document.get("storage") == OUR_STORAGE
