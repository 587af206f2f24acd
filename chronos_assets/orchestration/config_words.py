"""What the launchpad says of a wrong entry: the nearest key for a typo, and the range of a number that lies outside of it.

Dagster lists every key that would be allowed, but does not say which one was meant, and it takes any number until the step runs. The
functions that write those sentences are wrapped, in every process that opens our instance or loads our definitions. pyproject.toml
pins the minor release of Dagster because of such inner names; a test reads the sentences through Dagster's own validation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from dagster._config import validate
from dagster._config.errors import DagsterEvaluationErrorReason, EvaluationError, RuntimeMismatchErrorData
from dagster._config.evaluate_value_result import EvaluateValueResult
from dagster._config.stack import EvaluationStackPathEntry

from chronos_assets.domain.strict import nearest

_NAMES = ("create_field_not_defined_error", "create_fields_not_defined_error")

BATCH_ROWS = (0, 100_000)
# end of an entry's path -> smallest and largest value
_LIMITS: dict[tuple[str, ...], tuple[int, int]] = {("indicator_bars", "config", "batch_rows"): BATCH_ROWS}


def explain_entries() -> None:
    """Make Dagster name the key that was probably meant, and refuse a number outside its range; once is enough."""
    for name in _NAMES:
        function = getattr(validate, name)
        if not hasattr(function, "__wrapped__"):
            setattr(validate, name, _with_nearest(function))

    if not hasattr(validate._validate_config, "__wrapped__"):
        validate._validate_config = _within_limits(validate._validate_config)


def _with_nearest(function: Callable[..., EvaluationError]) -> Callable[..., EvaluationError]:
    @wraps(function)
    def tell(context: Any, unknown: str | Sequence[str]) -> EvaluationError:
        error = function(context, unknown)
        known = context.config_type_snap.field_names
        keys = [unknown] if isinstance(unknown, str) else sorted(unknown)
        meant = [f'"{close}" instead of "{key}"' for key in keys if (close := nearest(key, known))]
        if not meant:
            return error
        message = f"{error.message} Did you mean {', '.join(meant)}?"
        return EvaluationError(stack=error.stack, reason=error.reason, message=message, error_data=error.error_data)

    return tell


def _within_limits(function: Callable[..., EvaluateValueResult[Any]]) -> Callable[..., EvaluateValueResult[Any]]:
    @wraps(function)
    def validate_entry(context: Any, value: object) -> EvaluateValueResult[Any]:
        result = function(context, value)
        path = tuple(entry.field_name for entry in context.stack.entries if isinstance(entry, EvaluationStackPathEntry))
        limits = _LIMITS.get(path[-3:])
        if limits is None or not result.success or (isinstance(value, int) and limits[0] <= value <= limits[1]):
            return result
        message = (
            f'Invalid value at path root:{":".join(path)}. "{path[-1]}" is a number from {limits[0]:,} to {limits[1]:,}, found {value}.'
        )
        error = EvaluationError(
            stack=context.stack,
            reason=DagsterEvaluationErrorReason.RUNTIME_TYPE_MISMATCH,
            message=message,
            error_data=RuntimeMismatchErrorData(config_type_snap=context.config_type_snap, value_rep=repr(value)),
        )
        return EvaluateValueResult.for_error(error)

    return validate_entry
