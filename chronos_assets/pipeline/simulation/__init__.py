"""Simulation: predictions and prices become trades; each trade can be traced back to its file."""
