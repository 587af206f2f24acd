-- What a backup asks of Postgres.

-- name: hold_attempts
-- No attempt of an export begins until the transaction ends.
LOCK TABLE export_audits IN SHARE MODE

-- name: export_snapshot
SELECT pg_export_snapshot() AS snapshot, current_setting('server_version') AS version, (SELECT count(*) FROM indicator_datasets) AS datasets

-- name: read_one_state
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY
