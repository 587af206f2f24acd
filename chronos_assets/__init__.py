"""From an indicator file to simulated trades, one way, every step leaving a record that the next one checks."""

__version__ = "0.1.0"
