"""The command line: flags in, use cases called, text or JSON out. No rule of the product is decided here."""
