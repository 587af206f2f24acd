-- Pages of runs and simulations for readers. Braces are filled in by `storage/listing.py` from its own tables of filters and sort keys.

-- name: listing_page
SELECT {columns}, {key} AS sort_value FROM {table} t WHERE {conditions} ORDER BY {order} LIMIT %(limit)s

-- name: listing_running
SELECT {id} AS id FROM {table} WHERE status = 'running'

-- name: listing_total
SELECT count(*) AS total FROM {table} t WHERE {conditions}

-- Stored folds of the runs of a page, in one grouped count.
-- name: folds_present
SELECT run_id::text AS run_id, count(*) AS folds FROM walkforward_folds WHERE run_id = ANY(%(run_ids)s::uuid[]) GROUP BY run_id

-- The signal sum of each fold of the runs of a page, in the order of folds.
-- name: fold_sums
SELECT run_id::text AS run_id, array_agg(coalesce((metrics #>> '{both,signal_sum}')::double precision, 0) ORDER BY fold_number) AS sums
FROM walkforward_folds WHERE run_id = ANY(%(run_ids)s::uuid[]) GROUP BY run_id

-- Which of these advisory locks somebody holds; see `lock_is_held`.
-- name: locks_held
SELECT ((classid::bigint << 32) | objid::bigint) AS key FROM pg_locks
WHERE locktype = 'advisory' AND objsubid = 1 AND granted
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND ((classid::bigint << 32) | objid::bigint) = ANY(%(keys)s::bigint[])

-- Runs and simulations of each dataset, in two grouped counts.
-- name: standing_by_dataset
SELECT dataset_id, sum(runs)::bigint AS runs, sum(simulations)::bigint AS simulations FROM (
    SELECT dataset_id, count(*) AS runs, 0 AS simulations FROM walkforward_runs GROUP BY dataset_id
    UNION ALL
    SELECT dataset_id, 0, count(*) FROM simulation_runs GROUP BY dataset_id
) counts GROUP BY dataset_id

-- Ids that begin alike: what a mistyped id may have meant.
-- name: runs_near
SELECT run_id::text AS id FROM walkforward_runs WHERE run_id::text LIKE %(prefix)s || '%%' ORDER BY run_id LIMIT 50

-- name: simulations_near
SELECT simulation_id::text AS id FROM simulation_runs WHERE simulation_id::text LIKE %(prefix)s || '%%' ORDER BY simulation_id LIMIT 50

-- name: selections_near
SELECT lfs_id::text AS id FROM lfs_runs WHERE lfs_id::text LIKE %(prefix)s || '%%' ORDER BY lfs_id LIMIT 50

-- Attempts on a dataset, the newest first, from an audit on.
-- name: attempts_page
SELECT * FROM export_audits
WHERE dataset_id = %(slug)s AND (%(before)s::bigint IS NULL OR audit_id < %(before)s)
ORDER BY audit_id DESC LIMIT %(limit)s

-- name: attempts_total
SELECT count(*) AS total FROM export_audits WHERE dataset_id = %(slug)s

-- One fold with its importance: three lists in the order of the run's features.
-- name: fold_get
SELECT * FROM walkforward_folds WHERE run_id = %(run_id)s AND fold_number = %(fold_number)s

-- How runs get on, for listeners: the named ones, and (`all`) those that are under way or ended a moment ago.
-- name: runs_progress
SELECT r.run_id, r.dataset_id, r.status, NULL::jsonb AS summary_metrics, (r.walk_config ->> 'folds_planned')::bigint AS folds_planned,
    (SELECT count(*) FROM walkforward_folds f WHERE f.run_id = r.run_id) AS folds_present
FROM walkforward_runs r
WHERE r.run_id = ANY(%(run_ids)s::uuid[])
   OR (%(all)s AND (r.status IN ('queued', 'running') OR r.completed_at > now() - interval '1 minute'))
ORDER BY r.created_at, r.run_id

-- name: lfs_progress_of
SELECT lfs_id::text AS lfs_id, dataset_id, status, progress, summary_metrics FROM lfs_runs WHERE lfs_id = ANY(%(lfs_ids)s::uuid[])

-- Runs of a sweep with their trials; a retired run has a trial and no row.
-- name: sweep_runs_shown
SELECT i.run_id::text AS run_id, r.status, r.summary_metrics - 'feature_importance' AS summary_metrics, t.sharpe
FROM unnest(%(run_ids)s::uuid[]) AS i (run_id)
LEFT JOIN walkforward_runs r USING (run_id)
LEFT JOIN walkforward_trials t USING (run_id)
