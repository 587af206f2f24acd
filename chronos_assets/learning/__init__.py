"""One fold: features selected, a model trained, its keys; and the executors that train many folds. No store, no Dagster."""
