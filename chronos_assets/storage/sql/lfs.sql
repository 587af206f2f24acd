-- Local Feature Selections: one row per request, one row per feature.

-- A selection begins, or begins again: its request stays as it is, its status becomes `running`.
-- name: lfs_begin
INSERT INTO lfs_runs (
    lfs_id, dataset_id, target_column, feature_columns, config, status, requested_by, dagster_run_id, created_at, started_at,
    dataset_checksum, questdb_tag, content_hash, code_version, device
) VALUES (
    %(lfs_id)s, %(dataset_id)s, %(target_column)s, %(feature_columns)s, %(config)s, 'running', %(requested_by)s, %(dagster_run_id)s,
    now(), now(), %(dataset_checksum)s, %(questdb_tag)s, %(content_hash)s, %(code_version)s, %(device)s
)
ON CONFLICT (lfs_id) DO UPDATE SET
    status = 'running',
    started_at = now(),
    completed_at = NULL,
    cancel_requested = false,
    dagster_run_id = coalesce(excluded.dagster_run_id, lfs_runs.dagster_run_id)

-- A selection waits for a run of Dagster. One that is queued, running or completed stays as it is.
-- name: lfs_queue
INSERT INTO lfs_runs (
    lfs_id, dataset_id, target_column, feature_columns, config, status, requested_by, created_at,
    dataset_checksum, questdb_tag, content_hash, code_version, device
) VALUES (
    %(lfs_id)s, %(dataset_id)s, %(target_column)s, %(feature_columns)s, %(config)s, 'queued', %(requested_by)s, now(),
    %(dataset_checksum)s, %(questdb_tag)s, %(content_hash)s, %(code_version)s, %(device)s
)
ON CONFLICT (lfs_id) DO UPDATE SET status = 'queued', completed_at = NULL, cancel_requested = false
WHERE lfs_runs.status IN ('failed', 'cancelled')

-- name: lfs_launched
UPDATE lfs_runs SET dagster_run_id = %(dagster_run_id)s WHERE lfs_id = %(lfs_id)s

-- A launch that failed: the row is as it was before.
-- name: lfs_restore
UPDATE lfs_runs SET status = %(status)s, completed_at = %(completed_at)s WHERE lfs_id = %(lfs_id)s AND status = 'queued'

-- name: lfs_forget
DELETE FROM lfs_runs WHERE lfs_id = %(lfs_id)s AND status = 'queued'

-- How far a selection is; gives back whether it was asked to stop.
-- name: lfs_progress
UPDATE lfs_runs SET progress = %(progress)s WHERE lfs_id = %(lfs_id)s RETURNING cancel_requested

-- A selection ends, in whatever status. Its duration adds up over the attempts that worked on it.
-- name: lfs_end
UPDATE lfs_runs SET
    status = %(status)s,
    completed_at = now(),
    duration_ms = coalesce(duration_ms, 0) + %(milliseconds)s,
    summary_metrics = coalesce(%(summary_metrics)s, summary_metrics),
    progress = coalesce(%(progress)s, progress)
WHERE lfs_id = %(lfs_id)s

-- One that runs is asked to stop; one that waits is cancelled at once.
-- name: lfs_cancel
UPDATE lfs_runs SET
    cancel_requested = true,
    status = CASE WHEN status = 'queued' THEN 'cancelled' ELSE status END,
    completed_at = CASE WHEN status = 'queued' THEN now() ELSE completed_at END
WHERE lfs_id = %(lfs_id)s AND status IN ('queued', 'running')

-- A selection found `running` whose lock nobody holds: the process that ran it is gone.
-- name: lfs_declare_dead
UPDATE lfs_runs SET
    status = 'failed',
    completed_at = now(),
    summary_metrics = coalesce(summary_metrics, '{}'::jsonb) || %(note)s
WHERE lfs_id = %(lfs_id)s AND status = 'running'

-- name: lfs_running
SELECT lfs_id FROM lfs_runs WHERE status = 'running'

-- name: lfs_get
SELECT * FROM lfs_runs WHERE lfs_id = %(lfs_id)s

-- name: lfs_list
SELECT * FROM lfs_runs
WHERE (%(dataset_id)s::text IS NULL OR dataset_id = %(dataset_id)s)
  AND (%(target)s::text IS NULL OR target_column = %(target)s)
  AND (%(status)s::text IS NULL OR status = %(status)s)
ORDER BY created_at DESC, lfs_id

-- How many selections were tried on a dataset and target: many tries flatter.
-- name: lfs_tries
SELECT count(*) AS tries FROM lfs_runs WHERE dataset_id = %(dataset_id)s AND target_column = %(target)s

-- name: lfs_feature_write
INSERT INTO lfs_features (lfs_id, feature, feature_no, selected_count, pct, p_solo, p_unbiased, excluded)
VALUES (%(lfs_id)s, %(feature)s, %(feature_no)s, %(selected_count)s, %(pct)s, %(p_solo)s, %(p_unbiased)s, %(excluded)s)
ON CONFLICT (lfs_id, feature) DO UPDATE SET
    selected_count = excluded.selected_count,
    pct = excluded.pct,
    p_solo = excluded.p_solo,
    p_unbiased = excluded.p_unbiased,
    excluded = excluded.excluded

-- Most often chosen first; a feature that was left out comes last.
-- name: lfs_features
SELECT feature, feature_no, selected_count, pct, p_solo, p_unbiased, excluded
FROM lfs_features WHERE lfs_id = %(lfs_id)s
ORDER BY selected_count DESC NULLS LAST, feature_no
