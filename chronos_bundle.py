"""Read a model that `chronos model export` wrote, and predict with it. Needs NumPy, and XGBoost for a model of trees; nothing of ours.

    from chronos_bundle import Bundle

    bundle = Bundle.open("sp500_1d_v1-5f0e2a11")
    for bar, prediction, signal in bundle.predict({"timestamp_unix": times, "RSI_14": rsi, "MACD": macd}):
        ...

This file may be copied anywhere; every bundle holds a copy of it. A bundle is a folder or a zip file. Nothing of it is parsed before
its SHA-256 agrees with `SHA256SUMS`. Features are matched by name: a missing, unknown or non-numeric one is refused, and their order
does not matter. Whatever is refused raises `BundleError`, whose `code` is a stable word.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Bundle", "BundleError", "Prediction"]

FORMAT = 1
SUMS = "SHA256SUMS"
# Beside one file of `_MODELS`.
FILES = ("backtest.json", "chronos_bundle.py", "model.json", "sample.parquet")
TIME = "timestamp_unix"
# The inverse of tanh is taken within (-CLAMP, CLAMP), as in training.
CLAMP = 1.0 - 1e-6
MOST_BYTES = 1_000_000_000
# The end of the year 9999, behind which there are no dates.
MOST_SECONDS = 253_402_300_799
_LINE = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9_.]+)")


# Raw outputs, float64 of shape (rows,), of features, float32 of shape (rows, features) in C order.
Outputs = Callable[[Any], Any]


class BundleError(ValueError):
    """A bundle or an input that is refused; `code` is a stable word."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Prediction(NamedTuple):
    """One bar: its UTC second (its row number if the input has no times), the prediction in units of the target, and the signal."""

    bar: int
    prediction: float
    signal: str


class Bundle:
    """A verified bundle. `about` is its model.json, `backtest` its backtest.json."""

    def __init__(self, about: dict[str, Any], backtest: dict[str, Any], outputs: Outputs, sample: bytes) -> None:
        self.about, self.backtest, self._outputs, self._sample = about, backtest, outputs, sample

    @classmethod
    def open(cls, path: str | Path) -> Bundle:
        """The bundle in a folder or zip file; raises `BundleError` if a file is missing, unknown or not what was written."""
        files = _verified(_read(Path(path)))
        about, backtest = _json(files["model.json"], "model.json"), _json(files["backtest.json"], "backtest.json")
        if about.get("bundle_format") != FORMAT:
            raise BundleError("format_unknown", f"the bundle has format {about.get('bundle_format')}; this reader knows {FORMAT}")
        (name,) = files.keys() & _MODELS.keys()
        outputs, said = _MODELS[name](files[name], about)
        if not isinstance(said, dict) or not said or any(about.get(key) != value for key, value in said.items()):
            raise BundleError("model_of_other_bundle", f"model.json describes another model than {name}")
        return cls(about, backtest, outputs, files["sample.parquet"])

    @property
    def features(self) -> list[str]:
        """Names of the features, in the model's order."""
        return [feature["name"] for feature in self.about["features"]]

    @property
    def valid_from(self) -> int:
        """UTC second of the first bar that the model predicts; bars before it were there when it was trained."""
        return _seconds(self.about["valid_from"])

    @property
    def valid_until(self) -> int:
        """UTC second from which the model is expired."""
        return _seconds(self.about["valid_until"])

    def predict(self, inputs: Any, *, allow_expired: bool = False, allow_training_bars: bool = False) -> list[Prediction]:
        """Predictions and signals, one per row of `inputs`.

        `inputs` is a mapping of names to columns, or a frame of pandas, Polars or Arrow. It has every feature, as numbers (null and NaN
        are missing values), and may have `timestamp_unix` (whole UTC seconds, the label of each bar) and the dataset's other columns,
        which are not looked at. Bars at or after `valid_until` are refused unless `allow_expired`, bars before `valid_from`
        unless `allow_training_bars`. Without times, the clock of this machine decides whether the model is expired.
        """
        columns = _columns(inputs)
        matrix = self._matrix(columns)
        bars = self._bars(columns, len(matrix), allow_expired=allow_expired, allow_training_bars=allow_training_bars)
        predictions = self._predictions(matrix)
        return [Prediction(*row) for row in zip(bars, predictions.tolist(), self._signals(predictions), strict=True)]

    def check_sample(self) -> int:
        """Predict the sample rows again and compare every bit; gives their number. Needs pyarrow. Raises `BundleError`."""
        import io

        from pyarrow.parquet import ParquetFile

        # `read_table` starts threads that read Python's buffer; one of them still there at the end of a short process aborts it.
        table = ParquetFile(io.BytesIO(self._sample), pre_buffer=False).read(use_threads=False)
        sample = {name: column.to_numpy() for name, column in _columns(table).items()}
        expected, signals = sample.pop("prediction"), sample.pop("signal")
        found = self.predict(sample, allow_expired=True, allow_training_bars=True)
        differing = [row for row, one in enumerate(found) if one.prediction != expected[row] or one.signal != signals[row]]
        if differing or len(found) != len(expected):
            raise BundleError(
                "sample_differs",
                f"{len(differing)} of {len(expected)} sample rows are predicted otherwise here; "
                f"the model was made with {', '.join(f'{name} {one}' for name, one in self.about['versions'].items())}",
            )
        return len(found)

    def _matrix(self, columns: Mapping[str, Any]) -> Any:
        """Features in the model's order, float32 of shape (rows, features), C order."""
        due, known = self.features, {*self.about["other_columns"], TIME}
        missing = [name for name in due if name not in columns]
        unknown = [name for name in columns if name not in known and name not in set(due)]
        if missing or unknown:
            parts = [f"missing: {', '.join(missing[:10])}"] if missing else []
            parts += [f"unknown: {', '.join(unknown[:10])}"] if unknown else []
            raise BundleError("features_differ", f"the input does not have the model's {len(due)} features ({'; '.join(parts)})")
        values = [_numbers(columns[name], name) for name in due]
        if len({len(column) for column in values}) > 1:
            raise BundleError("lengths_differ", "the features have different numbers of rows")
        most = np.finfo(np.float32).max
        matrix = np.empty((len(values[0]), len(due)), dtype=np.float32)
        for at, column in enumerate(values):
            matrix[:, at] = np.clip(column, -most, most)
        return matrix

    def _bars(self, columns: Mapping[str, Any], rows: int, *, allow_expired: bool, allow_training_bars: bool) -> list[int]:
        if TIME not in columns:
            if not allow_expired and time.time() >= self.valid_until:
                raise self._expired(int(time.time()))
            return list(range(rows))
        times = np.asarray(columns[TIME])
        if times.dtype.kind not in "iu" or times.shape != (rows,):
            raise BundleError(
                "times_invalid", f"{TIME} has to hold one whole UTC second per row; found {times.dtype} of shape {times.shape}"
            )
        if rows and not allow_expired and int(times.max()) >= self.valid_until:
            raise self._expired(int(times.max()))
        if rows and not allow_training_bars and int(times.min()) < self.valid_from:
            raise BundleError(
                "bar_of_training",
                f"the bar of {_iso(int(times.min()))} was there when the model was trained; "
                f"its first bar is that of {self.about['valid_from']}",
            )
        return [int(second) for second in times]

    def _expired(self, second: int) -> BundleError:
        return BundleError(
            "model_expired",
            f"the model is expired: it holds until {self.about['valid_until']}, and {_iso(second)} is later. Export the next one",
        )

    def _predictions(self, matrix: Any) -> Any:
        """Predictions in units of the target, float64."""
        if not len(matrix):
            return np.empty(0)
        outputs = self._outputs(matrix)
        target = self.about["target"]
        transform = target["transform"]
        if transform["kind"] != "none":
            z = np.arctanh(np.clip(outputs, -CLAMP, CLAMP)) / transform["k"] if transform["kind"] == "tanh" else outputs
            outputs = z * transform["std"] + transform["mean"]
        return outputs - 0.5 if target["binary"] else outputs

    def _signals(self, predictions: Any) -> list[str]:
        """`long` at or above the long threshold, `short` at or below the short one, `none` in between and beyond both."""
        long_at, short_at = self.about["thresholds"]["long"], self.about["thresholds"]["short"]
        names = []
        for value in predictions.tolist():
            is_long, is_short = long_at is not None and value >= long_at, short_at is not None and value <= short_at
            names.append("none" if is_long == is_short else "long" if is_long else "short")
        return names


def _trees(content: bytes, about: Mapping[str, Any]) -> tuple[Outputs, Any]:
    """A booster of XGBoost from UBJSON, and what its attribute says of it."""
    try:
        import xgboost
    except ModuleNotFoundError:
        raise BundleError("package_missing", "this model is a booster of XGBoost: install the package xgboost") from None
    booster = xgboost.Booster({"nthread": 1})
    try:
        booster.load_model(bytearray(content))
    except xgboost.core.XGBoostError as error:
        raise BundleError("model_unreadable", f"XGBoost {xgboost.__version__} cannot read the model: {str(error)[:200]}") from None
    names = booster.feature_names

    def outputs(matrix: Any) -> Any:
        return np.asarray(booster.predict(xgboost.DMatrix(matrix, nthread=1, feature_names=names)), dtype=np.float64)

    return outputs, _said(booster.attr("chronos_model"))


def _line(content: bytes, about: Mapping[str, Any]) -> tuple[Outputs, Any]:
    """A linear model from JSON: `intercept + sum(coefficients * (features - mean) / scale)`; a missing value counts as the mean."""
    document, names = _json(content, "linear.json"), ("mean", "scale", "coefficients", "intercept")
    try:
        mean, scale, coefficients, intercept = (np.asarray(document[name], dtype=np.float64) for name in names)
        said = _said(document["attributes"]["chronos_model"])
    except (KeyError, TypeError, ValueError):
        raise BundleError("model_unreadable", f"linear.json does not hold attributes and the numbers {', '.join(names)}") from None
    due, found = (len(about["features"]),), {mean.shape, scale.shape, coefficients.shape}
    if found != {due} or intercept.shape != () or not all(np.isfinite(one).all() for one in (mean, scale, coefficients, intercept)):
        raise BundleError("model_unreadable", f"linear.json has to hold one finite number per feature, {due[0]} of each")

    def outputs(matrix: Any) -> Any:
        # Row by row and without BLAS, as in training: a row gives the same bits alone as among others.
        return (np.nan_to_num((matrix.astype(np.float64) - mean) / scale) * coefficients).sum(axis=1) + intercept

    return outputs, said


# The file of a model -> its format: from its bytes and model.json the outputs, and what the model's file says of itself.
_MODELS: dict[str, Callable[[bytes, Mapping[str, Any]], tuple[Outputs, Any]]] = {"model.ubj": _trees, "linear.json": _line}


def _said(attribute: Any) -> Any:
    """The description in an attribute of a model's file; None if there is none."""
    try:
        return json.loads(attribute or "null")
    except (TypeError, ValueError):
        return None


def _read(path: Path) -> dict[str, bytes]:
    """The files of a bundle by name."""
    try:
        if path.is_dir():
            return {file.name: _file(file) for file in sorted(path.iterdir()) if file.name != "__pycache__"}
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MOST_BYTES:
                raise BundleError("bundle_too_large", f"the files of a bundle take at most {MOST_BYTES:,} bytes")
            return {name: archive.read(name) for name in archive.namelist()}
    except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise BundleError("bundle_unreadable", f"{path} is no bundle that can be read: {error}") from None


def _file(path: Path) -> bytes:
    if not path.is_file():
        raise BundleError("file_unknown", f"the bundle holds {path.name}, which is no file of it")
    return path.read_bytes()


def _verified(files: dict[str, bytes]) -> dict[str, bytes]:
    """`files` without the list of sums; raises `BundleError` unless every file is there and is what was written."""
    if SUMS not in files:
        raise BundleError("sums_missing", f"the bundle has no {SUMS}")
    *lines, end = files.pop(SUMS).decode("utf-8", "replace").split("\n")
    found = [_LINE.fullmatch(line) for line in lines]
    sums = {match[2]: match[1] for match in found if match is not None}
    models = sums.keys() & _MODELS.keys()
    if end or None in found or len(models) != 1 or sums.keys() != {*FILES, *models} or len(lines) != len(sums):
        raise BundleError("sums_invalid", f"{SUMS} does not list the files of a bundle")
    unlisted, missing = sorted(files.keys() - sums.keys()), sorted(sums.keys() - files.keys())
    if unlisted or missing:
        raise BundleError(
            "files_differ", f"the bundle lacks {', '.join(missing) or 'nothing'} and has {', '.join(unlisted) or 'nothing'} besides"
        )
    damaged = [name for name, content in files.items() if hashlib.sha256(content).hexdigest() != sums[name]]
    if damaged:
        raise BundleError("file_damaged", f"{', '.join(damaged)} is not what was written: its SHA-256 differs from {SUMS}")
    return files


def _json(content: bytes, name: str) -> dict[str, Any]:
    try:
        document = json.loads(content)
    except ValueError as error:
        raise BundleError("file_damaged", f"{name} is no JSON: {error}") from None
    if not isinstance(document, dict):
        raise BundleError("file_damaged", f"{name} is no JSON object")
    return document


def _columns(inputs: Any) -> dict[str, Any]:
    """Columns by name; raises `BundleError` for an input without names, or with the same name twice."""
    if isinstance(inputs, Mapping):
        names: Sequence[Any] = list(inputs)
    elif hasattr(inputs, "column_names"):
        names = list(inputs.column_names)
    elif hasattr(inputs, "columns"):
        names = list(inputs.columns)
    else:
        raise BundleError("features_unnamed", f"the input has to name its columns; found {type(inputs).__name__}")
    odd = [name for name in names if not isinstance(name, str)]
    if odd or len(set(names)) < len(names):
        raise BundleError("features_unnamed", "every column of the input needs a name of its own, as text")
    return {name: inputs[name] for name in names}


def _numbers(values: Any, name: str) -> Any:
    """A column as float64 of shape (rows,), NaN for null; raises `BundleError` for anything but finite numbers."""
    if hasattr(values, "to_numpy"):
        values = values.to_numpy()
    elif not isinstance(values, np.ndarray):
        values = _array(values, name)
    if values.dtype == object:
        values = _array(values.tolist(), name)
    if values.dtype.kind not in "fiu" or values.ndim != 1:
        raise BundleError(
            "feature_not_numeric", f"feature {name} has to be one number per row; found {values.dtype} of shape {values.shape}"
        )
    numbers = values.astype(np.float64)
    if np.isinf(numbers).any():
        raise BundleError("feature_infinite", f"feature {name} is infinite in row {int(np.flatnonzero(np.isinf(numbers))[0])}")
    return numbers


def _array(values: Iterable[Any], name: str) -> Any:
    """A list as an array; None is a missing value, and a boolean is no number."""
    try:
        rows = list(values)
    except TypeError:
        raise BundleError("feature_not_numeric", f"feature {name} has to be one number per row; found {type(values).__name__}") from None
    for row, value in enumerate(rows):
        if value is not None and (isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating))):
            raise BundleError("feature_not_numeric", f"feature {name} holds {type(value).__name__} in row {row}")
    try:
        return np.asarray([np.nan if value is None else float(value) for value in rows], dtype=np.float64)
    except OverflowError:
        raise BundleError("feature_infinite", f"feature {name} holds a whole number that is too great for a float") from None


def _seconds(text: str) -> int:
    return int(datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc).timestamp())


def _iso(second: int) -> str:
    if not 0 <= second <= MOST_SECONDS:
        return f"second {second} (the times have to be in seconds)"
    return datetime.fromtimestamp(second, tz=timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
