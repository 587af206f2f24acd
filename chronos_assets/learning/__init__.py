"""Training one fold, and the executors that train many."""
