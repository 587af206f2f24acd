"""Indexes for readers: pages of runs and simulations in the order of each sort key."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_RUN_METRICS = {"profit_factor": "{both,profit_factor}", "signal_sum": "{both,signal_sum}"}
_SIMULATION_METRICS = ("total_return_pct", "sharpe", "max_drawdown_pct", "trade_count")


def upgrade() -> None:
    """Create the indexes."""
    op.execute("CREATE INDEX walkforward_runs_created ON walkforward_runs (created_at, run_id)")
    op.execute("CREATE INDEX walkforward_runs_status ON walkforward_runs (status)")
    op.execute("CREATE INDEX walkforward_runs_duration ON walkforward_runs ((duration_ms::double precision), run_id)")
    for name, path in _RUN_METRICS.items():
        op.execute(f"CREATE INDEX walkforward_runs_{name} ON walkforward_runs (((summary_metrics #>> '{path}')::double precision), run_id)")
    op.execute("CREATE INDEX simulation_runs_created ON simulation_runs (created_at, simulation_id)")
    op.execute("CREATE INDEX simulation_runs_status ON simulation_runs (status)")
    for name in _SIMULATION_METRICS:
        op.execute(
            f"CREATE INDEX simulation_runs_{name} ON simulation_runs (((summary_metrics ->> '{name}')::double precision), simulation_id)"
        )
