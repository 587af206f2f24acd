"""From an error of ours to what Dagster shows: one sentence, retried only if time can heal it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from dagster import AssetCheckExecutionContext, AssetExecutionContext, Failure, MetadataValue, OpExecutionContext, RetryRequested

from chronos_assets.errors import ChronosError, ConflictError, RefusedError, ServiceUnavailableError
from chronos_assets.orchestration.dagster_internals import DagsterUserCodeProcessError, SerializableErrorInfo

PASSING = (ServiceUnavailableError, ConflictError)  # a server restarts, somebody else finishes
MAX_RETRIES = 3
FIRST_WAIT_SECONDS = 5

StepContext = AssetExecutionContext | AssetCheckExecutionContext | OpExecutionContext


class _ShownError(DagsterUserCodeProcessError):
    """Dagster shows an error of this class as its `user_code_process_error_infos` say, instead of formatting a traceback."""

    def __init__(self, *args: object) -> None:
        Exception.__init__(self, *args)


class UserFacingFailure(Failure, _ShownError):  # noqa: N818  it is a Failure of Dagster
    """A `Failure` whose page shows the sentence and its metadata, and no traceback of ours. Never retried."""

    def __init__(self, description: str, metadata: Mapping[str, Any]) -> None:
        super().__init__(description=description, metadata=metadata, allow_retries=False)
        self.user_code_process_error_infos = [SerializableErrorInfo(message=description, stack=[], cls_name="Failure")]


@contextmanager
def user_facing_errors(context: StepContext) -> Iterator[None]:
    """Turn an error of ours into a `Failure` that says its sentence, or into a retry if it can pass by itself."""
    try:
        yield
    except PASSING as error:
        attempt = context.op_execution_context.retry_number if isinstance(context, AssetExecutionContext) else context.retry_number
        if attempt < MAX_RETRIES:
            context.log.warning("%s Trying again.", error)
            raise RetryRequested(max_retries=MAX_RETRIES, seconds_to_wait=FIRST_WAIT_SECONDS * 2**attempt) from failure(error)
        raise failure(error) from None
    except ChronosError as error:
        raise failure(error) from None


def failure(error: ChronosError) -> Failure:
    """The `Failure` of an error of ours, with its parts as metadata."""
    parts = {key: MetadataValue.text(str(value)) for key, value in error.as_dict().items() if value is not None and key != "message"}
    kind = {"passing": isinstance(error, PASSING), "refused": isinstance(error, RefusedError)}
    return UserFacingFailure(str(error), {**parts, "exit_code": error.exit_code, **kind})
