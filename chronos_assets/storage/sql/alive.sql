-- What rows in QuestDB belong to something that is in the registry. All others are dead.

-- name: alive_runs
SELECT run_id::text AS key FROM walkforward_runs ORDER BY 1

-- name: alive_simulations
SELECT simulation_id::text AS key FROM simulation_runs ORDER BY 1

-- Retired models too: what was said live stays on record.
-- name: alive_models
SELECT model_id::text AS key FROM models ORDER BY 1

-- Tags that a reader may use: registered, of a run or selection, of the latest attempt of a dataset, or of this day.
-- name: alive_tags
SELECT questdb_tag AS key FROM indicator_datasets
UNION SELECT questdb_tag FROM walkforward_runs WHERE questdb_tag IS NOT NULL
UNION SELECT questdb_tag FROM lfs_runs WHERE questdb_tag IS NOT NULL
UNION SELECT questdb_tag FROM export_audits a
    WHERE a.verdict = 'running' AND NOT EXISTS (
        SELECT 1 FROM export_audits b WHERE b.dataset_id = a.dataset_id AND b.audit_id > a.audit_id
    )
UNION SELECT questdb_tag FROM export_audits WHERE coalesce(completed_at, started_at) > now() - %(young)s
ORDER BY 1

-- Tags that were ever attempted: rows under others are not ours to drop.
-- name: attempted_tags
SELECT DISTINCT questdb_tag AS key FROM export_audits

-- name: registered_columns
SELECT DISTINCT c ->> 'questdb_column' AS key FROM indicator_datasets d, jsonb_array_elements(d.columns) c

-- Ours, and the database of Dagster's records if it is beside it.
-- name: database_bytes
SELECT coalesce(sum(pg_database_size(datname)), 0)::bigint AS bytes FROM pg_database
WHERE datname = current_database() OR (datname = 'dagster' AND has_database_privilege(datname, 'CONNECT'))
