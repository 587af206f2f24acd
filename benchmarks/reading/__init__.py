"""How fast lists are read from a large registry."""
