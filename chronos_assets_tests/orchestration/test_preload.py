"""What step processes are forked from: everything is imported there, and no thread of a computation runs."""

from __future__ import annotations

import json
import subprocess
import sys

from chronos_assets.orchestration.executors import PRELOAD

CODE = f"""
import importlib, json, psutil, sys
import polars
for name in {PRELOAD!r}:
    importlib.import_module(name)
from chronos_assets.orchestration.preload import USED_BY_STEPS
missing, before = [name for name in USED_BY_STEPS if name not in sys.modules], psutil.Process().num_threads()
polars.DataFrame({{"a": range(100_000)}}).lazy().select(polars.col("a").sort()).collect()
slow = [name for name in ("arch", "statsmodels", "scipy.stats", "ray") if name in sys.modules]
print(json.dumps([missing, slow, psutil.Process().num_threads() - before, polars.thread_pool_size()]))
"""


def test_all_that_steps_use_can_be_imported_before_the_fork_and_polars_does_not_compute_yet() -> None:
    """The fork server drops a module that cannot be imported in silence, so each is proved here; the pool of Polars does not run yet."""
    result = subprocess.run([sys.executable, "-W", "ignore", "-c", CODE], capture_output=True, text=True, check=True)
    missing, slow, started, pool = json.loads(result.stdout)
    assert missing == []
    assert slow == []  # seconds of CPU that no step of a run needs
    assert started >= pool  # the threads of the pool came with the first computation, not before
