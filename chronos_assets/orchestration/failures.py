"""From an error of ours to what Dagster shows: one sentence, retried only where time can heal it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dagster import AssetCheckExecutionContext, AssetExecutionContext, Failure, MetadataValue, OpExecutionContext, RetryRequested

from chronos_assets.errors import ChronosError, ConflictError, ServiceUnavailableError

PASSING = (ServiceUnavailableError, ConflictError)  # a server restarts, somebody else finishes
MAX_RETRIES = 3
FIRST_WAIT_SECONDS = 5

StepContext = AssetExecutionContext | AssetCheckExecutionContext | OpExecutionContext


@contextmanager
def one_sentence(context: StepContext) -> Iterator[None]:
    """Turn an error of ours into a `Failure` that says its sentence, or into a retry where it can pass by itself."""
    try:
        yield
    except PASSING as error:
        attempt = context.op_execution_context.retry_number if isinstance(context, AssetExecutionContext) else context.retry_number
        if attempt < MAX_RETRIES:
            context.log.warning("%s Trying again.", error)
            raise RetryRequested(max_retries=MAX_RETRIES, seconds_to_wait=FIRST_WAIT_SECONDS * 2**attempt) from error
        raise failure(error) from None
    except ChronosError as error:
        raise failure(error) from None


def failure(error: ChronosError) -> Failure:
    """The `Failure` of an error of ours, with its parts as metadata."""
    parts = {key: MetadataValue.text(str(value)) for key, value in error.as_dict().items() if value is not None and key != "message"}
    return Failure(
        description=str(error), metadata={**parts, "exit_code": error.exit_code, "passing": isinstance(error, PASSING)}, allow_retries=False
    )
