"""Which device trains a run: decided once, before any fold has a key, because CPU and GPU do not give the same bits.

`auto` looks in a table of the smallest folds (features x fitted rows) for which the GPU was measured to be faster, on this machine, by
`benchmarks/walkforward/devices.py`; CHRONOS_DEVICE_TABLE names its file. No table is shipped, because none was measured: without one
`auto` takes the CPU. `cuda` is there for who asks for it.
"""

from __future__ import annotations

import ctypes
import json
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

from chronos_assets.errors import DeviceError

Device = Literal["cpu", "cuda"]
# (least features, least fitted rows) from which cuda was faster per fold; empty: not measured.
Table = Sequence[tuple[int, int]]


@cache
def count_cuda_devices() -> int:
    """Cuda devices that this process can use: the driver is asked, and XGBoost must have been built with cuda."""
    import xgboost as xgb

    if not xgb.build_info().get("USE_CUDA"):
        return 0
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value


def read_table(path: Path | None) -> Table:
    """The measured table in the JSON file `{"auto_table": [[features, fitted_rows], ...]}`; empty without a file.

    Raises `DeviceError` if the file cannot be read or holds something else.
    """
    if path is None:
        return ()
    try:
        return [_counts(row) for row in json.loads(path.read_text(encoding="utf-8"))["auto_table"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DeviceError(
            "the table that device auto looks in cannot be read",
            code="device_table",
            expected='JSON such as {"auto_table": [[80, 40000]]}: least features, least fitted rows',
            found=f"{type(error).__name__}: {error}"[:200],
            hint="`python -m benchmarks.walkforward.devices --write FILE` measures one; or unset CHRONOS_DEVICE_TABLE.",
            file=str(path),
        ) from None


def _counts(row: Any) -> tuple[int, int]:
    features, fitted_rows = row
    if type(features) is not int or type(fitted_rows) is not int or min(row) < 0:
        raise ValueError(f"{row} is not two counts")
    return features, fitted_rows


def resolve_device(wanted: str, *, gpus: Callable[[], int], fitted_rows: int, features: int, table: Table = ()) -> Device:
    """`cpu` or `cuda`; raises `DeviceError` if cuda is asked for and no GPU is there. `gpus` is asked only if it matters."""
    if wanted == "cuda" and gpus() < 1:
        raise DeviceError(
            "device cuda was asked for, and no GPU can be used here",
            code="no_gpu",
            expected="a cuda device, its driver, and an XGBoost built with cuda",
            found="none",
            hint="Set CHRONOS_DEVICE=cpu (or auto), or run on a machine with a GPU. A checkout that was set up without one gets XGBoost's "
            "GPU code by `python3 bootstrap.py sync --no-dev --extra gpu`.",
        )
    if wanted == "auto":
        pays = any(features >= least_features and fitted_rows >= least_rows for least_features, least_rows in table)
        return "cuda" if pays and gpus() else "cpu"
    return "cuda" if wanted == "cuda" else "cpu"
