"""Read models: typed documents of what the stores hold, built once and shown by `--json`, the HTTP API and the pages."""
