-- Simulations: one row per run, mode and configuration, and two buckets each.

-- A simulation begins, or begins again after an attempt that died.
-- name: simulation_begin
INSERT INTO simulation_runs (simulation_id, run_id, dataset_id, mode, config, status, started_at, questdb_namespace, created_at)
VALUES (%(simulation_id)s, %(run_id)s, %(dataset_id)s, %(mode)s, %(config)s, 'running', now(), %(questdb_namespace)s, now())
ON CONFLICT (simulation_id) DO UPDATE SET
    status = 'running',
    started_at = now(),
    completed_at = NULL,
    summary_metrics = NULL

-- The summary and the status `completed`, in the transaction that writes the buckets.
-- name: simulation_complete
UPDATE simulation_runs SET status = 'completed', completed_at = now(), summary_metrics = %(summary_metrics)s
WHERE simulation_id = %(simulation_id)s

-- A simulation that failed says why; one that completed meanwhile stays as it is.
-- name: simulation_fail
UPDATE simulation_runs SET status = %(status)s, completed_at = now(), summary_metrics = %(summary_metrics)s
WHERE simulation_id = %(simulation_id)s AND status = 'running'

-- name: simulations_running
SELECT simulation_id FROM simulation_runs WHERE status = 'running'

-- name: simulation_get
SELECT * FROM simulation_runs WHERE simulation_id = %(simulation_id)s

-- name: simulation_list
SELECT * FROM simulation_runs
WHERE %(run_id)s::uuid IS NULL OR run_id = %(run_id)s::uuid
ORDER BY created_at DESC, simulation_id

-- name: simulation_bucket_write
INSERT INTO simulation_trade_buckets (
    simulation_id, side, trade_count, win_count, profit_factor, avg_return_pct, max_drawdown_pct, notes, no_losses
) VALUES (
    %(simulation_id)s, %(side)s, %(trade_count)s, %(win_count)s, %(profit_factor)s, %(avg_return_pct)s, %(max_drawdown_pct)s, %(notes)s,
    %(no_losses)s
)
ON CONFLICT (simulation_id, side) DO UPDATE SET
    trade_count = excluded.trade_count,
    win_count = excluded.win_count,
    profit_factor = excluded.profit_factor,
    avg_return_pct = excluded.avg_return_pct,
    max_drawdown_pct = excluded.max_drawdown_pct,
    notes = excluded.notes,
    no_losses = excluded.no_losses

-- name: simulation_buckets
SELECT * FROM simulation_trade_buckets WHERE simulation_id = %(simulation_id)s ORDER BY side
