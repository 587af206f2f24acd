"""Errors as HTTP answers: what a caller is told, and what stays in the log."""

from __future__ import annotations

import json
import logging

import pytest

from chronos_assets import errors
from chronos_assets.web.problems import log_failure, problem

FOLDER = "/home/joe/chronos/home"


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (errors.FileError("a file cannot be read: gone", code="read_failed", file=f"{FOLDER}/my models/a b.json"), 502, "(file a b.json)"),
        (errors.StoreError("the sets are gone", code="artifact_missing", file=f"{FOLDER}/sets.parquet"), 404, "(file sets.parquet)"),
        (
            errors.ManifestError(f"{FOLDER}/x.yaml is none", code="manifest_syntax", found=f"{FOLDER}/y"),
            422,
            "x.yaml is none",
        ),
        (errors.StoreError("QuestDB refused a statement", code="questdb_refused", found="near SELECT secret FROM t"), 502, "refused"),
        (errors.StoreError("Postgres refused a statement", code="postgres_refused", found='at "SELECT secret"'), 502, "refused"),
    ],
)
def test_a_problem_names_the_file_and_tells_neither_its_folder_nor_a_statement(
    error: errors.ChronosError, status: int, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The name of a file is enough for a caller; what the machine's owner needs as well is in the log, under the request's id."""
    answer = problem(error, path="/api/x", request_id="4711")
    body = json.loads(bytes(answer.body))
    assert (answer.status_code, body["status"]) == (status, status)
    assert said in body["message"]
    assert not [word for word in ("/home", "joe", "SELECT", "secret") if word in json.dumps(body)]
    with caplog.at_level(logging.WARNING):
        log_failure(error, "4711")
    assert ("4711" in caplog.text and str(error) in caplog.text) == (status >= 500)
