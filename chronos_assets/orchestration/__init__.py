"""Dagster: assets, checks, partitions, resources, jobs, schedules, sensors, metadata. Every step calls a use case."""
