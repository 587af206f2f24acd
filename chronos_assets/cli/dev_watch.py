"""Keeps the code of a running Dagster loaded: if the process that holds it has ended, the webserver is asked to load it again.

Dagster starts a new one only if the outer of its two code servers ended. The inner one ends by itself after half a minute without a
sign of life, which is what a laptop that slept looks like; from then on no sensor and no schedule would run.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests

from chronos_assets.cli.common import say

CHECK_SECONDS = 5.0
_ASK_SECONDS = 10
_LOAD_SECONDS = 180
_GONE = "DagsterUserCodeUnreachableError"
_STATE = "{ workspaceOrError { ... on Workspace { locationEntries { name locationOrLoadError { ... on PythonError { message } } } } } }"
_RELOAD = "mutation($name: String!) { reloadRepositoryLocation(repositoryLocationName: $name) { __typename } }"


@contextmanager
def code_kept_loaded(url: str) -> Iterator[None]:
    """Look at the code location of the webserver at `url` every few seconds, as long as the block runs."""
    stop = threading.Event()
    threading.Thread(target=_watch, args=(url, stop), name="code-watch", daemon=True).start()
    try:
        yield
    finally:
        stop.set()


def lost_locations(url: str) -> list[str]:
    """Code locations whose process has ended; code that cannot be loaded is not among them, the UI says what is wrong with it."""
    entries = _ask(url, _STATE, _ASK_SECONDS).get("workspaceOrError", {}).get("locationEntries") or []
    return [entry["name"] for entry in entries if _GONE in str((entry["locationOrLoadError"] or {}).get("message", ""))]


def _watch(url: str, stop: threading.Event) -> None:
    while not stop.wait(CHECK_SECONDS):
        try:
            for name in lost_locations(url):
                say("Dagster's code server had ended (a computer that slept?); it is started again")
                _ask(url, _RELOAD, _LOAD_SECONDS, name=name)
        except (requests.RequestException, ValueError):
            continue  # the webserver is busy or ends; `dagster dev` itself sees to that


def _ask(url: str, query: str, seconds: float, **variables: str) -> dict[str, Any]:
    """The data of an answer; empty if the webserver had none to give."""
    with requests.Session() as session:
        session.trust_env = False  # a proxy of the environment is not meant for our own webserver
        answer = session.post(f"{url}/graphql", json={"query": query, "variables": variables}, timeout=seconds)
    return answer.json().get("data") or {}
