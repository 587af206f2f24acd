"""The embedded QuestDB and Postgres: install, start, stop."""
