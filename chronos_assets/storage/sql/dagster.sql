-- Dagster's own tables, read without loading Dagster: enough to know that a night has nothing to do. Nothing is ever written to them.

-- The run that simulated each dataset last, and the content that it was asked for. What was wiped in the UI does not count.
-- name: dagster_covered
SELECT newest.partition AS slug, r.status, content.value AS content, dataset.value AS dataset
FROM (
    SELECT DISTINCT ON (e.partition) e.partition, e.run_id
    FROM event_logs e LEFT JOIN asset_keys a ON a.asset_key = e.asset_key
    WHERE e.asset_key = %(asset)s AND e.dagster_event_type = 'ASSET_MATERIALIZATION' AND e.partition = ANY(%(slugs)s)
        AND (a.asset_details IS NULL
            OR e.timestamp > to_timestamp((a.asset_details::jsonb ->> 'last_wipe_timestamp')::double precision) AT TIME ZONE 'UTC')
    ORDER BY e.partition, e.id DESC
) newest
JOIN runs r USING (run_id)
LEFT JOIN run_tags content ON content.run_id = r.run_id AND content.key = %(content)s
LEFT JOIN run_tags dataset ON dataset.run_id = r.run_id AND dataset.key = %(dataset)s

-- The newest first.
-- name: dagster_ended_runs
SELECT r.run_id, dataset.value AS dataset, r.status = 'SUCCESS' AS succeeded, r.create_timestamp AT TIME ZONE 'UTC' AS created_at
FROM runs r LEFT JOIN run_tags dataset ON dataset.run_id = r.run_id AND dataset.key = %(dataset)s
WHERE r.status IN ('SUCCESS', 'FAILURE', 'CANCELED') AND (%(slug)s::text IS NULL OR dataset.value = %(slug)s)
ORDER BY r.id DESC
