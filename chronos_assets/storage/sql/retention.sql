-- What goes by policy: runs and what depends on them, and the records of old attempts.

-- The runs of datasets as the retention policy looks at them.
-- name: retention_runs
SELECT r.run_id::text AS run_id, r.dataset_id, r.status = 'completed' AS completed,
    coalesce(r.content_hash = d.content_hash, false) AS on_registered_content, r.pinned_at IS NOT NULL AS pinned,
    r.summary_metrics #>> '{baseline,run_id}' AS baseline, (r.walk_config ->> 'folds_planned')::bigint AS folds_planned,
    f.folds_present, f.rows,
    EXISTS (SELECT 1 FROM simulation_runs m WHERE m.run_id = r.run_id AND m.status = 'completed') AS simulated,
    EXISTS (SELECT 1 FROM sweep_runs s WHERE s.run_id = r.run_id) AS swept,
    coalesce(
        (SELECT jsonb_object_agg(p.profile, p.requested_at) FROM walkforward_run_profiles p WHERE p.run_id = r.run_id), '{}'::jsonb
    ) AS profiles
FROM walkforward_runs r JOIN indicator_datasets d USING (dataset_id)
LEFT JOIN LATERAL (
    SELECT count(*) AS folds_present, coalesce(sum(f.test_end_idx - f.test_start_idx), 0)::bigint AS rows
    FROM walkforward_folds f WHERE f.run_id = r.run_id
) f ON true
WHERE %(dataset_id)s::text IS NULL OR r.dataset_id = %(dataset_id)s
ORDER BY r.dataset_id, r.created_at, r.run_id

-- name: simulations_delete
DELETE FROM simulation_runs WHERE run_id = %(run_id)s

-- Attempts of a dataset that nothing depends on: neither the newest ones nor the last one on any tag, nor of what is registered.
-- name: attempts_prune
DELETE FROM export_audits a
WHERE a.dataset_id = %(dataset_id)s AND a.verdict <> 'running'
    AND EXISTS (SELECT 1 FROM export_audits b WHERE b.questdb_tag = a.questdb_tag AND b.audit_id > a.audit_id)
    AND NOT EXISTS (
        SELECT 1 FROM indicator_datasets d
        WHERE d.dataset_id = a.dataset_id AND d.questdb_tag = a.questdb_tag AND d.checksum = a.checksum
    )
    AND a.audit_id NOT IN (
        SELECT audit_id FROM export_audits WHERE dataset_id = %(dataset_id)s ORDER BY audit_id DESC LIMIT %(newest)s
    )

-- Of these keys, those of folds whose model and cases are files of an older program.
-- name: fold_keys_in_use
SELECT DISTINCT fold_key FROM walkforward_folds WHERE fold_key = ANY(%(keys)s) AND pack IS NULL

-- name: packs_in_use
SELECT DISTINCT pack FROM walkforward_folds WHERE pack = ANY(%(packs)s)

-- Packs that folds of a dataset need; of all datasets without one.
-- name: packs_of_dataset
SELECT DISTINCT f.pack
FROM walkforward_folds f JOIN walkforward_runs r USING (run_id)
WHERE f.pack IS NOT NULL AND (%(dataset_id)s::text IS NULL OR r.dataset_id = %(dataset_id)s)

-- The folds that need each of these packs, once each.
-- name: pack_members
SELECT DISTINCT ON (pack, fold_key) fold_key, artifact_sha256, artifact_bytes, validation_sha256, validation_bytes, pack
FROM walkforward_folds WHERE pack = ANY(%(packs)s) AND fold_key IS NOT NULL ORDER BY pack, fold_key

-- Folds of an old pack are in a new one, too: from now on they are read there.
-- name: pack_replace
UPDATE walkforward_folds SET pack = %(new)s, artifact = %(artifact)s WHERE pack = %(old)s AND fold_key = ANY(%(keys)s)

-- name: simulations_in_use
SELECT simulation_id::text AS simulation_id FROM simulation_runs WHERE simulation_id = ANY(%(ids)s::uuid[])

-- name: price_files_in_use
SELECT DISTINCT config #>> '{prices,content_hash}' AS content_hash FROM simulation_runs
WHERE config #>> '{prices,content_hash}' IS NOT NULL

-- Folds of runs by what they leave, the number of folds that use each, and whether no other run does.
-- name: run_artifacts
SELECT f.run_id::text AS run_id, f.fold_key, f.pack, max(f.artifact_bytes) AS artifact_bytes, max(f.validation_bytes) AS validation_bytes,
    count(*) AS folds, NOT EXISTS (SELECT 1 FROM walkforward_folds o WHERE o.fold_key = f.fold_key AND o.run_id <> f.run_id) AS own
FROM walkforward_folds f
WHERE f.run_id = ANY(%(run_ids)s::uuid[])
GROUP BY f.run_id, f.fold_key, f.pack

-- Folds of a dataset by what they leave, of those that runs of no other dataset have.
-- name: dataset_fold_files
SELECT DISTINCT f.fold_key, f.pack
FROM walkforward_folds f JOIN walkforward_runs r USING (run_id)
WHERE r.dataset_id = %(slug)s AND f.fold_key IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM walkforward_folds o JOIN walkforward_runs q USING (run_id) WHERE o.fold_key = f.fold_key AND q.dataset_id <> %(slug)s
)
