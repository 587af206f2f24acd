"""Exports under faults: a small seeded sample of the campaigns in benchmarks/faults."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from pathlib import Path

import pytest

from chronos_assets.services import Connections
from chronos_assets.settings import Settings
from chronos_assets.storage.audits import list_attempts
from chronos_assets.storage.datasets import find_dataset, get_dataset
from chronos_assets.storage.stores import Stores
from chronos_assets_tests.support.export_case import ExportCase, make_case
from chronos_assets_tests.support.export_faults import (
    assert_nothing_half_done,
    assert_one_readable_error,
    assert_retry_ends_clean,
    cut_at_commit,
    environment,
    start_exporter,
)
from chronos_assets_tests.support.tcp_proxy import Moment


@pytest.fixture
def case(stores: Stores, tmp_path: Path, unique_slug: str) -> ExportCase:
    return make_case(stores, tmp_path, unique_slug)


@pytest.mark.parametrize("moment", ["before", "during", "after"])
def test_a_connection_cut_around_the_commit_is_looked_into(
    case: ExportCase, servers: Connections, settings: Settings, moment: Moment
) -> None:
    """Whether the COMMIT happened or not, the export ends published exactly once."""
    assert cut_at_commit(case, servers, settings, moment) == "published"
    assert get_dataset(case.stores.postgres, case.slug).revision == 1
    assert assert_nothing_half_done(case) == "registered in full"
    assert_retry_ends_clean(case)


def test_a_growth_cut_around_its_commit_counts_one_revision(case: ExportCase, servers: Connections, settings: Settings) -> None:
    """The revision rises by one, however often the publication was tried."""
    case.export()
    case.append(4)
    assert cut_at_commit(case, servers, settings, "after") == "published"
    assert get_dataset(case.stores.postgres, case.slug).revision == 2
    assert_retry_ends_clean(case)


def test_killed_exporters_leave_nothing_half_done(case: ExportCase, servers: Connections, settings: Settings) -> None:
    """SIGKILL at random moments: nothing or everything is registered, and the next export ends clean."""
    moments = random.Random(7)
    variables = environment(settings, servers, case.folder)
    for _ in range(3):
        exporter = start_exporter(case, variables)
        time.sleep(moments.uniform(0.5, 3.5))
        os.killpg(exporter.pid, signal.SIGKILL)
        exporter.communicate()
        assert_nothing_half_done(case)
    assert_retry_ends_clean(case)


def test_ctrl_c_leaves_an_attempt_and_the_next_export_goes_on_with_it(case: ExportCase, servers: Connections, settings: Settings) -> None:
    """SIGINT while rows go out: exit code 130, nothing registered, and the same tag is used again."""
    more = make_case(case.stores, case.folder, case.slug, rows=4000)
    variables = environment(settings, servers, more.folder)
    exporter = start_exporter(more, variables, arguments=["--batch-rows", "1"])
    while not list_attempts(case.stores.postgres, case.slug):
        assert exporter.poll() is None, exporter.communicate()
        time.sleep(0.02)
    os.kill(exporter.pid, signal.SIGINT)
    try:
        _, stderr = exporter.communicate(timeout=600)
    finally:
        exporter.kill()
    assert exporter.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert find_dataset(case.stores.postgres, case.slug) is None
    assert more.export().tag == case.slug
    assert_retry_ends_clean(more)


def test_many_exporters_on_one_slug_publish_once(case: ExportCase, servers: Connections, settings: Settings) -> None:
    """Four at once: one publishes, the others find it unchanged or are told who works on it; one revision, one copy."""
    variables = environment(settings, servers, case.folder)
    exporters = [start_exporter(case, variables, arguments=["--json"]) for _ in range(4)]
    ends = [exporter.communicate(timeout=600) for exporter in exporters]
    for exporter, (stdout, stderr) in zip(exporters, ends, strict=True):
        assert stdout, stderr
        if exporter.returncode:
            assert_one_readable_error(stderr)
    documents = [json.loads(stdout) for stdout, _ in ends]
    assert sum(document.get("rows_written", 0) > 0 for document in documents) == 1
    assert get_dataset(case.stores.postgres, case.slug).revision == 1
    assert_retry_ends_clean(case)
