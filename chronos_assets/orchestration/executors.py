"""How the steps of one run are executed: in the run's own process, or each in a process of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagster import Field, InitExecutorContext, Selector, executor

from chronos_assets.orchestration.dagster_internals import (
    Executor,
    ExecutorRequirement,
    InProcessExecutor,
    MultiprocessExecutor,
    RetryMode,
    multiple_process_executor_requirements,
)

STEPS_AT_A_TIME = 2
PRELOAD = ["chronos_assets.definitions", "chronos_assets.orchestration.preload"]


def _requirements(config: Mapping[str, Any]) -> list[ExecutorRequirement]:
    return list(multiple_process_executor_requirements()) if "multiprocess" in config else []


@executor(
    name="in_process_or_multiprocess",
    config_schema=Field(
        Selector(  # type: ignore[no-untyped-call]  # Dagster leaves it untyped
            {
                "in_process": Field({}, description="All steps in the run's own process: the cheapest, since they follow one another."),
                "multiprocess": Field({}, description="Each step in a process of its own, forked from a clean server."),
            }
        ),
        default_value={"in_process": {}},
    ),
    requirements=_requirements,
)
def lineage_executor(context: InitExecutorContext) -> Executor:
    """The lineage is a chain, so the default is the run's own process; folds run side by side inside their step."""
    if "multiprocess" in context.executor_config:
        return MultiprocessExecutor(
            max_concurrent=STEPS_AT_A_TIME, retries=RetryMode.ENABLED, start_method="forkserver", explicit_forkserver_preload=PRELOAD
        )
    return InProcessExecutor(retries=RetryMode.ENABLED)
