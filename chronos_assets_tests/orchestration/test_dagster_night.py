"""What a night, an alert and the command line say of a run that failed."""

from __future__ import annotations

import pytest
from dagster import DagsterEvent, DagsterEventType, EventLogEntry
from dagster._core.execution.plan.objects import ErrorSource, StepFailureData
from dagster_shared.error import SerializableErrorInfo

from chronos_assets.orchestration.nightly.nightly_summary import first_failure


def entry(event: DagsterEvent) -> EventLogEntry:
    """The event as the log holds it."""
    return EventLogEntry(error_info=None, level=10, user_message="", run_id="r", timestamp=0.0, dagster_event=event)


def of_run(kind: DagsterEventType, message: str) -> EventLogEntry:
    """An event of the run as a whole."""
    return entry(DagsterEvent(event_type_value=kind.value, job_name="whole_way", message=message))


def of_step(step: str, error: str, message: str) -> EventLogEntry:
    """A step that failed of an error of class `error`."""
    data = StepFailureData(SerializableErrorInfo(message, [], error), None, ErrorSource.FRAMEWORK_ERROR)
    return entry(DagsterEvent("STEP_FAILURE", "whole_way", step_key=step, event_specific_data=data))


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (DagsterEventType.RUN_FAILURE, "Exceeded maximum runtime of 10 seconds."),
        (DagsterEventType.RUN_CANCELED, 'Execution of run for "whole_way" canceled.'),
    ],
)
@pytest.mark.parametrize("step_first", [True, False])
def test_a_stopped_step_is_told_by_what_stopped_its_run(kind: DagsterEventType, message: str, *, step_first: bool) -> None:
    """A run over its limit, or terminated in the UI, names the step it was in and says why it ended, not the interrupt's class."""
    stopped = of_step(
        "walkforward_predictions", "DagsterExecutionInterruptedError", "dagster._core.errors.DagsterExecutionInterruptedError"
    )
    events = [of_run(kind, message), stopped]
    assert first_failure(events[::-1] if step_first else events) == ("walkforward_predictions", message)


def test_a_failed_step_is_told_by_its_own_error() -> None:
    """An error that nobody foresaw is told by the first line of what it says."""
    ended = of_run(DagsterEventType.RUN_FAILURE, "failed")
    events = [of_step("normalized_bars", "ZeroDivisionError", "ZeroDivisionError: division by zero\n"), ended]
    assert first_failure(events) == ("normalized_bars", "ZeroDivisionError: division by zero")
