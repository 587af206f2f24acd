"""Learners, one file each: see `domain.learners` for what one is and how it is registered."""
