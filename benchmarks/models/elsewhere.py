"""A bundle in a virtual environment of its own, without the product and without a network: bits, seconds, memory, bytes."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.metadata import distributions, version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figures import Figure, at_most, none_of
from chronos_assets.pipeline.models.predict import predict_live
from chronos_assets.storage.stores import Stores
from chronos_bundle import Bundle

PROJECT = Path(__file__).resolve().parents[2]
MOST_SECONDS = 1.0

# What another program does with a bundle of this folder: the sample again, and the bars of the window.
USE = """
import importlib.util, json, socket, sys
sys.path.insert(0, ".")
from chronos_bundle import Bundle
bundle = Bundle.open(".")
print(json.dumps({
    "sample": bundle.check_sample(),
    "signals": [[one.bar, one.prediction.hex(), one.signal] for one in bundle.predict(json.load(open(sys.argv[1])))],
    "product": importlib.util.find_spec("chronos_assets") is not None,
    "interfaces": [name for _, name in socket.if_nameindex() if name != "lo"],
}))
"""
MEASURED = """
import json, re, sys
sys.path.insert(0, ".")
inputs = json.load(open(sys.argv[1]))
{work}
print(len(found), re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
"""
READER = "from chronos_bundle import Bundle; found = Bundle.open('.').predict(inputs)"
BARE = {
    "xgboost": (
        "import numpy, xgboost\n"
        "booster = xgboost.Booster({'nthread': 1}); booster.load_model('model.ubj')\n"
        "rows = numpy.array([inputs[name] for name in booster.feature_names], dtype=numpy.float32).T\n"
        "found = booster.predict(xgboost.DMatrix(rows, nthread=1, feature_names=booster.feature_names))"
    ),
    "ridge": (
        "import numpy\n"
        "line = json.load(open('linear.json')); names = json.loads(line['attributes']['feature_names'])\n"
        "rows = numpy.array([inputs[name] for name in names], dtype=numpy.float64).T\n"
        "found = (numpy.nan_to_num((rows - line['mean']) / line['scale']) * line['coefficients']).sum(axis=1) + line['intercept']"
    ),
}


def environment(folder: Path) -> Path:
    """A new virtual environment with our versions of NumPy, XGBoost and pyarrow, and what these need; gives its Python."""
    uv = str(PROJECT / ".uv" / "bin" / "uv") if (PROJECT / ".uv" / "bin" / "uv").exists() else shutil.which("uv")
    if uv is None:
        raise SystemExit("this benchmark makes a virtual environment by uv: `python3 bootstrap.py sync` fetches it")
    installed = {str(one.metadata["Name"]) for one in distributions()}
    xgboost = "xgboost" if "xgboost" in installed else "xgboost-cpu"
    python = folder / "bin" / "python"
    subprocess.run([uv, "venv", "-q", str(folder), "--python", sys.executable], check=True)
    packages = [f"{name}=={version(name)}" for name in ("numpy", "pyarrow", xgboost)]
    subprocess.run([uv, "pip", "install", "-q", "--python", str(python), *packages], check=True)
    return python


def alone() -> list[str]:
    """The words before a command that take the network away; none if we are not allowed to."""
    words = ["unshare", "-n"]
    may = shutil.which("unshare") is not None and subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0
    return words if may else []


def run(words: list[str], folder: Path) -> str:
    """What a program prints in the folder of a bundle, in an environment that does not lead to us."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "CHRONOS", "VIRTUAL_ENV"))}
    return subprocess.run(words, cwd=folder, env=clean, check=True, capture_output=True, text=True).stdout


def measured(python: Path, work: str, inputs: Path, folder: Path, *, times: int) -> tuple[float, float]:
    """Median seconds of a whole process and its peak memory (MB), after one that warms the disk's cache."""
    words = [str(python), "-B", "-c", MEASURED.format(work=work), str(inputs)]
    run(words, folder)
    seconds, peaks = [], []
    for _ in range(times):
        started = time.perf_counter()
        said = run(words, folder).split()
        seconds.append(time.perf_counter() - started)
        peaks.append(int(said[1]) / 1024)
    return statistics.median(seconds), max(peaks)


def figures(stores: Stores, paths: dict[str, Path], folder: Path, *, times: int) -> Iterator[Figure]:
    """Bits first, then seconds, memory and bytes, for a bundle of each learner."""
    python, network = environment(folder / "environment"), alone()
    for learner, path in paths.items():
        due, inputs = _due(stores, path, folder / f"{learner}.json")
        # Outside of every folder of ours: nothing is found by being beside it.
        home = folder / "elsewhere" / learner
        shutil.copytree(path, home)
        found = json.loads(run([*network, str(python), "-B", "-c", USE, str(inputs)], home))
        differing = sum(one != two for one, two in zip(found["signals"], due, strict=True))
        yield none_of(f"predictions in another environment, {learner}", differing, len(due), "differ by a bit")
        yield Figure(f"sample rows predicted again there, {learner}", str(found["sample"]), "20", found["sample"] == 20)
        state = "none" if not found["interfaces"] else f"there ({', '.join(found['interfaces'])}): run this as root to take it away"
        yield Figure(f"network and product there, {learner}", state, "none", not found["interfaces"] and not found["product"])
        seconds, peak = measured(python, READER, inputs, home, times=times)
        bare_seconds, bare_peak = measured(python, BARE[learner], inputs, home, times=times)
        yield at_most(f"a prediction by the reader, import included, {learner}", seconds, MOST_SECONDS, "s")
        print(
            f"      the same by the bare model, {learner}: {bare_seconds:.3g} s; peak memory {peak:.0f} and {bare_peak:.0f} MB", flush=True
        )
        sizes = {file.name: file.stat().st_size for file in sorted(path.iterdir())}
        print(
            f"      bytes, {learner}: {sum(sizes.values()):,} ({', '.join(f'{name} {size:,}' for name, size in sizes.items())})", flush=True
        )


def _due(stores: Stores, path: Path, inputs: Path) -> tuple[list[list[Any]], Path]:
    """What the product says of the bars of the window, and these bars as a file for the other program."""
    from benchmarks.models.inputs import window

    about = Bundle.open(path).about
    live = predict_live(about["dataset"], stores, model_id=about["model_id"]).signals
    columns = {name: [None if np.isnan(value) else value for value in values.tolist()] for name, values in window().items()}
    inputs.write_text(json.dumps(columns))
    return [[bar, value.hex(), word] for bar, value, word in live.select("timestamp_unix", "prediction", "signal").iter_rows()], inputs
