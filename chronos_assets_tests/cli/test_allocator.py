"""A server's process gives memory back: its libraries take it from where it goes back early."""

from __future__ import annotations

import os
import subprocess
import sys

PROGRAM = """
from chronos_assets.cli.allocator import return_memory_early
return_memory_early()
import os, pyarrow
print(pyarrow.default_memory_pool().backend_name, os.environ["_RJEM_MALLOC_CONF"])
"""


def test_arrow_keeps_no_pool_of_its_own() -> None:
    """What a download of Parquet took goes back to the system, not to Arrow's pool; polars' allocator returns pages at once."""
    bare = {name: value for name, value in os.environ.items() if name not in {"_RJEM_MALLOC_CONF", "ARROW_DEFAULT_MEMORY_POOL"}}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=bare, capture_output=True, text=True, timeout=120, check=True)
    said = done.stdout.split()
    assert said == ["system", "narenas:2,dirty_decay_ms:200,muzzy_decay_ms:0"]
