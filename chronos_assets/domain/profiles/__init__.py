"""Profiles: everything a person may choose about a walk-forward run or a simulation, with ranges and defaults."""
