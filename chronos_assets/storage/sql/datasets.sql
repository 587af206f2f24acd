-- The registry: one row per published dataset.

-- name: dataset
SELECT * FROM indicator_datasets WHERE dataset_id = %(slug)s

-- name: datasets
SELECT * FROM indicator_datasets ORDER BY dataset_id

-- name: standing_on
SELECT (SELECT count(*) FROM walkforward_runs WHERE dataset_id = %(slug)s) AS runs,
       (SELECT count(*) FROM simulation_runs WHERE dataset_id = %(slug)s) AS simulations

-- Folds and buckets go with their runs and simulations.
-- name: retire_simulations
DELETE FROM simulation_runs
WHERE dataset_id = %(slug)s OR run_id IN (SELECT run_id FROM walkforward_runs WHERE dataset_id = %(slug)s)

-- name: retire_runs
DELETE FROM walkforward_runs WHERE dataset_id = %(slug)s

-- name: retire_dataset
DELETE FROM indicator_datasets WHERE dataset_id = %(slug)s
