"""Validation: do the stores still hold what was published and stored? Reads only."""
