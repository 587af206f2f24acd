"""The one reader of the environment, and of the settings file below it.

Every setting has a name, a default that suits a laptop, and one line that says what it is for. Nothing else in the package looks
at `os.environ` for configuration. Secrets are `SecretStr`: they print as asterisks.
"""

from __future__ import annotations

import difflib
import os
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import platformdirs
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from chronos_assets.artifacts_address import ArtifactsAddress, without_credentials
from chronos_assets.errors import UsageError
from chronos_assets.project_home import Remembered, default_home, is_project, moved_from, remember
from chronos_assets.settings_file import SettingsFile, read_settings_file

PREFIX = "CHRONOS_"

Executor = Literal["threads", "ray"]
"""Names of `EXECUTORS` in `learning/executors/catalogue.py`."""


def find_project(start: Path | None = None) -> Path:
    """The nearest folder at or above `start` (default: the working directory) that holds `dagster.yaml` and `exports/`; else `start`."""
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if is_project(folder):
            return folder
    return here


class Settings(BaseSettings):
    """All settings, frozen. Read by `load_settings`: the environment (`CHRONOS_*`) wins over the settings file, that over the defaults."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", env_ignore_empty=True, validate_default=True)

    # Places
    config: Path | None = Field(default=None, description="Settings file to read instead of the project's chronos.toml.")
    home: Path = Field(
        default_factory=lambda: default_home(find_project()), description="Folder of everything kept: servers' data, artifacts, logs."
    )
    cache: Path = Field(
        default_factory=lambda: Path(platformdirs.user_cache_dir("chronos_assets")),
        description="Folder of downloads that can be fetched again (the QuestDB jar).",
    )
    artifacts: str | None = Field(
        default=None,
        description="Where models, prices and reports are kept: file:///FOLDER or s3://BUCKET/PREFIX (default: artifacts in the home).",
    )
    exports_dir: Path = Field(default_factory=lambda: find_project() / "exports", description="Folder of the manifests.")
    data_roots: Annotated[tuple[Path, ...], NoDecode] = Field(
        default=(), description="Further folders that a manifest's source_file may be in, separated as PATH is."
    )

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(default="WARNING", description="What commands log on stderr.")

    # Servers elsewhere: if set, nothing embedded is started for that store
    questdb_conf: SecretStr | None = Field(
        default=None, description="QuestDB client string, for example http::addr=host:9000;username=u;password=p;"
    )
    questdb_http: str | None = Field(
        default=None, description="host:port for reading from QuestDB if questdb_conf is tcp:: (which can only write)."
    )
    questdb_user: str | None = Field(default=None, description="User for reading from QuestDB if questdb_conf carries none.")
    questdb_password: SecretStr | None = Field(default=None, description="Password that goes with questdb_user.")
    postgres_dsn: SecretStr | None = Field(
        default=None, description="Postgres connection, for example postgresql://user:password@host:5432/chronos"
    )

    # Embedded servers
    questdb_http_port: int = Field(default=9000, ge=1, le=65535, description="Preferred HTTP port; if it is in use, a free one is taken.")
    questdb_pg_port: int = Field(default=8812, ge=1, le=65535, description="Preferred PGWire port of QuestDB.")
    questdb_ilp_port: int = Field(default=9009, ge=1, le=65535, description="Preferred ILP/TCP port of QuestDB.")
    questdb_ilp_tcp: bool = Field(default=False, description="Open the ILP/TCP listener (it has no password).")
    questdb_jar: Path | None = Field(default=None, description="A questdb-9.3.4.jar that you already have; its SHA-256 is checked.")
    questdb_memory: str = Field(default="512m", pattern=r"^\d+[mg]$", description="Java heap of the embedded QuestDB.")
    postgres_port: int = Field(default=5432, ge=1, le=65535, description="Preferred Postgres port.")
    postgres_os_user: str | None = Field(
        default=None, description="Unprivileged user that runs the embedded Postgres when we are root (default: postgres, else nobody)."
    )
    start_timeout_seconds: float = Field(default=60.0, gt=0, description="How long a server may take to answer after its start.")

    # Export
    batch_rows: int = Field(default=2000, ge=1, le=100_000, description="Rows in one ILP request.")
    column_budget: int = Field(
        default=1000,
        ge=1,
        description="Indicator columns of indicator_bars up to which a new name gets a column of its own; beyond, datasets share columns.",
    )
    apply_timeout_seconds: float = Field(default=300.0, gt=0, description="How long QuestDB may take to make written rows visible.")

    # Walk-forward
    executor: Executor = Field(default="threads", description="Where folds run.")
    workers: int = Field(
        default_factory=lambda: os.cpu_count() or 1,
        ge=1,
        description="Folds trained at the same time; on a Ray cluster as many as it has CPUs, unless this is set.",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="Device that trains folds.")
    device_table: Path | None = Field(
        default=None, description="Table that device auto looks in, as `python -m benchmarks.walkforward.devices --write FILE` measures it."
    )
    ray_gpu_fraction: float = Field(default=1.0, gt=0, le=1, description="Share of a GPU that one fold takes on Ray (device cuda).")
    ray_address: str | None = Field(default=None, description="Address of an existing Ray cluster; a local one is started without it.")

    # Dagster
    dagster_host: str = Field(default="127.0.0.1", description="Address that the Dagster UI binds to.")
    dagster_port: int = Field(default=3000, ge=1, le=65535, description="Preferred port of the Dagster UI.")
    dagster_expose: bool = Field(
        default=False, description="Allow a dagster_host that other machines reach; the Dagster UI has no password of its own."
    )
    dagster_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="Further host names that the Dagster UI answers to (a proxy's name), separated by commas."
    )
    dagster_owners: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("team:research",), description="Owners of all assets in the Dagster UI: mail addresses or team:NAME, separated by commas."
    )
    dagster_tags: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="Tags of all assets in the Dagster UI, as key=value, separated by commas."
    )
    dagster_postgres_url: SecretStr | None = Field(
        default=None,
        description="Postgres of Dagster itself, as postgresql+psycopg2://user:password@host:5432/dagster (default: beside our tables).",
    )
    nightly_cron: str = Field(default="0 2 * * *", description="When the nightly backfill starts, as five cron fields.")
    nightly_timezone: str = Field(default="UTC", description="Time zone that nightly_cron is read in.")
    manifest_settle_seconds: float = Field(
        default=5.0, ge=0, description="A manifest or file touched within this time counts as still being written."
    )
    manifest_poll_seconds: int = Field(default=30, ge=1, description="How often manifests and their files are looked at for changes.")

    # Retention: what a manifest's `keep` does not say
    keep_nights: int = Field(default=7, ge=1, description="Runs of each profile that are kept, the newest ones.")
    keep_months: int = Field(default=12, ge=0, description="Months of which the last run of each profile is kept.")
    nightly_prune: bool = Field(default=True, description="Retire at the end of each night what the retention policy does not keep.")

    # HTTP API and pages
    api_host: str = Field(default="127.0.0.1", description="Address that the HTTP API binds to; beyond loopback api_token is needed.")
    api_port: int = Field(default=3100, ge=1, le=65535, description="Preferred port of the HTTP API; else a free one.")
    api_token: SecretStr | None = Field(default=None, description="Token that callers send as the header Authorization: Bearer TOKEN.")
    api_cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="Origins of pages that may read the API, such as http://localhost:5173, separated by commas."
    )
    api_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="Further host names that the HTTP API answers to (a proxy's name), separated by commas."
    )
    api_root_path: str = Field(default="", description="Path below which a proxy serves the HTTP API, such as /chronos.")
    dagster_url: str | None = Field(default=None, description="Address of Dagster's webserver (default: the one of `chronos dev`).")

    # Alerts: a failed run is always logged; these tell somebody else as well
    alert_webhook: SecretStr | None = Field(default=None, description="URL that receives a JSON document for each failed run.")
    alert_email_to: str | None = Field(default=None, description="Address that receives a mail for each failed run.")
    alert_email_from: str = Field(default="chronos@localhost", description="Sender of those mails.")
    alert_smtp: str = Field(default="127.0.0.1:25", description="host:port of the mail server.")
    alert_smtp_user: str | None = Field(default=None, description="User at the mail server; without one nothing is authenticated.")
    alert_smtp_password: SecretStr | None = Field(default=None, description="Password that goes with alert_smtp_user.")

    @field_validator("data_roots", mode="before")
    @classmethod
    def _split_roots(cls, value: Any) -> Any:
        return tuple(Path(p) for p in value.split(os.pathsep) if p) if isinstance(value, str) else value

    @field_validator("dagster_hosts", "dagster_owners", "dagster_tags", "api_hosts", "api_cors_origins", mode="before")
    @classmethod
    def _split_hosts(cls, value: Any) -> Any:
        return tuple(name.strip() for name in value.split(",") if name.strip()) if isinstance(value, str) else value

    @field_validator("home", "cache", "exports_dir", "questdb_jar", "device_table", mode="after")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser().absolute()

    @field_validator("artifacts", mode="after")
    @classmethod
    def _artifacts_address(cls, value: str | None) -> str | None:
        return None if value is None else str(ArtifactsAddress.parse(value))

    @cached_property
    def artifacts_dir(self) -> Path:
        """Artifacts of this machine: Arrow files and journals, and all others unless `artifacts` names another place."""
        return self.home / "artifacts"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  the list of arguments is pydantic's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[Any, ...]:
        """What was given in the call wins over the environment, that over the settings file."""
        return init_settings, env_settings, lambda: dict(settings_file().values)

    def source_of(self, name: str) -> str:
        """Where the value of setting `name` came from: `environment CHRONOS_X`, the settings file, `command line`, or `default`."""
        return origin(name) or ("command line" if name in self.model_fields_set else "default")


def settings_file() -> SettingsFile:
    """The settings file that applies here, read and checked for unknown names; raises `UsageError`."""
    names = [name for name in Settings.model_fields if name != "config"]
    paths = [name for name in names if "Path" in str(Settings.model_fields[name].annotation)]
    return read_settings_file(find_project(), known=names, paths=paths)


def origin(name: str) -> str | None:
    """Where a setting is given: its variable, or the settings file; None if nowhere."""
    variable = f"{PREFIX}{name.upper()}"
    if os.environ.get(variable):
        return f"environment {variable}"
    file = settings_file()
    return str(file.path) if name in file.values else None


def environment_of(settings: Settings) -> dict[str, str]:
    """The variables that make another process read the same settings: the places, and all that was set here."""
    names = settings.model_fields_set | {"home", "cache", "exports_dir"}
    return {f"{PREFIX}{name.upper()}": _as_text(getattr(settings, name)) for name in sorted(names) if getattr(settings, name) is not None}


def _as_text(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, tuple):
        return (os.pathsep if any(isinstance(entry, Path) for entry in value) else ",").join(map(str, value))
    return str(value)


def _without_credentials(value: object) -> object:
    return without_credentials(value) if isinstance(value, str) else value


def is_secret(name: str) -> bool:
    """Whether the value of a setting must never be shown."""
    return "SecretStr" in str(Settings.model_fields[name].annotation)


def settings_file_warning() -> str | None:
    """What to tell about a settings file that holds a secret and lies open."""
    file = settings_file()
    held = [name for name in file.values if is_secret(name)]
    if held and file.readable_by_others():
        return f"{file.path} holds {', '.join(held)}, and other users can read it: chmod 600 {file.path}"
    return None


def moved_checkout() -> Remembered | None:
    """What this project remembers if it was moved since its last command, and nobody names its home."""
    return moved_from(find_project()) if origin("home") is None else None


def remember_home(settings: Settings) -> None:
    """Let the project remember its home, if nobody named the home."""
    if settings.source_of("home") == "default":
        remember(find_project(), settings.home)


def unknown_variables() -> dict[str, str | None]:
    """`CHRONOS_*` variables that name no setting, each with the one it looks like."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    strange = sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known)
    return {name: next(iter(difflib.get_close_matches(name, known, n=1)), None) for name in strange}


def load_settings(**overrides: Any) -> Settings:
    """Read the settings from the environment and the settings file; `overrides` win (used by tests and by command-line flags).

    Raises `UsageError` that names the variable or file, what it holds and what it may hold.
    """
    try:
        return Settings(**overrides)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0]) if first["loc"] else "?"
        known = name in Settings.model_fields
        place = origin(name) if known else None
        where = {"file": place} if place and not place.startswith("environment") else {}
        raise UsageError(
            f"setting {name if where else PREFIX + name.upper()} cannot be used: {first['msg']}",
            code="setting_invalid",
            found="***" if known and is_secret(name) else _without_credentials(first.get("input")),
            hint="docs/SETTINGS.md lists every setting.",
            **where,
        ) from None
