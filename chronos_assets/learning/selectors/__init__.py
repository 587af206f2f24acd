"""Feature selectors, one file each: each chooses features from rows that it is given, and from nothing else (`domain.selectors`)."""
