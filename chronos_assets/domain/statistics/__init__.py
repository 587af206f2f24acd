"""Statistics of results: return metrics, confidence intervals, permutation tests, deflation. Pure functions."""
