"""Export: a file is normalized, written to QuestDB, audited in full and published in the registry."""
