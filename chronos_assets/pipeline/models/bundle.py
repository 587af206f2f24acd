"""A model as files that another program takes along: the model, its description, backtest, sample rows, sums, and the reader of all of it.

`chronos_bundle` (one file, NumPy and XGBoost only) reads a bundle; a learner names the one of its formats that its models have. What is
written is opened with it before it gets its name, and its sample is predicted again, so that nothing leaves that its reader would refuse.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from chronos_assets.domain.bars_spec import BarsSpec
from chronos_assets.domain.learners import LEARNERS
from chronos_assets.errors import FileError, RefusedError, UsageError
from chronos_assets.ingest import normalize
from chronos_assets.learning.models import load_model
from chronos_assets.pipeline.models.aliases import require_kept
from chronos_assets.pipeline.models.backtest import backtest_of
from chronos_assets.pipeline.models.predict import require_same_bars
from chronos_assets.pipeline.models.train import signals_frame
from chronos_assets.pipeline.walkforward.data import feature_matrix
from chronos_assets.storage.datasets import KEY_COLUMNS, get_dataset, read_last_bars
from chronos_assets.storage.model_artifacts import ModelArtifacts
from chronos_assets.storage.models import ModelRecord, get_model
from chronos_assets.storage.stores import Stores

SAMPLE_ROWS = 20


@dataclass(frozen=True)
class Written:
    """A bundle that was written: where, and the SHA-256 of each of its files."""

    model: ModelRecord
    path: Path
    files: dict[str, str]


@dataclass(frozen=True)
class Verified:
    """A bundle that its reader takes: what it says of itself, and how many sample rows came out bit-equal."""

    path: Path
    about: dict[str, Any]
    backtest: dict[str, Any]
    sample_rows: int


def export_model(stores: Stores, model_id: str, path: Path | None = None) -> Written:
    """Write the bundle of a model to a new folder, or to a zip file if `path` ends in `.zip`; default: `SLUG-ID` where we are.

    Raises `RefusedError` for a learner that the reader does not know or a model that was retired, `UsageError` if `path` exists.
    """
    model = get_model(stores.postgres, model_id)
    require_kept(model)
    target = path or Path(f"{model.dataset_id}-{model.model_id[:8]}")
    if target.exists():
        raise UsageError(f"{target} exists already", code="bundle_exists", hint="Name another folder or zip file with -o, or remove it.")
    files = _files(stores, model)
    try:
        _write(files, target)
    except OSError as error:
        raise FileError(f"the bundle cannot be written: {error.strerror}", code="write_failed", file=str(target)) from error
    return Written(model, target, {name: hashlib.sha256(content).hexdigest() for name, content in files.items()})


def verify_bundle(path: Path) -> Verified:
    """Open a bundle with its reader and predict its sample again; raises `RefusedError`."""
    bundle = open_bundle(path)
    from chronos_bundle import BundleError

    try:
        rows = bundle.check_sample()
    except BundleError as error:
        raise _refused(error, path) from None
    return Verified(path, bundle.about, bundle.backtest, rows)


def open_bundle(path: Path) -> Any:
    """The `chronos_bundle.Bundle` at `path`; raises `RefusedError`."""
    from chronos_bundle import Bundle, BundleError

    try:
        return Bundle.open(path)
    except BundleError as error:
        raise _refused(error, path) from None


def predict_file(path: Path, source: Path, *, allow_expired: bool = False) -> tuple[Any, list[Any]]:
    """The bundle at `path`, and its predictions of the bars of an indicator file that lie in its window, oldest first.

    The file is read as any indicator file is (docs/INPUT.md). Raises `RefusedError` for a file, a bundle or features that do not fit.
    """
    from chronos_bundle import BundleError

    bundle = open_bundle(path)
    with tempfile.TemporaryDirectory(prefix="chronos-predict-") as folder:
        arrow = Path(folder) / "bars.arrow"
        normalize(source, BarsSpec(granularity=bundle.about["granularity"]), arrow)
        bars = pl.read_ipc(arrow)
    bars = bars.drop(name for name in KEY_COLUMNS if name != "timestamp_unix").filter(pl.col("timestamp_unix") >= bundle.valid_from)
    try:
        return bundle, bundle.predict(bars, allow_expired=allow_expired)
    except BundleError as error:
        raise _refused(error, source) from None


def _files(stores: Stores, model: ModelRecord) -> dict[str, bytes]:
    """The files of a bundle by name."""
    import chronos_bundle

    description, file = model.description, _model_file(model)
    record = get_dataset(stores.postgres, model.dataset_id)
    require_same_bars(model, record)
    content = ModelArtifacts(stores.artifacts).load(model.model_id, model.sha256)
    own = {feature["name"] for feature in description["features"]}
    about = description | {
        "bundle_format": chronos_bundle.FORMAT,
        "model_sha256": model.sha256,
        "simulation_ids": model.simulation_ids,
        "other_columns": sorted(column.name for column in record.columns if column.name not in own),
    }
    backtest = model.backtest if model.run_id is None else backtest_of(stores, model.run_id)
    return {
        "backtest.json": _json(backtest),
        "chronos_bundle.py": Path(chronos_bundle.__file__).read_bytes(),
        "model.json": _json(about),
        file: content,
        "sample.parquet": _sample(stores, model, content),
    }


def _model_file(model: ModelRecord) -> str:
    """The file of a bundle that takes a model of this learner; raises `RefusedError` if there is none."""
    learner = model.description["learner"]
    found = LEARNERS.find(learner).bundle_file
    if found is None:
        raise RefusedError(
            f"models of the learner {learner} cannot be taken along as a bundle: its reader knows no format of theirs",
            code="bundle_learner",
            expected=f"a learner of {', '.join(name for name in LEARNERS.names if LEARNERS.find(name).bundle_file)}",
            found=learner,
            hint="`chronos predict` asks every model.",
            slug=model.dataset_id,
        )
    return found


def _sample(stores: Stores, model: ModelRecord, content: bytes) -> bytes:
    """The newest bars that the model can be asked for, with what it says of them."""
    loaded, record = load_model(content, model.description["learner"]), get_dataset(stores.postgres, model.dataset_id)
    columns = [record.column(name) for name in loaded.feature_names]
    rows = read_last_bars(stores.questdb, record, columns, SAMPLE_ROWS, keys=("timestamp_unix",))
    times = rows["timestamp_unix"].to_numpy()
    signals = signals_frame(model.description, loaded, feature_matrix(rows, loaded.feature_names), times, record.row_count - len(times))
    buffer = io.BytesIO()
    rows.with_columns(signals["prediction"], signals["signal"]).write_parquet(buffer, compression="uncompressed")
    return buffer.getvalue()


def _write(files: dict[str, bytes], target: Path) -> None:
    """Write a bundle beside its place, open it with its reader, and put it there."""
    sums = "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in sorted(files.items()))
    whole = files | {"SHA256SUMS": sums.encode()}
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        if target.suffix == ".zip":
            made = beside / target.name
            with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
                for name, content in whole.items():
                    archive.writestr(name, content)
        else:
            made = beside / "bundle"
            made.mkdir()
            for name, content in whole.items():
                (made / name).write_bytes(content)
        verify_bundle(made)
        made.rename(target)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _json(document: dict[str, Any]) -> bytes:
    return (json.dumps(document, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()


def _refused(error: Exception, path: Path) -> RefusedError:
    """An error of the reader as one of ours."""
    return RefusedError(str(error), code=str(getattr(error, "code", "bundle_refused")), file=str(path))
