"""What Dagster costs: the lineage beside the same use cases called plainly, and ticks with many manifests."""
