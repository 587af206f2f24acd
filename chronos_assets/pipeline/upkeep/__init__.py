"""Upkeep: manifests, what changed since last time, published datasets, and how old things go."""
