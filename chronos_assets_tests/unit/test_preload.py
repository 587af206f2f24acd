"""What step processes are forked from: everything is imported there, and no thread of a computation runs."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from chronos_assets.orchestration.executors import PRELOAD

CODE = f"""
import importlib, json, os, sys
import polars
def pool():
    names = [open(f"/proc/self/task/{{task}}/comm").read().strip() for task in os.listdir("/proc/self/task")]
    return [name for name in names if name.startswith("polars-") and name[7:].isdigit()]
for name in {PRELOAD!r}:
    importlib.import_module(name)
from chronos_assets.orchestration.preload import USED_BY_STEPS
missing, before = [name for name in USED_BY_STEPS if name not in sys.modules], pool()
polars.DataFrame({{"a": range(100_000)}}).lazy().select(polars.col("a").sort()).collect()
print(json.dumps([missing, before, len(pool())]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_all_that_steps_use_can_be_imported_before_the_fork_and_polars_does_not_compute_yet() -> None:
    """The fork server drops a module that cannot be imported in silence, so each is proved here; the pool of Polars does not run yet."""
    result = subprocess.run([sys.executable, "-W", "ignore", "-c", CODE], capture_output=True, text=True, check=True)
    missing, before, later = json.loads(result.stdout)
    assert (missing, before) == ([], [])
    assert later > 0
