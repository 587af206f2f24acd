"""`chronos dev` on a bad day: killed in its start, and beside a program that has its port. `test_story.py` tells its good ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from chronos_assets.cli.supervisor import session_members
from chronos_assets_tests.support.dev_process import Dev, until


@pytest.fixture
def environment(cli_environment: dict[str, str], tmp_path: Path) -> dict[str, str]:
    own = {"CHRONOS_EXPORTS_DIR": str(tmp_path / "exports"), "CHRONOS_MANIFEST_POLL_SECONDS": "2", "CHRONOS_DAGSTER_PORT": "3999"}
    return {**cli_environment, **own}


def test_nothing_of_dagster_outlives_a_killed_dev(environment: dict[str, str], tmp_path: Path) -> None:
    """Killed in the middle of its start, `chronos dev` leaves no process of Dagster running."""
    with Dev(environment, tmp_path / "dev.log") as dev:
        session = dev.session()
        until(lambda: len(session_members(session)) > 2)
        dev.process.kill()
        dev.process.wait()
        until(lambda: not session_members(session))


def test_dev_takes_another_port_where_its_own_is_taken() -> None:
    """A taken port is no reason to fail: a free one is found."""
    import socket

    from chronos_assets.orchestration.instance import free_port

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port("127.0.0.1", port) not in {port, 0}
    assert free_port("127.0.0.1", port) == port
