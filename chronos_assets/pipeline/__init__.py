"""The use cases: export, backfill, walk-forward, simulate, validate. No Dagster."""
