"""Local Feature Selection of a published dataset: requests resolved, run and resumed, launched through Dagster, read again."""
