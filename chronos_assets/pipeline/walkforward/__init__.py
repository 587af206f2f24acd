"""Walk-forward: requests are resolved, missing folds trained, finished folds stored, runs checked, parameters swept."""
