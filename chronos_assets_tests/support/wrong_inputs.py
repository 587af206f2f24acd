"""Inputs of a bundle that are nearly right: each change makes one that has to be refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Inputs = dict[str, Any]


def _list(inputs: Inputs, name: str, value: object, at: int = 1) -> Inputs:
    """`inputs` with a feature as a list that holds `value` in one row."""
    column = inputs[name]
    values = column.tolist() if isinstance(column, np.ndarray) else list(column)
    return inputs | {name: [*values[:at], value, *values[at + 1 :]]}


def _times(inputs: Inputs, times: Any) -> Inputs:
    return inputs | {"timestamp_unix": times}


# Takes the columns of a few bars (float64 features and `timestamp_unix`, int64) and the name of a feature.
WRONG: dict[str, Callable[[Inputs, str], Any]] = {
    "drop": lambda inputs, name: {key: value for key, value in inputs.items() if key != name},
    "rename": lambda inputs, name: {f"{key} " if key == name else key: value for key, value in inputs.items()},
    "case": lambda inputs, name: {key.upper() if key == name else key: value for key, value in inputs.items()},
    "add": lambda inputs, name: inputs | {f"{name}_2": inputs[name]},
    "text": lambda inputs, name: inputs | {name: [str(value) for value in inputs[name]]},
    "bytes": lambda inputs, name: _list(inputs, name, b"1.0"),
    "bool": lambda inputs, name: inputs | {name: inputs[name] > 0},
    "date": lambda inputs, name: inputs | {name: np.zeros(len(inputs[name]), dtype="datetime64[s]")},
    "complex": lambda inputs, name: inputs | {name: inputs[name] + 0j},
    "mixed": lambda inputs, name: _list(inputs, name, value=True),
    "one text": lambda inputs, name: _list(inputs, name, "1.0"),
    "nested list": lambda inputs, name: _list(inputs, name, [1.0]),
    "infinite": lambda inputs, name: inputs | {name: np.where(np.arange(len(inputs[name])) == 2, np.inf, inputs[name])},
    "too great": lambda inputs, name: _list(inputs, name, 10**400),
    "cut": lambda inputs, name: inputs | {name: inputs[name][:-1]},
    "nested": lambda inputs, name: inputs | {name: inputs[name].reshape(-1, 1)},
    "scalar": lambda inputs, name: inputs | {name: 1.0},
    "nothing": lambda inputs, name: inputs | {name: None},
    "unnamed": lambda inputs, name: np.stack([value for key, value in inputs.items() if key != "timestamp_unix"], axis=1),
    "numbered": lambda inputs, name: dict(enumerate(inputs.values())),
    "float times": lambda inputs, name: _times(inputs, inputs["timestamp_unix"].astype(float)),
    "text times": lambda inputs, name: _times(inputs, inputs["timestamp_unix"].astype(str)),
    "milliseconds": lambda inputs, name: _times(inputs, inputs["timestamp_unix"] * 1_000),
    "cut times": lambda inputs, name: _times(inputs, inputs["timestamp_unix"][:-1]),
}
