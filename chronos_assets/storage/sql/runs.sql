-- Walk-forward runs and their folds.

-- A run begins or begins again: its request stays as it is, its status becomes `running`.
-- name: run_begin
INSERT INTO walkforward_runs (
    run_id, dataset_id, target_column, feature_columns, hyperparameters, walk_config, status, requested_by,
    started_at, created_at, dataset_checksum, questdb_tag, content_hash, code_version, device
) VALUES (
    %(run_id)s, %(dataset_id)s, %(target_column)s, %(feature_columns)s, %(hyperparameters)s, %(walk_config)s, 'running', %(requested_by)s,
    now(), now(), %(dataset_checksum)s, %(questdb_tag)s, %(content_hash)s, %(code_version)s, %(device)s
)
ON CONFLICT (run_id) DO UPDATE SET
    status = 'running',
    started_at = now(),
    completed_at = NULL,
    dataset_checksum = excluded.dataset_checksum,
    questdb_tag = excluded.questdb_tag

-- A run ends, in whatever status. Its duration adds up over the attempts that worked on it.
-- name: run_end
UPDATE walkforward_runs SET
    status = %(status)s,
    completed_at = now(),
    duration_ms = coalesce(duration_ms, 0) + %(milliseconds)s,
    summary_metrics = coalesce(%(summary_metrics)s, summary_metrics)
WHERE run_id = %(run_id)s

-- What another run says of a completed one, beside its own summary.
-- name: run_summary_add
UPDATE walkforward_runs SET summary_metrics = summary_metrics || %(entries)s WHERE run_id = %(run_id)s AND summary_metrics IS NOT NULL

-- A run found `running` whose lock nobody holds: the process that ran it is gone.
-- name: run_declare_dead
UPDATE walkforward_runs SET
    status = 'failed',
    completed_at = now(),
    summary_metrics = coalesce(summary_metrics, '{}'::jsonb) || %(note)s
WHERE run_id = %(run_id)s AND status = 'running'

-- name: run_get
SELECT * FROM walkforward_runs WHERE run_id = %(run_id)s

-- name: run_list
SELECT r.*, (SELECT count(*) FROM walkforward_folds f WHERE f.run_id = r.run_id) AS folds_present
FROM walkforward_runs r
WHERE %(dataset_id)s::text IS NULL OR r.dataset_id = %(dataset_id)s
ORDER BY r.created_at DESC, r.run_id

-- name: runs_running
SELECT run_id FROM walkforward_runs WHERE status = 'running'

-- name: run_delete
DELETE FROM walkforward_runs WHERE run_id = %(run_id)s

-- name: run_folds_delete
DELETE FROM walkforward_folds WHERE run_id = %(run_id)s

-- Simulations of runs; they go with their run.
-- name: run_simulations
SELECT run_id::text AS run_id, simulation_id::text AS simulation_id FROM simulation_runs
WHERE run_id = ANY(%(run_ids)s::uuid[]) ORDER BY created_at

-- Rows that share files with folds about to be stored, locked in one order whoever stores them.
-- name: folds_lock_by_key
SELECT 1 FROM walkforward_folds WHERE fold_key = ANY(%(keys)s) ORDER BY run_id, fold_number FOR UPDATE

-- A fold is stored when this commits; its predictions are visible and its files are on the disk by then.
-- A stored one is replaced: its files were missing or damaged, or its predictions were lost, and it was trained again.
-- name: fold_store
INSERT INTO walkforward_folds (
    run_id, fold_number, train_start_idx, train_end_idx, test_start_idx, test_end_idx, train_start_ts, train_end_ts, test_start_ts,
    test_end_ts, samples_train, samples_test, best_iteration, best_score, thresholds, metrics, fold_key, artifact, importance,
    artifact_sha256, artifact_bytes, validation_sha256, validation_bytes, pack, versions
) VALUES (
    %(run_id)s, %(fold_number)s, %(train_start_idx)s, %(train_end_idx)s, %(test_start_idx)s, %(test_end_idx)s, %(train_start_ts)s,
    %(train_end_ts)s, %(test_start_ts)s, %(test_end_ts)s, %(samples_train)s, %(samples_test)s, %(best_iteration)s, %(best_score)s,
    %(thresholds)s, %(metrics)s, %(fold_key)s, %(artifact)s, %(importance)s,
    %(artifact_sha256)s, %(artifact_bytes)s, %(validation_sha256)s, %(validation_bytes)s, %(pack)s, %(versions)s
)
ON CONFLICT (run_id, fold_number) DO UPDATE SET
    train_start_idx = excluded.train_start_idx,
    train_end_idx = excluded.train_end_idx,
    test_start_idx = excluded.test_start_idx,
    test_end_idx = excluded.test_end_idx,
    train_start_ts = excluded.train_start_ts,
    train_end_ts = excluded.train_end_ts,
    test_start_ts = excluded.test_start_ts,
    test_end_ts = excluded.test_end_ts,
    samples_train = excluded.samples_train,
    samples_test = excluded.samples_test,
    best_iteration = excluded.best_iteration,
    best_score = excluded.best_score,
    thresholds = excluded.thresholds,
    metrics = excluded.metrics,
    fold_key = excluded.fold_key,
    artifact = excluded.artifact,
    importance = excluded.importance,
    artifact_sha256 = excluded.artifact_sha256,
    artifact_bytes = excluded.artifact_bytes,
    validation_sha256 = excluded.validation_sha256,
    validation_bytes = excluded.validation_bytes,
    pack = excluded.pack,
    versions = excluded.versions

-- Other runs share a fold's files by its key: what was just written is what they have, too.
-- name: fold_files_share
UPDATE walkforward_folds SET
    artifact_sha256 = %(artifact_sha256)s,
    artifact_bytes = %(artifact_bytes)s,
    validation_sha256 = %(validation_sha256)s,
    validation_bytes = %(validation_bytes)s,
    pack = %(pack)s,
    artifact = %(artifact)s,
    versions = %(versions)s
WHERE fold_key = %(fold_key)s
    AND (artifact_sha256, validation_sha256, pack) IS DISTINCT FROM (%(artifact_sha256)s::text, %(validation_sha256)s::text, %(pack)s::text)

-- Without `importance`: it is long, and pooled by `run_importance`.
-- name: folds_get
SELECT run_id, fold_number, train_start_idx, train_end_idx, test_start_idx, test_end_idx, train_start_ts, train_end_ts, test_start_ts,
    test_end_ts, samples_train, samples_test, best_iteration, best_score, thresholds, metrics, fold_key, artifact,
    artifact_sha256, artifact_bytes, validation_sha256, validation_bytes, pack, versions
FROM walkforward_folds WHERE run_id = %(run_id)s ORDER BY fold_number

-- name: fold_numbers
SELECT fold_number FROM walkforward_folds WHERE run_id = %(run_id)s ORDER BY fold_number

-- name: fold_files
SELECT fold_number, fold_key, artifact_sha256, artifact_bytes, validation_sha256, validation_bytes, pack
FROM walkforward_folds WHERE run_id = %(run_id)s ORDER BY fold_number

-- Sums of importance over the folds of a run, one row per feature in its order; `test_rows` is the same in every row.
-- name: run_importance
SELECT sum(part.gain::double precision) AS gain, sum(part.splits::bigint)::bigint AS splits, sum(part.shap::double precision) AS shap,
    sum((f.importance ->> 'rows')::bigint)::bigint AS test_rows
FROM walkforward_folds f,
    ROWS FROM (
        jsonb_array_elements_text(f.importance -> 'total_gain'),
        jsonb_array_elements_text(f.importance -> 'splits'),
        jsonb_array_elements_text(f.importance -> 'shap_sum')
    ) WITH ORDINALITY AS part (gain, splits, shap, feature)
WHERE f.run_id = %(run_id)s
GROUP BY part.feature
ORDER BY part.feature

-- The newest stored fold of each key, among other runs of the dataset; one whose files have no hash only if there is no other.
-- name: folds_by_key
SELECT DISTINCT ON (f.fold_key)
    f.run_id::text AS run_id, f.fold_number, f.train_start_idx, f.train_end_idx, f.test_start_idx, f.test_end_idx, f.train_start_ts,
    f.train_end_ts, f.test_start_ts, f.test_end_ts, (f.thresholds ->> 'long')::double precision AS long_threshold,
    (f.thresholds ->> 'short')::double precision AS short_threshold, (f.metrics ->> 'version')::bigint AS metrics_version,
    f.fold_key, f.artifact_sha256, f.artifact_bytes, f.validation_sha256, f.validation_bytes, f.pack
FROM walkforward_folds f JOIN walkforward_runs r USING (run_id)
WHERE r.dataset_id = %(dataset_id)s AND f.run_id <> %(run_id)s AND f.fold_key = ANY(%(keys)s)
ORDER BY f.fold_key, f.artifact_sha256 IS NULL, r.created_at DESC

-- name: folds_whole
SELECT * FROM walkforward_folds WHERE run_id = %(run_id)s AND fold_number = ANY(%(numbers)s)

-- Folds that are about to be stored again.
-- name: folds_clear
DELETE FROM walkforward_folds WHERE run_id = %(run_id)s AND fold_number = ANY(%(numbers)s)

-- Folds that are the same in another run, as they are stored there.
-- name: folds_copy
INSERT INTO walkforward_folds (
    run_id, fold_number, train_start_idx, train_end_idx, test_start_idx, test_end_idx, train_start_ts, train_end_ts, test_start_ts,
    test_end_ts, samples_train, samples_test, best_iteration, best_score, thresholds, metrics, fold_key, artifact, importance,
    artifact_sha256, artifact_bytes, validation_sha256, validation_bytes, pack, versions
)
SELECT %(run_id)s, fold_number, train_start_idx, train_end_idx, test_start_idx, test_end_idx, train_start_ts, train_end_ts, test_start_ts,
    test_end_ts, samples_train, samples_test, best_iteration, best_score, thresholds, metrics, fold_key, artifact, importance,
    artifact_sha256, artifact_bytes, validation_sha256, validation_bytes, pack, versions
FROM walkforward_folds WHERE run_id = %(source)s AND fold_number = ANY(%(numbers)s) AND fold_key = ANY(%(keys)s)
RETURNING fold_number

-- A profile asks for a run. Runs of an older program have no profile: those that asked for the same on other content get it, too.
-- name: run_profile_request
WITH named AS (
    INSERT INTO walkforward_run_profiles (dataset_id, profile, run_id, requested_at)
    SELECT r.dataset_id, %(profile)s, r.run_id, now() FROM walkforward_runs r WHERE r.run_id = %(run_id)s
    ON CONFLICT (dataset_id, profile, run_id) DO UPDATE SET requested_at = excluded.requested_at
)
INSERT INTO walkforward_run_profiles (dataset_id, profile, run_id, requested_at)
SELECT o.dataset_id, %(profile)s, o.run_id, o.created_at
FROM walkforward_runs r JOIN walkforward_runs o USING (dataset_id)
WHERE r.run_id = %(run_id)s AND o.run_id <> r.run_id AND o.created_at < r.created_at
    AND NOT EXISTS (SELECT 1 FROM walkforward_run_profiles p WHERE p.run_id = o.run_id)
    AND o.target_column = r.target_column AND o.feature_columns = r.feature_columns AND o.hyperparameters = r.hyperparameters
    AND o.walk_config - %(of_content)s::text[] = r.walk_config - %(of_content)s::text[]
ON CONFLICT DO NOTHING

-- The profiles that asked for runs, and the current run of each: completed, on the registered content, requested last.
-- name: run_profiles
SELECT p.run_id::text AS run_id, p.profile, c.run_id::text AS current_run_id
FROM walkforward_run_profiles p
LEFT JOIN LATERAL (
    SELECT q.run_id
    FROM walkforward_run_profiles q JOIN walkforward_runs r USING (run_id) JOIN indicator_datasets d ON d.dataset_id = q.dataset_id
    WHERE q.dataset_id = p.dataset_id AND q.profile = p.profile AND r.status = 'completed' AND r.content_hash = d.content_hash
    ORDER BY q.requested_at DESC, q.run_id LIMIT 1
) c ON true
WHERE p.run_id = ANY(%(run_ids)s::uuid[])
ORDER BY p.run_id, p.profile

-- name: run_bars
SELECT run_id::text AS run_id, (walk_config ->> 'rows')::bigint AS bars FROM walkforward_runs WHERE run_id = ANY(%(run_ids)s::uuid[])

-- name: run_pin
UPDATE walkforward_runs SET pinned_at = coalesce(pinned_at, now()) WHERE run_id = %(run_id)s

-- name: run_unpin
UPDATE walkforward_runs SET pinned_at = NULL WHERE run_id = %(run_id)s
