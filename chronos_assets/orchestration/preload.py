"""What a server of processes has loaded before it forks the first one, and a command while its servers boot: only these import it.

A step in a process of its own, and a worker of a backfill, would else spend seconds on importing, each time. No data are touched here:
a thread that Polars or OpenMP started before the fork would be missing after it.
"""

from __future__ import annotations

from importlib import import_module

import numba

USED_BY_STEPS = (
    "chronos_assets.ingest.schema",
    "chronos_assets.orchestration.execute",
    "chronos_assets.pipeline.export.dataset",
    "chronos_assets.pipeline.walkforward.look_ahead",
    "chronos_assets.pipeline.simulation.run",
    "chronos_assets.pipeline.walkforward.sweep",
    "chronos_assets.pipeline.validation.dataset",
    "chronos_assets.pipeline.walkforward.checks",
    "chronos_assets.services",
    "chronos_assets.storage.migrate",
    "chronos_assets.storage.stores",
    "dagster._core.instance.factory",
    "dagster_postgres",
    "pandera.backends.polars.builtin_checks",
    "psycopg2.extras",
    "pyarrow.pandas_compat",
    "questdb",
    "upath.implementations.local",
    "xgboost",
)

for _name in USED_BY_STEPS:
    import_module(_name)
numba.njit("()")(lambda: None)  # sets the compiler up; else each process does so before its first compiled function
