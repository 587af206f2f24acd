-- What was tried: a trial per run, and sweeps with their runs. Nothing here is deleted.

-- A run has numbers: its trial is kept, also after the run is retired.
-- name: trial_record
INSERT INTO walkforward_trials (
    run_id, dataset_id, lineage, target_column, content_hash, request, signals, effective_signals, sharpe, series, created_at
) VALUES (
    %(run_id)s, %(dataset_id)s, %(lineage)s, %(target_column)s, %(content_hash)s, %(request)s, %(signals)s, %(effective_signals)s,
    %(sharpe)s, %(series)s, %(created_at)s
)
ON CONFLICT (run_id) DO UPDATE SET
    signals = excluded.signals,
    effective_signals = excluded.effective_signals,
    sharpe = excluded.sharpe,
    series = excluded.series,
    retired_at = NULL

-- name: trial_retire
UPDATE walkforward_trials SET retired_at = now() WHERE run_id = %(run_id)s

-- name: trial_exists
SELECT 1 FROM walkforward_trials WHERE run_id = %(run_id)s

-- All trials on a lineage and target, whatever the content, newest first.
-- name: trials_of_lineage
SELECT run_id::text AS run_id, signals, effective_signals, sharpe, series
FROM walkforward_trials
WHERE lineage = %(lineage)s AND target_column = %(target_column)s
ORDER BY created_at DESC, run_id

-- Completed runs on a lineage and target that were made before trials were kept.
-- name: runs_without_trial
SELECT r.run_id::text AS run_id
FROM walkforward_runs r
WHERE regexp_replace(r.dataset_id, '_v[0-9]+$', '') = %(lineage)s AND r.target_column = %(target_column)s AND r.status = 'completed'
    AND NOT EXISTS (SELECT 1 FROM walkforward_trials t WHERE t.run_id = r.run_id)
ORDER BY r.created_at DESC, r.run_id

-- What both statements above depend on, as one value.
-- name: trials_state
SELECT md5(coalesce(string_agg(one, ',' ORDER BY one), '')) AS state
FROM (
    SELECT concat_ws(' ', run_id, signals, effective_signals, sharpe) AS one
    FROM walkforward_trials
    WHERE lineage = %(lineage)s AND target_column = %(target_column)s
    UNION ALL
    SELECT concat_ws(' ', r.run_id, r.completed_at) AS one
    FROM walkforward_runs r
    WHERE regexp_replace(r.dataset_id, '_v[0-9]+$', '') = %(lineage)s AND r.target_column = %(target_column)s AND r.status = 'completed'
        AND NOT EXISTS (SELECT 1 FROM walkforward_trials t WHERE t.run_id = r.run_id)
) AS found

-- The same grid on the same profile and content is the same sweep.
-- name: sweep_begin
INSERT INTO sweeps (sweep_id, dataset_id, target, grid) VALUES (%(sweep_id)s, %(dataset_id)s, %(target)s, %(grid)s)
ON CONFLICT (sweep_id) DO NOTHING

-- name: sweep_link
INSERT INTO sweep_runs (sweep_id, run_id, changes) VALUES (%(sweep_id)s, %(run_id)s, %(changes)s)
ON CONFLICT (sweep_id, run_id) DO NOTHING

-- Sweeps, newest first, with the runs that each asked for.
-- name: sweep_list
SELECT s.sweep_id::text AS sweep_id, s.dataset_id, s.target, s.grid, s.created_at,
    coalesce(
        (
            SELECT jsonb_agg(jsonb_build_object('run_id', l.run_id, 'changes', l.changes) ORDER BY l.run_id)
            FROM sweep_runs l WHERE l.sweep_id = s.sweep_id
        ),
        '[]'::jsonb
    ) AS runs
FROM sweeps s
WHERE %(dataset_id)s::text IS NULL OR s.dataset_id = %(dataset_id)s
ORDER BY s.created_at DESC, s.sweep_id
