"""Where things are kept: QuestDB, Postgres, files. Driver errors are wrapped here, once."""
