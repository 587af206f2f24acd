"""Assembly only: what Dagster loads."""

from chronos_assets.orchestration.build import build_defs

defs = build_defs()
