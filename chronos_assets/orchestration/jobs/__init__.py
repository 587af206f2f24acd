"""Jobs that a person launches for one dataset: a sweep, a validation."""
