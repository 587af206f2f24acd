"""Bundles: they run without the product and without a network, and refuse whatever is not what was written or does not fit."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from chronos_assets.domain.learners import LEARNERS
from chronos_assets.errors import RefusedError, UsageError
from chronos_assets.pipeline.models.bundle import export_model, predict_file, verify_bundle
from chronos_assets.pipeline.models.predict import predict_live
from chronos_assets.pipeline.models.train import train_live_model
from chronos_assets.pipeline.walkforward.run import run_walkforward
from chronos_assets.services import Connections
from chronos_assets.settings import Settings
from chronos_assets.storage.stores import Stores, open_stores
from chronos_assets_tests.support.walkforward_data import DAY, START, make_bars, publish, small_profile
from chronos_assets_tests.support.wrong_inputs import WRONG
from chronos_bundle import Bundle, BundleError

ROWS = 97
FEATURES = [f"feat_{n}" for n in range(4)]
BARS = make_bars(ROWS)


@pytest.fixture(scope="module")
def exported(servers: Connections, settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Stores, str]:
    """A bundle, the stores and the id of its model: 97 bars hold three folds up to row 92, so five bars lie in its window."""
    stores = open_stores(servers, settings)
    slug = f"bundled{os.getpid()}_1d_v1"
    publish(stores, slug, BARS)
    profile = small_profile(target_transform="tanh")
    run_walkforward(slug, profile, stores, horizon=3, horizon_assumed=False)
    model = train_live_model(slug, profile, stores, horizon=3, horizon_assumed=False).model
    path = tmp_path_factory.mktemp("bundles") / "bundle"
    export_model(stores, model.model_id, path)
    return path, stores, model.model_id


@pytest.fixture
def nearest() -> Iterator[str]:
    """A learner of somebody else, who named no format of the reader's."""
    LEARNERS.register("nearest", "chronos_assets_tests.support.nearest_learner:Nearest")
    yield "nearest"
    LEARNERS.forget("nearest")


def window() -> dict[str, Any]:
    """The five bars of the window as a mapping."""
    rows = BARS.tail(5)
    features = {name: rows[name].fill_null(np.nan).to_numpy(writable=True) for name in FEATURES}
    return {"timestamp_unix": rows["timestamp_unix"].to_numpy(), **features}


def test_a_bundle_predicts_what_the_product_predicts(exported: tuple[Path, Stores, str]) -> None:
    """The same bits from a mapping, from pandas, Polars and Arrow, in any order of the columns."""
    path, stores, model_id = exported
    bundle = Bundle.open(path)
    live = predict_live(bundle.about["dataset"], stores, model_id=model_id).signals
    due = list(zip(live["timestamp_unix"], live["prediction"], live["signal"], strict=True))
    backwards = dict(reversed(window().items()))
    arrow = pl.DataFrame(window()).to_arrow()
    for inputs in (window(), backwards, pd.DataFrame(backwards), pl.DataFrame(window()), arrow, BARS.tail(5)):
        assert [tuple(one) for one in bundle.predict(inputs)] == due
    verified = verify_bundle(path)
    assert verified.sample_rows == 20
    assert verified.about["simulation_ids"] == []
    assert verified.backtest["run"]["run_id"] == bundle.about["run_id"]


def test_a_zip_file_is_a_bundle_too(exported: tuple[Path, Stores, str], tmp_path: Path) -> None:
    """The same files; what exists is not written over."""
    path, stores, model_id = exported
    written = export_model(stores, model_id, tmp_path / "bundle.zip")
    assert {name: digest for name, digest in written.files.items() if name != "backtest.json"}.items() <= {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in path.iterdir()
    }.items()
    assert Bundle.open(written.path).predict(window()) == Bundle.open(path).predict(window())
    with pytest.raises(UsageError):
        export_model(stores, model_id, path)


def test_it_runs_in_an_environment_without_the_product_and_without_a_network(exported: tuple[Path, Stores, str], tmp_path: Path) -> None:
    """A fresh virtual environment with NumPy, XGBoost and pyarrow: 20 sample rows, 0 bits different, and the product is not there."""
    home = tmp_path / "elsewhere"
    shutil.copytree(exported[0], home / "bundle")
    python = bare_environment(tmp_path / "venv", "numpy", "xgboost", "scipy", "pyarrow")
    code = (
        "import socket, sys\n"
        "def refuse(*args, **kwargs): raise AssertionError('a bundle asked for the network')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "sys.path.insert(0, 'bundle')\n"
        "from chronos_bundle import Bundle\n"
        "bundle = Bundle.open('bundle')\n"
        "print(bundle.check_sample())\n"
        "try:\n"
        "    import chronos_assets\n"
        "except ModuleNotFoundError:\n"
        "    print('alone')\n"
    )
    done = subprocess.run([python, "-B", "-c", code], cwd=home, env=clean(), capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout.split(), done.returncode) == (["20", "alone"], 0), done.stderr


def test_a_ridge_is_a_bundle_too(stores: Stores, unique_slug: str, tmp_path: Path) -> None:
    """Its coefficients as JSON: the product's bits, from a reader that has NumPy and pyarrow only; what is damaged is refused."""
    publish(stores, unique_slug, BARS)
    profile = small_profile(target_transform="standardize", model={"learner": "ridge"})
    run_walkforward(unique_slug, profile, stores, horizon=3, horizon_assumed=False)
    model = train_live_model(unique_slug, profile, stores, horizon=3, horizon_assumed=False).model
    path = export_model(stores, model.model_id, tmp_path / "elsewhere" / "bundle").path
    assert hashlib.sha256((path / "linear.json").read_bytes()).hexdigest() == model.sha256
    live = predict_live(unique_slug, stores, model_id=model.model_id).signals
    due = list(zip(live["timestamp_unix"], live["prediction"], live["signal"], strict=True))
    assert [tuple(one) for one in Bundle.open(path).predict(window())] == due

    python = bare_environment(tmp_path / "venv", "numpy", "pyarrow")
    code = (
        "import os, numpy, pyarrow.parquet\n"
        "threads = lambda: len(os.listdir('/proc/self/task')) if os.path.exists('/proc/self/task') else 0\n"
        "from chronos_bundle import Bundle\n"
        "before = threads()\n"
        "print(Bundle.open('.').check_sample(), threads() - before)\n"
    )
    done = subprocess.run([python, "-B", "-c", code], cwd=path, env=clean(), capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.split() == ["20", "0"], done.stderr  # a thread of Arrow's can abort a process that ends
    other = {"attributes": {"chronos_model": "{}"}}
    for change in ({"coefficients": [1.0, 2.0, 3.0]}, {"intercept": float("nan")}, {"scale": None}, other):
        content = json.dumps(json.loads((path / "linear.json").read_bytes()) | change)
        damaged = resealed(path, tmp_path / f"without-{next(iter(change))}", "linear.json", content.encode())
        with pytest.raises(BundleError) as refused:
            Bundle.open(damaged)
        assert refused.value.code == ("model_of_other_bundle" if change is other else "model_unreadable")


def test_a_learner_whose_format_the_reader_does_not_know_is_refused(stores: Stores, unique_slug: str, nearest: str) -> None:
    """Before anything is written, with the learners whose models can be taken along; its live model predicts all the same."""
    publish(stores, unique_slug, BARS)
    profile = small_profile(model=LEARNERS.parse({"learner": nearest}))
    run_walkforward(unique_slug, profile, stores, horizon=3, horizon_assumed=False)
    model = train_live_model(unique_slug, profile, stores, horizon=3, horizon_assumed=False).model
    with pytest.raises(RefusedError) as refused:
        export_model(stores, model.model_id, Path("never-written"))
    assert (refused.value.code, refused.value.exit_code, refused.value.found) == ("bundle_learner", 3, "nearest")
    assert refused.value.expected == "a learner of xgboost, ridge"
    assert predict_live(unique_slug, stores, model_id=model.model_id).signals.height == 5


def resealed(path: Path, copy: Path, name: str, content: bytes) -> Path:
    """A copy of a bundle with other content of a file, and the sum that belongs to it."""
    shutil.copytree(path, copy)
    before = hashlib.sha256((copy / name).read_bytes()).hexdigest()
    (copy / name).write_bytes(content)
    sums = (copy / "SHA256SUMS").read_text()
    (copy / "SHA256SUMS").write_text(sums.replace(before, hashlib.sha256(content).hexdigest()))
    return copy


def clean() -> dict[str, str]:
    """Our environment without what leads to our own Python."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "CHRONOS", "VIRTUAL_ENV"))}


def bare_environment(folder: Path, *packages: str) -> Path:
    """A virtual environment that holds some packages of ours and nothing else; gives its Python."""
    venv.create(folder, with_pip=False, symlinks=True)
    site = next(folder.glob("lib/python*/site-packages"))
    for package in packages:
        ours = Path(str(importlib.import_module(package).__file__)).parent
        for name in (package, f"{package}.libs", f"lib{package}"):
            if (ours.parent / name).exists():
                (site / name).symlink_to(ours.parent / name)
    return folder / "bin" / "python"


@pytest.mark.parametrize("name", ["SHA256SUMS", "backtest.json", "chronos_bundle.py", "model.json", "model.ubj", "sample.parquet"])
def test_one_flipped_byte_is_refused(exported: tuple[Path, Stores, str], tmp_path: Path, name: str) -> None:
    """In whatever file, wherever in it; and a file that lacks, or is too many."""
    path = tmp_path / "bundle"
    shutil.copytree(exported[0], path)
    content = (path / name).read_bytes()
    places = np.random.default_rng(7).integers(0, len(content), 12).tolist()
    for at in [0, len(content) - 1, *places]:
        for bit in (0x01, 0x20, 0x80):
            flipped = bytearray(content)
            flipped[at] ^= bit
            (path / name).write_bytes(bytes(flipped))
            with pytest.raises(BundleError):
                Bundle.open(path)
    (path / name).unlink()
    with pytest.raises(BundleError):
        Bundle.open(path)
    (path / name).write_bytes(content)
    (path / "notes.txt").write_text("a file of somebody else")
    with pytest.raises(BundleError, match=r"notes\.txt"):
        Bundle.open(path)


def test_a_thousand_wrong_inputs_give_no_prediction(exported: tuple[Path, Stores, str]) -> None:
    """Dropped, renamed, retyped, cut, nested and unnamed columns are refused each time; permuted ones give the same bits."""
    bundle, random = Bundle.open(exported[0]), np.random.default_rng(11)
    due = bundle.predict(window())
    silent = 0
    for turn in range(1_000):
        inputs = window()
        keys = list(inputs)
        random.shuffle(keys)
        inputs = {key: inputs[key] for key in keys}
        assert bundle.predict(inputs) == due
        change = list(WRONG.values())[turn % len(WRONG)]
        try:
            bundle.predict(change(inputs, FEATURES[int(random.integers(4))]))
            silent += 1
        except BundleError:
            pass
    assert silent == 0


def test_bars_outside_the_window_are_refused_unless_allowed(exported: tuple[Path, Stores, str]) -> None:
    """A bar of the training rows, a bar behind the window, and a clock behind it."""
    bundle = Bundle.open(exported[0])
    late = window() | {"timestamp_unix": window()["timestamp_unix"] + 40 * DAY}
    with pytest.raises(BundleError) as refused:
        bundle.predict(late)
    assert refused.value.code == "model_expired"
    assert len(bundle.predict(late, allow_expired=True)) == 5
    early = window() | {"timestamp_unix": window()["timestamp_unix"] - 40 * DAY}
    with pytest.raises(BundleError) as refused:
        bundle.predict(early)
    assert refused.value.code == "bar_of_training"
    without_times = {name: window()[name] for name in FEATURES}
    with pytest.raises(BundleError) as refused:
        bundle.predict(without_times)  # the bars are of 2015
    assert refused.value.code == "model_expired"
    assert [one.bar for one in bundle.predict(without_times, allow_expired=True)] == [0, 1, 2, 3, 4]


def test_no_future_changes_a_prediction(exported: tuple[Path, Stores, str]) -> None:
    """Each bar's prediction is the same whatever the bars behind it are, and whether they are there at all."""
    bundle, random = Bundle.open(exported[0]), np.random.default_rng(5)
    due = bundle.predict(window())
    for turn in range(500):
        last = int(random.integers(0, 5))
        inputs = window()
        for name in FEATURES:
            inputs[name][last + 1 :] = random.normal(size=4 - last) * 10.0 ** random.integers(-3, 4)
        given = {name: values[: last + 1] for name, values in inputs.items()} if turn % 2 else inputs
        assert bundle.predict(given)[: last + 1] == due[: last + 1]


def test_a_file_of_bars_is_read_as_every_indicator_file_is(exported: tuple[Path, Stores, str], tmp_path: Path) -> None:
    """The bars of the window are predicted, those before it are left out; a file without a feature is refused with its name."""
    file = tmp_path / "today.csv"
    days = pl.from_epoch(pl.col("timestamp_unix")).dt.strftime("%Y%m%d").alias("Date")
    BARS.select(days, *FEATURES, "Close").write_csv(file)
    bundle, found = predict_file(exported[0], file)
    assert [one.bar for one in found] == [START + DAY * row for row in range(92, 97)]
    assert found == bundle.predict(window())
    BARS.select(days, *FEATURES[1:], "Close").write_csv(file)
    with pytest.raises(RefusedError, match="missing: feat_0") as refused:
        predict_file(exported[0], file)
    assert (refused.value.code, refused.value.exit_code) == ("features_differ", 3)


def test_the_reader_imports_numpy_and_xgboost_only() -> None:
    """NumPy when it is loaded; XGBoost for a model of trees and pyarrow for the sample when they are needed; nothing else anywhere."""
    import ast

    import chronos_bundle

    def packages(nodes: Iterable[ast.AST]) -> set[str]:
        nodes = list(nodes)
        named = {alias.name.split(".")[0] for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        named |= {str(node.module).split(".")[0] for node in nodes if isinstance(node, ast.ImportFrom)}
        return named - set(sys.stdlib_module_names)

    tree = ast.parse(Path(chronos_bundle.__file__).read_text(encoding="utf-8"))
    assert packages(tree.body) == {"numpy"}
    assert packages(ast.walk(tree)) == {"numpy", "xgboost", "pyarrow"}
    assert json.dumps(sorted(chronos_bundle.__all__)) == '["Bundle", "BundleError", "Prediction"]'
