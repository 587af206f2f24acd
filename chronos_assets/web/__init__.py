"""The HTTP process: the JSON API (`api/`) over the read models of `views/`. It knows nothing of Dagster, and writes nothing."""
