-- Nights and backfills, each as the document that was made of it.

-- A night comes after those on record, also where the clock has been put back since.
-- name: night_write
INSERT INTO nights (night, started_at, completed_at, document)
SELECT %(night)s, %(started_at)s, greatest(now(), max(completed_at) + interval '1 microsecond'), %(document)s FROM nights
ON CONFLICT (night) DO UPDATE SET completed_at = excluded.completed_at, document = excluded.document

-- name: nights_newest
SELECT night, started_at, completed_at, document FROM nights
WHERE %(before)s::timestamptz IS NULL OR completed_at < %(before)s
ORDER BY completed_at DESC LIMIT %(limit)s

-- Nights of the command line on which nothing ran, the newest first.
-- name: nights_quiet
SELECT night, started_at, completed_at, document FROM nights
WHERE night LIKE %(names)s AND completed_at > %(since)s
    AND NOT EXISTS (SELECT FROM jsonb_object_keys(document -> 'outcomes') outcome WHERE outcome <> 'unchanged')
ORDER BY completed_at DESC LIMIT %(limit)s

-- Each of these datasets as the latest of the last nights that knew it left it.
-- name: night_datasets_before
SELECT DISTINCT ON (one ->> 'dataset') one AS document
FROM (SELECT completed_at, document FROM nights WHERE night <> %(night)s ORDER BY completed_at DESC LIMIT %(nights)s) latest,
    jsonb_array_elements(latest.document -> 'datasets') one
WHERE one ->> 'dataset' = ANY(%(slugs)s)
ORDER BY one ->> 'dataset', completed_at DESC

-- Nights beyond the newest ones go.
-- name: nights_prune
DELETE FROM nights WHERE night NOT IN (SELECT night FROM nights ORDER BY completed_at DESC LIMIT %(newest)s)

-- Current runs of a dataset's profiles (baselines left out), and their completed simulations.
-- name: night_runs
SELECT DISTINCT ON (p.profile) p.profile, r.run_id::text AS run_id
FROM walkforward_run_profiles p JOIN walkforward_runs r USING (run_id) JOIN indicator_datasets d ON d.dataset_id = p.dataset_id
WHERE p.dataset_id = %(dataset_id)s AND r.status = 'completed' AND r.content_hash = d.content_hash AND p.profile NOT LIKE '%%/baseline'
ORDER BY p.profile, p.requested_at DESC, p.run_id

-- name: night_simulations
SELECT simulation_id::text AS simulation_id, mode, md5((config - 'prices')::text) AS configuration,
    (summary_metrics ->> 'final_equity')::double precision AS equity,
    (summary_metrics ->> 'total_return_pct')::double precision AS total_return_pct
FROM simulation_runs WHERE run_id = %(run_id)s AND status = 'completed' ORDER BY mode, created_at, simulation_id
