"""Documents about the workplace: settings, servers, a project's files, and what was retired or pinned."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from chronos_assets.views.documents.base import Document
from chronos_assets.views.documents.datasets import TagSpace
from chronos_assets.views.documents.upkeep import Space


class Setting(Document):
    """One setting: its value (secrets are masked), the environment variable that sets it, and where the value came from."""

    name: str
    variable: str
    value: Any
    source: str
    description: str | None


class SettingList(Document):
    """All settings."""

    settings: list[Setting]


class WrittenFile(Document):
    """A file that was written."""

    file: str


class Service(Document):
    """One store. Of a remote one only `answers` and `address` are known. Memory and data in bytes."""

    name: str
    mode: str
    running: bool
    answers: bool
    address: str
    version: str | None
    pid: int | None
    ports: dict[str, int]
    uptime_seconds: float | None
    rss_bytes: int | None
    memory_bytes: int | None
    open_files: int | None
    open_files_limit: int | None
    memory_maps: int | None
    memory_maps_limit: int | None
    data_dir: str | None
    data_bytes: int | None
    log: str | None
    password_file: str | None
    os_user: str | None
    programs: str | None


class OtherHome(Document):
    """Another home of this user whose servers run: process ids by name."""

    home: str
    project: str | None
    servers: dict[str, int]


class ServiceList(Document):
    """Both stores, other homes of this user whose servers run (null if nobody asked), and what the stores hold."""

    services: list[Service]
    other_homes: list[OtherHome] | None = None
    space: Space | None = Field(None, description="Rows, bytes and growth; null if nobody asked, a store is down, or nothing is stored.")


class DiagnosisFinding(Document):
    """One thing that `chronos doctor` looked at, and what to do unless it is `ok`."""

    part: Literal["questdb", "postgres", "artifacts", "executor", "dagster"]
    health: Literal["ok", "warning", "failed", "unreachable"]
    found: str
    remedy: str


class Diagnosis(Document):
    """Every part as this machine reaches it."""

    findings: list[DiagnosisFinding]


class Stopped(Document):
    """Names of the servers that were stopped; by home if all were to be."""

    stopped: list[str] | dict[str, list[str]]


class ProjectFile(Document):
    """One file of a project: `kept` if another text was there before."""

    file: str
    state: Literal["written", "unchanged", "kept"]


class Project(Document):
    """A folder that was made a project."""

    folder: str
    files: list[ProjectFile]


class RetiredDataset(Document):
    """A dataset that left the registry, and what stays in QuestDB."""

    retired: str
    published: bool = Field(description="False: its attempts never came as far as the registry.")
    partition_dropped: bool
    manifest: str | None = Field(description="The manifest that publishes it again, if it still lies in exports/.")
    runs: int
    simulations: int
    rows_left: int
    bytes_left: int
    tags: list[TagSpace]
    reclaim: str


class PinnedRun(Document):
    """Whether the retention policy leaves a run alone."""

    run_id: str
    pinned: bool
