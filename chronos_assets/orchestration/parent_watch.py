"""A process of a pool ends when the process that asked for the pool is gone, however that went (SIGKILL, no memory left).

The fork server ends by itself once no process of its pool is left. Whatever the worker had complete is kept, as after any kill.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from multiprocessing.connection import wait

ORPHANED = 75  # os.EX_TEMPFAIL, which not every platform has


def end_with_parent() -> None:
    """Watch the process that asked for this one in a thread, and end this process as soon as it is gone."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(ORPHANED)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
