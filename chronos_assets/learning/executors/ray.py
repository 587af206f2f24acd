"""Folds as Ray tasks, on a local Ray or an existing cluster. Optional extra (`chronos-assets[ray]`), imported lazily.

The shared arrays are put into the object store once; a task reads them without a copy. The same bits as on threads: a fold trains on one
XGBoost thread wherever it runs. A cluster that is lost in the middle of a run is an error that passes (`ServiceUnavailableError`): what was
stored is kept, and the same request goes on.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psutil

from chronos_assets.domain.learners import Learner
from chronos_assets.domain.selectors import Selector
from chronos_assets.errors import DeviceError, ServiceUnavailableError, UsageError, VersionsDifferError
from chronos_assets.learning.executors.base import AHEAD, failure, failure_reason
from chronos_assets.learning.training import FoldData, FoldFailure, FoldResult, FoldSpec, train_fold
from chronos_assets.learning.versions import Versions, versions_here

CONNECT_SECONDS = 10.0
# A worker of a cluster may have to start, and to build its environment first.
ANSWER_SECONDS = 300.0
# Ray's error does not tell a missing token from a missing cluster, and a cluster wants one wherever one lay on its machine at its start.
HINT_CLUSTER = "Check CHRONOS_RAY_ADDRESS (a cluster that wants a token: set RAY_AUTH_MODE=token too), or set CHRONOS_EXECUTOR=threads."


class RayExecutor:
    """Folds on Ray. Without an address a local Ray with `workers` CPUs is started for the time of one `map`, and shut down after it.

    `workers`: folds trained at the same time; None for as many as the cluster has CPUs (locally: this machine).
    """

    name = "ray"

    def __init__(self, workers: int | None, *, address: str | None = None, gpu_fraction: float = 1.0) -> None:
        self.workers = workers
        self.address = address
        self.gpu_fraction = gpu_fraction
        self._ray = _import_ray()

    def gpus(self) -> int:
        """Cuda devices of the cluster; of this machine if Ray is local."""
        if self.address is None:
            from chronos_assets.learning.devices import count_cuda_devices

            return count_cuda_devices()
        with self.session():
            return int(self._ray.cluster_resources().get("GPU", 0))

    def versions(self, learner: Learner, selector: Selector) -> dict[str, Versions]:
        """What a worker on each node that has a CPU for folds says of itself."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        ray = self._ray
        with self.session():
            asked = {}
            for node in ray.nodes():
                if node["Alive"] and node["Resources"].get("CPU", 0) >= 1:
                    here = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
                    ask = ray.remote(num_cpus=0, max_retries=1, scheduling_strategy=here)(versions_here)
                    asked[f"node {node['NodeManagerHostname']}"] = ask.remote(learner, selector)
            return {place: self._answer(place, reference) for place, reference in asked.items()}

    def _answer(self, place: str, reference: Any) -> Versions:
        from ray.exceptions import RayError

        try:
            answer: Versions = self._ray.get(reference, timeout=ANSWER_SECONDS)
        except RayError as error:  # its worker cannot import what trains, or does not start
            cause = getattr(error, "cause", None)
            raise VersionsDifferError(
                f"a worker on {place} cannot say which versions it would train with",
                code="versions_unknown",
                found=failure_reason(cause if isinstance(cause, BaseException) else error),
                hint="Install the same chronos-assets there, or set CHRONOS_EXECUTOR=threads.",
            ) from error
        return answer

    def map(self, data: FoldData, specs: Iterable[FoldSpec]) -> Generator[FoldResult | FoldFailure]:
        """Train `specs` as tasks of one CPU each, and of `gpu_fraction` GPUs if the device is cuda.

        Raises `ServiceUnavailableError` if the cluster goes away: nothing asks Ray for anything after that, since Ray would start one of
        its own on this machine to answer.
        """
        from ray.exceptions import RaySystemError

        with self.session():
            pending: dict[Any, FoldSpec] = {}
            try:
                yield from self._map(data, iter(specs), pending)
            except (ConnectionError, RaySystemError) as error:
                raise ServiceUnavailableError(
                    "the Ray cluster went away in the middle of the folds" if self.address else "the local Ray went away",
                    code="ray_lost",
                    found=str(error).strip() or type(error).__name__,
                    hint="Start it again, then call the same line again: finished folds are kept.",
                ) from error
            finally:
                with suppress(ConnectionError, RaySystemError):
                    for reference in pending if self._ray.is_initialized() else ():
                        self._ray.cancel(reference, force=False)

    def _map(self, data: FoldData, waiting: Iterator[FoldSpec], pending: dict[Any, FoldSpec]) -> Iterator[FoldResult | FoldFailure]:
        shared = self._ray.put(data)
        tasks: dict[str, Any] = {}
        underway = self._slots() + AHEAD
        while True:
            while len(pending) < underway and (spec := next(waiting, None)) is not None:
                pending[self._submit(tasks, shared, spec)] = spec
            if not pending:
                return
            done, _ = self._ray.wait(list(pending), num_returns=1)
            for reference in done:
                yield self._outcome(pending.pop(reference), reference)

    def _slots(self) -> int:
        """Folds that the cluster trains at the same time."""
        return self.workers or max(1, int(self._ray.cluster_resources().get("CPU", 1)))

    def _submit(self, tasks: dict[str, Any], shared: Any, spec: FoldSpec) -> Any:
        device = spec.recipe.device
        if device not in tasks:
            gpus = self.gpu_fraction if device == "cuda" else 0
            tasks[device] = self._ray.remote(num_cpus=1, num_gpus=gpus, max_retries=3)(train_fold)
        return tasks[device].remote(shared, spec)

    def _outcome(self, spec: FoldSpec, reference: Any) -> FoldResult | FoldFailure:
        from ray.exceptions import RayError, RayTaskError

        try:
            result: FoldResult = self._ray.get(reference)
        except RayTaskError as error:
            return failure(spec, error.cause if isinstance(error.cause, BaseException) else error)
        except RayError as error:
            return failure(spec, error)
        return result

    @contextmanager
    def session(self) -> Iterator[None]:
        """A connection to Ray, one for many `map`s if the caller holds it; one already open in this process is used and left open."""
        ray = self._ray
        if ray.is_initialized():
            yield
            return
        self._start()
        try:
            yield
        finally:
            ray.shutdown()

    def _start(self) -> None:
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        if self.address is None:
            options |= {"address": "local", "num_cpus": self.workers, "include_dashboard": False}
        else:
            _require_member(self.address)
            options["address"] = self.address
        try:
            if self.address is not None:
                _require_listener(self.address)
            with _own_sigterm():
                self._ray.init(**options)
        except Exception as error:  # Ray raises a bare Exception if its node does not come up in time
            self._ray.shutdown()
            found = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
            if self.address is None:
                raise DeviceError(
                    "a local Ray cannot be started", code="ray_unavailable", found=found, hint="Set CHRONOS_EXECUTOR=threads."
                ) from error
            raise ServiceUnavailableError("Ray cannot be reached", code="ray_unavailable", found=found, hint=HINT_CLUSTER) from error


def _require_member(address: str) -> None:
    """Raise `UsageError` if this machine would have to be a node of the cluster and is none: Ray itself would abort the process."""
    if "://" in address or address in {"auto", "local"}:
        return
    if not any(process.info["name"] == "raylet" for process in psutil.process_iter(["name"])):
        host = address.rpartition(":")[0] or address
        raise UsageError(
            "CHRONOS_RAY_ADDRESS is that of a cluster that this machine is no node of",
            code="ray_outside",
            found=address,
            hint=f"From outside the cluster, use Ray's client port: CHRONOS_RAY_ADDRESS=ray://{host}:10001 (or join the cluster: "
            f"`ray start --address={address}`).",
        )


def _require_listener(address: str) -> None:
    """Raise `OSError` if nobody listens at `host:port`: Ray itself would try for minutes."""
    host, _, port = address.rpartition("//")[2].rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS).close()


@contextmanager
def _own_sigterm() -> Iterator[None]:
    """Keep this process's way of ending on SIGTERM: Ray puts its own in place."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)


def _import_ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError as error:
        raise DeviceError(
            "the executor ray was asked for, and Ray is not installed",
            code="ray_missing",
            hint="Install the extra `ray` (pip install 'chronos-assets[ray]'), or set CHRONOS_EXECUTOR=threads.",
        ) from error
    return ray
