"""Feature selectors, one file each: see `domain.selectors` for what one is and how it is registered."""
