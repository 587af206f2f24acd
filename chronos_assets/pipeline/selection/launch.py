"""A selection requested from outside: queued once, launched as a run of Dagster over HTTP, cancelled.

Equal requests at the same moment make one row and one run: they wait for each other on the lock of the request.
"""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import requests

from chronos_assets.domain.profiles.lfs import LfsProfile
from chronos_assets.errors import RunCancelledError, ServiceUnavailableError, StoreError
from chronos_assets.pipeline.selection.request import RESOLVED_KEYS, LfsRequest
from chronos_assets.storage.lfs import (
    LfsRecord,
    ask_to_cancel,
    declare_dead_lfs,
    end_queued,
    find_lfs,
    get_lfs,
    queue_lfs,
    request_lock,
    set_dagster_run,
    unqueue_lfs,
)
from chronos_assets.storage.postgres import Postgres

LFS_JOB, LFS_OP = "lfs", "run_selection"
LFS_TAG = "chronos/lfs_id"
LOCATION, REPOSITORY = "chronos_assets", "__repository__"
REQUEST_SECONDS = 20.0
ENDED = {"SUCCESS", "FAILURE", "CANCELED"}

LAUNCH = """
mutation ($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}
"""
STATUS = "query ($id: ID!) { runOrError(runId: $id) { __typename ... on Run { status } } }"
TERMINATE = "mutation ($id: String!) { terminateRun(runId: $id) { __typename } }"


@dataclass(frozen=True)
class Submission:
    """What became of a request: complete already, on its way since before, or launched by this call."""

    outcome: Literal["completed", "underway", "launched"]
    record: LfsRecord


class DagsterServer:
    """Dagster's web server, asked over GraphQL. Raises `ServiceUnavailableError` (`dagster_unreachable`) if it does not answer.

    `command` does without Dagster what is asked of it; the refusal names it.
    """

    def __init__(self, url: str | None, command: str = "chronos lfs SLUG") -> None:
        self._url, self._command = url, command

    def launch(self, request: LfsRequest) -> str:
        """Launch the job for a request; returns the run's id."""
        parameters = request.profile.model_dump(exclude=set(RESOLVED_KEYS), exclude_none=True) | {
            "target": request.target,
            "features": list(request.features),
            "start_row": request.start_row,
            "end_row": request.end_row,
        }
        tags = {"dagster/partition": request.record.dataset_id, LFS_TAG: request.lfs_id}
        params = {
            "selector": {"repositoryLocationName": LOCATION, "repositoryName": REPOSITORY, "jobName": LFS_JOB},
            "runConfigData": {"ops": {LFS_OP: {"config": {"parameters": parameters, "lfs_id": request.lfs_id}}}},
            "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in tags.items()]},
        }
        answer = self._ask(LAUNCH, {"params": params})["launchRun"]
        if answer["__typename"] != "LaunchRunSuccess":
            said = answer.get("message") or "; ".join(error["message"] for error in answer.get("errors", ()))
            raise StoreError(
                "Dagster did not launch the selection", code="dagster_refused", found=f"{answer['__typename']} {said}".strip()[:500]
            )
        return str(answer["run"]["runId"])

    def has_ended(self, dagster_run_id: str) -> bool:
        """Whether a run is over, or unknown."""
        answer = self._ask(STATUS, {"id": dagster_run_id})["runOrError"]
        return answer["__typename"] != "Run" or answer["status"] in ENDED

    def terminate(self, dagster_run_id: str) -> None:
        """End a run that has not started yet; one that cannot be ended is no error."""
        self._ask(TERMINATE, {"id": dagster_run_id})

    def _ask(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        if self._url is None:
            raise self._unreachable("no address is known")
        try:
            with requests.Session() as session:
                session.trust_env = False
                answer = session.post(f"{self._url}/graphql", json={"query": query, "variables": variables}, timeout=REQUEST_SECONDS)
                answer.raise_for_status()
                document = answer.json()
        except (requests.RequestException, ValueError) as error:
            raise self._unreachable(str(error)[:200]) from error
        if not document.get("data"):
            raise StoreError("Dagster refused the question", code="dagster_refused", found=str(document.get("errors"))[:500])
        data: dict[str, Any] = document["data"]
        return data

    def _unreachable(self, why: str) -> ServiceUnavailableError:
        return ServiceUnavailableError(
            "Dagster cannot be reached",
            code="dagster_unreachable",
            found=why,
            hint=f"`{self._command}` does the same without Dagster; `chronos dev` starts it.",
        )


def submit_lfs(
    request: LfsRequest, postgres: Postgres, dagster_url: str | None, *, check: Callable[[], object], requested_by: str = "api"
) -> Submission:
    """Queue a request and launch it, if it is neither complete nor on its way.

    `check` raises what its run would fail of at once; of equal requests only the one that would be launched is checked. Raises
    `ServiceUnavailableError` (`dagster_unreachable`) if Dagster is down; the row is then as it was before.
    """
    dagster = DagsterServer(dagster_url, command_of(request))
    declare_dead_lfs(postgres)
    with postgres.connection() as connection, connection.transaction():
        request_lock(connection, request.lfs_id)
        before = find_lfs(postgres, request.lfs_id)
        if before is not None and before.status == "completed":
            return Submission("completed", before)
        if before is not None and _is_underway(before, dagster):
            return Submission("underway", before)
        check()
        if before is not None and before.status == "queued":
            end_queued(postgres, request.lfs_id)  # its run of Dagster is over, and never began it
            before = get_lfs(postgres, request.lfs_id)
        with postgres.connection() as writing:
            queue_lfs(writing, request.row(requested_by))
        try:
            set_dagster_run(postgres, request.lfs_id, dagster.launch(request))
        except BaseException:
            unqueue_lfs(postgres, request.lfs_id, before)
            raise
    return Submission("launched", get_lfs(postgres, request.lfs_id))


def command_of(request: LfsRequest) -> str:
    """The command that makes the same selection without Dagster, quoted for a shell."""
    profile = request.profile
    given = profile.model_fields_set
    words = ["chronos", "lfs", request.record.dataset_id, "--target", request.target]
    if "features" in given and profile.features != "all":
        words += [word for pattern in profile.features for word in ("--features", pattern)]
    if {"start_row", "end_row"} & given:
        words += ["--rows", f"{request.start_row}:{request.end_row}"]
    for name in LfsProfile.model_fields:
        if name in given - set(RESOLVED_KEYS) and getattr(profile, name) is not None:
            words += [f"--{name.replace('_', '-')}", str(getattr(profile, name))]
    return shlex.join(words)


def cancel_lfs(lfs_id: str, postgres: Postgres, dagster_url: str | None) -> LfsRecord:
    """Ask a selection to stop: it keeps the permutations done. One that is over stays as it is."""
    before = get_lfs(postgres, lfs_id)
    ask_to_cancel(postgres, before.lfs_id)
    if before.status == "queued" and before.dagster_run_id is not None:
        # If Dagster cannot end the run, the row says `cancelled`, and the run is told so when it begins.
        with contextlib.suppress(ServiceUnavailableError, StoreError):
            DagsterServer(dagster_url).terminate(before.dagster_run_id)
    return get_lfs(postgres, before.lfs_id)


def drop_request(postgres: Postgres, lfs_id: str) -> None:
    """Mark a queued request as failed: its dataset changed before it began."""
    end_queued(postgres, lfs_id)


def require_wanted(postgres: Postgres, lfs_id: str) -> None:
    """Raise `RunCancelledError` if the request was cancelled while it waited for its run."""
    record = find_lfs(postgres, lfs_id)
    if record is not None and record.status == "cancelled" and record.cancel_requested:
        raise RunCancelledError("the feature selection was cancelled before it began", code="cancelled", lfs_id=lfs_id)


def _is_underway(record: LfsRecord, dagster: DagsterServer) -> bool:
    if record.status == "running":
        return True
    return record.status == "queued" and record.dagster_run_id is not None and not dagster.has_ended(record.dagster_run_id)
