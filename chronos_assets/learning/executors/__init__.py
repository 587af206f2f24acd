"""Where folds run: a module per executor, `base` with what they share, `catalogue` with their names."""
