"""Dagster: assets, checks, partitions, resources, jobs, schedules, sensors and what they show. No rule of the product is decided here."""
