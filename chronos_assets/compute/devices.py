"""Which device trains a run: decided once, before any fold has a key, because CPU and GPU do not give the same bits.

`auto` looks in `AUTO_TABLE`, the smallest folds (fitted rows x features) for which the GPU was measured to be faster by
`benchmarks/walkforward/devices.py`. No measurement is shipped yet, so `auto` takes the CPU; `cuda` is there for who asks for it.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from functools import cache
from typing import Literal

from chronos_assets.errors import DeviceError

Device = Literal["cpu", "cuda"]
# (least features, least fitted rows) from which cuda was faster per fold; empty: not measured.
AUTO_TABLE: tuple[tuple[int, int], ...] = ()


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


def resolve_device(wanted: str, *, gpus: Callable[[], int], fitted_rows: int, features: int) -> Device:
    """`cpu` or `cuda`; raises `DeviceError` where cuda is asked for and no GPU is there. `gpus` is asked only where it matters."""
    if wanted == "cuda" and gpus() < 1:
        raise DeviceError(
            "device cuda was asked for, and no GPU can be used here",
            code="no_gpu",
            expected="a cuda device, its driver, and an XGBoost built with cuda",
            found="none",
            hint="Set CHRONOS_DEVICE=cpu (or auto), or run on a machine with a GPU.",
        )
    if wanted == "auto":
        pays = any(features >= least_features and fitted_rows >= least_rows for least_features, least_rows in AUTO_TABLE)
        return "cuda" if pays and gpus() else "cpu"
    return "cuda" if wanted == "cuda" else "cpu"
