"""What a server of processes has imported before it forks the first one: only such servers import this module.

A step in a process of its own, or a worker of a backfill, would spend seconds on these imports each time. Importing starts no thread of
Polars or OpenMP (a forked process would wait for it for ever): no data are touched here.
"""

from __future__ import annotations

import chronos_assets.domain.bars.schema  # pandera
import chronos_assets.orchestration.instance  # Dagster's Postgres storage
import chronos_assets.pipeline.export
import chronos_assets.pipeline.look_ahead
import chronos_assets.pipeline.simulate  # numba
import chronos_assets.pipeline.sweep
import chronos_assets.pipeline.validate
import chronos_assets.pipeline.walkforward_checks
import chronos_assets.services
import chronos_assets.storage.stores
import pandera.polars
import xgboost  # noqa: F401
from chronos_assets.definitions import defs
from chronos_assets.orchestration.build import JOB

defs.resolve_job_def(JOB)  # kept by `defs`: a forked process finds it resolved
