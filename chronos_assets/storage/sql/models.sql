-- Models of live folds, and the names that point to them.

-- A model is there, or is made again with the same bits: what depends on later work (simulations, backtest) is renewed.
-- name: model_store
INSERT INTO models (
    model_id, dataset_id, run_id, profile, fold, thresholds, train_start_ts, train_end_ts, valid_from_ts, valid_until_ts,
    sha256, bytes, simulation_ids, description, backtest, status, requested_by
) VALUES (
    %(model_id)s, %(dataset_id)s, %(run_id)s, %(profile)s, %(fold)s, %(thresholds)s, %(train_start_ts)s, %(train_end_ts)s,
    %(valid_from_ts)s, %(valid_until_ts)s, %(sha256)s, %(bytes)s, %(simulation_ids)s, %(description)s, %(backtest)s, 'completed',
    %(requested_by)s
)
ON CONFLICT (model_id) DO UPDATE SET
    run_id = excluded.run_id,
    profile = coalesce(excluded.profile, models.profile),
    simulation_ids = excluded.simulation_ids,
    description = excluded.description,
    backtest = excluded.backtest,
    sha256 = excluded.sha256,
    bytes = excluded.bytes,
    retired_at = NULL

-- Simulations that were made of a model's run since.
-- name: model_backtest
UPDATE models SET simulation_ids = %(simulation_ids)s, backtest = %(backtest)s WHERE model_id = %(model_id)s

-- name: model_get
SELECT * FROM models WHERE model_id = %(model_id)s

-- The model of a run's live fold.
-- name: model_of_fold
SELECT * FROM models WHERE run_id = %(run_id)s AND fold ->> 'fold_key' = %(fold_key)s AND retired_at IS NULL

-- name: model_list
SELECT * FROM models WHERE %(dataset_id)s::text IS NULL OR dataset_id = %(dataset_id)s ORDER BY created_at DESC, model_id

-- name: models_near
SELECT model_id::text AS id FROM models WHERE model_id::text LIKE %(prefix)s || '%%' ORDER BY model_id LIMIT 50

-- name: models_of_run
SELECT model_id::text AS model_id FROM models WHERE run_id = %(run_id)s

-- The models of a run that is retired: their files go, what they were stays on record.
-- name: models_retire
UPDATE models SET run_id = NULL, retired_at = now() WHERE run_id = %(run_id)s

-- Models whose run is retired and for which no name ever stood, beside the newest model of their dataset.
-- name: models_unnamed
SELECT m.model_id::text AS model_id, m.dataset_id, m.created_at, n.newest
FROM models m JOIN (SELECT dataset_id, max(created_at) AS newest FROM models GROUP BY dataset_id) n USING (dataset_id)
WHERE m.retired_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM model_aliases a WHERE a.model_id = m.model_id)
    AND (%(dataset_id)s::text IS NULL OR m.dataset_id = %(dataset_id)s)

-- One that was made again or named meanwhile stays.
-- name: models_delete
DELETE FROM models m WHERE m.model_id = ANY(%(ids)s::uuid[]) AND m.retired_at IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM model_aliases a WHERE a.model_id = m.model_id)

-- Those of these ids whose files are in use.
-- name: models_in_use
SELECT model_id::text AS model_id FROM models WHERE model_id = ANY(%(ids)s::uuid[]) AND retired_at IS NULL

-- name: alias_change
INSERT INTO model_aliases (dataset_id, name, model_id, action, reason, changed_by)
VALUES (%(dataset_id)s, %(name)s, %(model_id)s, %(action)s, %(reason)s, %(changed_by)s)
RETURNING *

-- Changes of names in the order in which they were made.
-- name: alias_history
SELECT * FROM model_aliases
WHERE (%(dataset_id)s::text IS NULL OR dataset_id = %(dataset_id)s) AND (%(name)s::text IS NULL OR name = %(name)s)
ORDER BY change_id
