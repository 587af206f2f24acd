"""What `deploy/` holds agrees with the product: versions, commands, settings, ports. `.ci/deploy.py` asks linters beside this."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from dagster._core.instance.ref import InstanceRef
from dagster_docker import DockerRunLauncher

from chronos_assets.services.jar import VERSION as QUESTDB_VERSION
from chronos_assets.settings import Settings

PROJECT = Path(__file__).resolve().parents[2]
DEPLOY = PROJECT / "deploy"
PYPROJECT = tomllib.loads((PROJECT / "pyproject.toml").read_text())
PINS = dict(line.split(" ;")[0].split("==") for line in PYPROJECT["tool"]["uv"]["constraint-dependencies"])
VERSION = PYPROJECT["project"]["version"]
VARIABLE = re.compile(r"\bCHRONOS_[A-Z_]+\b")
# Named by our files for each other; the product does not read them.
OURS = {"CHRONOS_IMAGE", "CHRONOS_CODE_SERVER"}


def documents(name: str) -> Any:
    """A YAML file of the folder."""
    return yaml.safe_load((DEPLOY / name).read_text())


def test_dagsters_own_launcher_takes_the_instance_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every key of it is one that this Dagster knows, and runs are started by no class of ours."""
    monkeypatch.setenv("CHRONOS_IMAGE", "chronos-assets:1")
    monkeypatch.setenv("CHRONOS_DAGSTER_POSTGRES_URL", "postgresql://u:p@127.0.0.1:1/x")
    instance = InstanceRef.from_dir(str(DEPLOY))
    assert type(instance.run_launcher) is DockerRunLauncher
    assert "chronos_assets" not in yaml.safe_dump(documents("dagster.yaml"))


def test_the_files_name_settings_that_exist() -> None:
    """A variable that is misspelt would be ignored in silence."""
    known = {f"CHRONOS_{name.upper()}" for name in Settings.model_fields} | OURS
    for file in DEPLOY.rglob("*"):
        if file.is_file():
            assert set(VARIABLE.findall(file.read_text())) <= known, file.name


def test_the_files_name_the_versions_that_are_pinned() -> None:
    """Image, chart, Ray and QuestDB are those of the product."""
    assert documents("raycluster.yaml")["spec"]["rayVersion"] == PINS["ray"]
    assert documents("compose.storage.yaml")["services"]["questdb"]["image"] == f"questdb/questdb:{QUESTDB_VERSION}"
    assert f"dagster/dagster --version {PINS['dagster']} " in (DEPLOY / "dagster-chart.yaml").read_text()
    images = re.findall(r"chronos-assets:([\d.]+\d)", "".join(file.read_text() for file in DEPLOY.rglob("*") if file.is_file()))
    assert set(images) == {VERSION}


def test_no_container_is_root_and_none_holds_a_secret() -> None:
    """One user id everywhere; tokens and passwords come from secrets and environment files."""
    cluster = documents("raycluster.yaml")["spec"]
    pods = [group["template"]["spec"] for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"])]
    (user,) = documents("dagster-chart.yaml")["dagster-user-deployments"]["deployments"]
    for context in [user["podSecurityContext"], *(pod["securityContext"] for pod in pods)]:
        assert (context["runAsNonRoot"], context["runAsUser"]) == (True, 10001)
    assert "USER 10001:10001" in (DEPLOY / "Dockerfile").read_text()
    for pod in pods:
        tokens = [one for one in pod["containers"][0]["env"] if one["name"] == "RAY_AUTH_TOKEN"]
        assert tokens == [{"name": "RAY_AUTH_TOKEN", "valueFrom": {"secretKeyRef": {"name": "chronos-settings", "key": "RAY_AUTH_TOKEN"}}}]


def test_only_encrypted_ports_of_the_storage_host_are_open() -> None:
    """QuestDB has none of its own; Postgres lets nobody in from outside without TLS."""
    services = documents("compose.storage.yaml")["services"]
    assert {name for name, service in services.items() if "ports" in service} == {"postgres", "proxy"}
    assert all(port.startswith("${BIND:?}:") for service in services.values() for port in service.get("ports", ()))
    lines = [line.split() for line in (DEPLOY / "pg_hba.conf").read_text().splitlines() if not line.startswith("#")]
    assert {line[0] for line in lines} == {"local", "hostssl"}
    assert {line[-1] for line in lines if line[0] == "hostssl"} == {"scram-sha-256"}


def test_units_call_commands_of_the_environment() -> None:
    """Each program is one that the environment of the image has."""
    units = list((DEPLOY / "systemd").glob("*.service"))
    assert len(units) == 5
    for unit in units:
        (program,) = re.findall(r"^ExecStart=/opt/chronos/\.venv/bin/(\S+)", unit.read_text(), re.MULTILINE)
        assert (PROJECT / ".venv" / "bin" / program).exists(), program


def test_the_dockerfile_is_as_hadolint_wants_it() -> None:
    """No rule of the linter is broken, and none is switched off."""
    program = Path(sys.executable).with_name("hadolint")
    found = subprocess.run([program, DEPLOY / "Dockerfile"], capture_output=True, text=True, check=False, timeout=60)
    assert (found.returncode, found.stdout) == (0, "")
    assert "hadolint ignore" not in (DEPLOY / "Dockerfile").read_text()
