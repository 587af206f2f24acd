"""Alembic migrations of the registry, in order; each revision id is the number its file begins with."""
