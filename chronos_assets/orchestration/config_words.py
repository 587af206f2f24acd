"""The nearest key for a typo in the launchpad: Dagster lists every key that would be allowed, but does not say which one was meant.

Its two functions that write that sentence are wrapped, in every process that opens our instance or loads our definitions. pyproject.toml
pins the minor release of Dagster because of such inner names; a test reads the sentence through Dagster's own validation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from dagster._config import validate
from dagster._config.errors import EvaluationError

from chronos_assets.domain.strict import nearest

_NAMES = ("create_field_not_defined_error", "create_fields_not_defined_error")


def name_the_nearest_key() -> None:
    """Make Dagster's sentence about an unknown configuration key end with the key that was probably meant; once is enough."""
    for name in _NAMES:
        function = getattr(validate, name)
        if not hasattr(function, "__wrapped__"):
            setattr(validate, name, _with_nearest(function))


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
