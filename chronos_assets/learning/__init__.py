"""What learns from rows: selectors of features. Values in, values out; no store and no Dagster."""
