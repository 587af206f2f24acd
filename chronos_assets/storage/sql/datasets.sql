-- The registry: one row per published dataset.

-- name: dataset
SELECT * FROM indicator_datasets WHERE dataset_id = %(slug)s

-- name: datasets
SELECT * FROM indicator_datasets ORDER BY dataset_id
