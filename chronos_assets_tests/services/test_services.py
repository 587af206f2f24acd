"""The embedded servers as a user meets them: reachable with the given credentials and only so, shared, found again, refused with reason."""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg
import pytest
import requests
import sqlalchemy

from chronos_assets import services
from chronos_assets.errors import ServiceStartError, ServiceUnavailableError
from chronos_assets.services import Connections, ServiceStatus, dagster_postgres_url, ports, postgres_user, processes, state
from chronos_assets.services.places import Places
from chronos_assets.services.postgres_user import shared_base
from chronos_assets.settings import Settings, load_settings
from chronos_assets_tests.conftest import settings_for
from chronos_assets_tests.support.commands import run_program

MakeSettings = Callable[..., Settings]
ELSEWHERE = "http::addr=127.0.0.1:9;"  # with it only Postgres is embedded, which starts in a second


@pytest.fixture
def closed_folder(tmp_path: Path) -> Path:
    """A folder that only we can enter."""
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o700)
    return folder


def of(name: str, settings: Settings) -> ServiceStatus:
    return next(entry for entry in services.status(settings) if entry.name == name)


def test_both_servers_answer_with_the_given_credentials(servers: Connections, settings: Settings) -> None:
    """What `connect` returns is enough to talk to both stores and to Dagster's database."""
    auth = (servers.questdb_user or "", servers.questdb_password or "")
    answer = requests.get(f"{servers.questdb_url}/exec", params={"query": "select 1"}, auth=auth, timeout=120)
    assert answer.json()["dataset"] == [[1]]
    with psycopg.connect(servers.postgres_dsn) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == ("chronos",)
    engine = sqlalchemy.create_engine(dagster_postgres_url(servers, settings))
    with engine.connect() as session:
        assert session.execute(sqlalchemy.text("SELECT current_database()")).scalar() == "dagster"
    engine.dispose()


def test_nobody_gets_in_without_the_password(servers: Connections, settings: Settings) -> None:
    """Queries, rows by ILP over HTTP, PGWire and Postgres are all refused without the generated password."""
    for path, query in (("exec", "select 1"), ("exp", "select 1")):
        assert requests.get(f"{servers.questdb_url}/{path}", params={"query": query}, timeout=120).status_code == 401
    assert requests.post(f"{servers.questdb_url}/write", data="stolen x=1i\n", timeout=120).status_code == 401
    wire = of("questdb", settings).ports["pg"]
    for user, password in (("admin", "quest"), ("chronos", "")):
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(host=ports.LOOPBACK, port=wire, user=user, password=password, dbname="qdb", connect_timeout=60)
    for dsn in (servers.postgres_dsn.replace("chronos:", "postgres:"), servers.postgres_dsn.replace("@", "x@")):
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(dsn, connect_timeout=60)


def test_every_listener_is_on_the_loopback(servers: Connections, settings: Settings) -> None:
    """Neither server can be reached from another machine, and no port is open that the status does not name."""
    for entry in services.status(settings):
        listening = {c.laddr for c in psutil.Process(entry.pid).net_connections() if c.status == psutil.CONN_LISTEN}
        assert {address.ip for address in listening} == {ports.LOOPBACK}
        assert {address.port for address in listening} == set(entry.ports.values())


def test_a_second_connect_shares_the_running_servers(servers: Connections, settings: Settings) -> None:
    """Whoever connects with the same home gets the same servers, and starts nothing."""
    before = [entry.pid for entry in services.status(settings)]
    said: list[str] = []
    assert services.connect(settings, progress=said.append) == servers
    assert services.connect(settings, start=False) == servers
    assert services.start(settings, said.append) == servers
    assert [entry.pid for entry in services.status(settings)] == before
    assert said == []


def test_what_is_secret_is_kept_from_others(servers: Connections, settings: Settings) -> None:
    """The password file has mode 0600 in a folder of mode 0700, and no password is on a command line."""
    places = Places.of(settings)
    assert stat.S_IMODE(places.passwords.stat().st_mode) == 0o600
    assert stat.S_IMODE(places.folder.stat().st_mode) == 0o700
    secrets = json.loads(places.passwords.read_text()).values()
    for entry in services.status(settings):
        assert stat.S_IMODE(Path(str(entry.data_dir)).stat().st_mode) == 0o700
        assert not any(secret in word for secret in secrets for word in psutil.Process(entry.pid).cmdline())


def test_status_shows_what_the_servers_cost(servers: Connections, settings: Settings, cli_environment: dict[str, str]) -> None:
    """The command prints process, memory, data and version of both, as text and as JSON, and no password."""
    text = run_program("services", "status", env=cli_environment, check=True).stdout
    output = run_program("services", "status", "--json", env=cli_environment, check=True).stdout
    for entry in json.loads(output)["services"]:
        assert (entry["running"], entry["answers"], entry["mode"]) == (True, True, "embedded")
        assert entry["rss_bytes"] > 10 * 2**20
        assert entry["data_bytes"] > 2**20
        assert entry["version"] in ("9.3.4", "18.4")
        assert f"process    {entry['pid']}" in text
    assert f"http://{servers.questdb_http}" in text
    assert str(Places.of(settings).passwords) in text
    for secret in json.loads(Places.of(settings).passwords.read_text()).values():
        assert secret not in text + output


def test_without_starting_a_missing_server_is_an_error_with_a_hint(make_settings: MakeSettings) -> None:
    """`start=False` says which command starts the servers; status and stop work all the same."""
    settings = make_settings()
    with pytest.raises(ServiceUnavailableError) as caught:
        services.connect(settings, start=False)
    assert "chronos services start" in caught.value.hint
    assert [entry.running for entry in services.status(settings)] == [False, False]
    assert services.stop(settings) == []
    assert not settings.home.exists()


def test_a_taken_port_is_said_and_another_one_kept(make_settings: MakeSettings) -> None:
    """Each server finds a free port where its own is taken, says so, and keeps it at the next start; the ILP listener opens on request."""
    with socket.socket() as first, socket.socket() as second:
        for holder in (first, second):
            holder.bind((ports.LOOPBACK, 0))
            holder.listen()
        web, sql = (int(holder.getsockname()[1]) for holder in (first, second))
        settings = make_settings(questdb_http_port=web, postgres_port=sql, questdb_ilp_tcp=True)
        said: list[str] = []
        services.start(settings, said.append, durable=False)
        assert any(f"port {web} is in use; QuestDB takes" in line for line in said)
        assert any(f"port {sql} is in use; Postgres takes" in line for line in said)
        before = [entry.ports for entry in services.status(settings)]
    assert ports.answers(before[0]["ilp"])
    services.stop(settings)
    preferences = load_settings(home=settings.home, cache=settings.cache, questdb_jar=settings.questdb_jar, questdb_conf=ELSEWHERE)
    services.start(preferences, durable=False)
    assert of("postgres", preferences).ports == before[1]


def test_what_is_done_meanwhile_is_done_while_the_server_boots(make_settings: MakeSettings) -> None:
    """It sees the process before the server is ready. If it fails, nothing of the start stays; with running servers it is not called."""
    settings = make_settings(questdb_conf=ELSEWHERE)
    seen: list[int | None] = []

    def fail() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        services.connect(settings, meanwhile=fail)
    assert not of("postgres", settings).running
    assert services.stop(settings) == []
    places = Places.of(settings)
    services.connect(settings, meanwhile=lambda: seen.append(state.load_records(places.state)["postgres"].pid))
    assert seen[0] == of("postgres", settings).pid
    services.connect(settings, meanwhile=fail)
    assert len(seen) == 1


def test_ports_lost_between_the_look_and_the_start_are_replaced(make_settings: MakeSettings) -> None:
    """A server that cannot bind because somebody was quicker is started again on other ports."""
    settings = make_settings(questdb_conf=ELSEWHERE)
    with socket.socket() as quicker:

        def take_the_port(line: str) -> None:
            if line.startswith("creating"):  # said after the ports were chosen, before Postgres starts
                quicker.bind((ports.LOOPBACK, settings.postgres_port))
                quicker.listen()

        connections = services.start(settings, take_the_port, durable=False)
    assert f":{settings.postgres_port}/" not in connections.postgres_dsn
    psycopg.connect(connections.postgres_dsn).close()


def test_a_lost_password_file_is_made_again(make_settings: MakeSettings) -> None:
    """The data outlive their password file, whether it is lost while Postgres runs or while it does not."""
    settings = make_settings(questdb_conf=ELSEWHERE)
    connections = services.start(settings, durable=False)
    with psycopg.connect(connections.postgres_dsn) as connection:
        connection.execute("CREATE TABLE kept (value int)")
    for stopped in (True, False):
        if stopped:
            services.stop(settings)
        Places.of(settings).passwords.unlink()
        connections = services.start(settings, durable=False)
        with psycopg.connect(connections.postgres_dsn) as connection:
            assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)


def test_a_lost_state_file_costs_a_restart_and_nothing_else(make_settings: MakeSettings) -> None:
    """Servers that are not written down any more are found by their data folder, and never run twice."""
    settings = make_settings(questdb_conf=ELSEWHERE)
    services.start(settings, durable=False)
    before = of("postgres", settings)
    Places.of(settings).state.unlink()
    assert of("postgres", settings).pid == before.pid
    connections = services.start(settings, durable=False)
    psycopg.connect(connections.postgres_dsn).close()
    assert [
        p.pid for p in psutil.process_iter() if processes.is_alive(p) and str(settings.home) in " ".join(processes.command_line(p))
    ] == [of("postgres", settings).pid]


def test_a_number_that_belongs_to_another_process_is_not_mistaken(make_settings: MakeSettings) -> None:
    """A recorded process id that was given to somebody else is neither taken for our server nor ended."""
    settings = make_settings(questdb_conf=ELSEWHERE)
    services.start(settings, durable=False)
    services.stop(settings)
    path = Places.of(settings).state
    document = json.loads(path.read_text())
    document["servers"]["postgres"] |= {"pid": os.getpid(), "ready": True, "process_started_at": 1.0}
    path.write_text(json.dumps(document))
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind((ports.LOOPBACK, document["servers"]["postgres"]["ports"]["sql"]))
        other.listen()
        assert not of("postgres", settings).running
        assert services.stop(settings) == []


def test_a_home_that_only_we_can_enter_works(closed_folder: Path, make_settings: MakeSettings) -> None:
    """As root, Postgres' user cannot get there: its data lie elsewhere, and the status says where. Else they lie in the home."""
    settings = make_settings(questdb_conf=ELSEWHERE, home=closed_folder / "home")
    psycopg.connect(services.start(settings, durable=False).postgres_dsn).close()
    base = shared_base(Places.of(settings)) if os.geteuid() == 0 else settings.home / "postgres"
    entry = of("postgres", settings)
    assert entry.data_dir == str(base / "data")
    assert (Path(entry.data_dir) / "PG_VERSION").is_file()


@pytest.mark.parametrize(("name", "elsewhere"), [("questdb", None), ("postgres", ELSEWHERE)])
def test_a_foreign_data_folder_is_refused_and_left_alone(make_settings: MakeSettings, name: str, elsewhere: str | None) -> None:
    """Somebody's folder in the place of ours is one clear message, and nothing is left running."""
    settings = make_settings(questdb_conf=elsewhere)
    folder = Places.of(settings).home / name
    folder.mkdir(parents=True)
    (folder / "precious").write_text("theirs")
    with pytest.raises(ServiceStartError) as caught:
        services.start(settings, durable=False)
    assert (caught.value.code, caught.value.where["folder"]) == ("foreign_data_directory", folder)
    assert [entry.running for entry in services.status(settings)] == [False, False]
    assert [entry.name for entry in folder.iterdir()] == ["precious"]


def test_a_database_of_somebody_else_is_refused_as_such(make_settings: MakeSettings) -> None:
    """A data folder that we did not make is named as foreign, whoever owns it, and is neither started nor stopped."""
    settings = make_settings(questdb_conf=ELSEWHERE)
    data = Places.of(settings).postgres / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("18")
    for call in (services.start, services.stop):
        with pytest.raises(ServiceStartError) as caught:
            call(settings)
        assert (caught.value.code, caught.value.where["folder"]) == ("foreign_data_directory", data.parent)
    shutil.rmtree(data)


@pytest.mark.parametrize(("overrides", "setting"), [({"home": "{file}"}, "CHRONOS_HOME"), ({"cache": "{file}/below"}, "CHRONOS_CACHE")])
def test_a_file_in_the_place_of_a_folder_is_named(
    make_settings: MakeSettings, tmp_path: Path, overrides: dict[str, str], setting: str
) -> None:
    """A home or a cache that is a file is said to be none, with the setting to change."""
    file = tmp_path / "file"
    file.touch()
    own = {name: Path(value.format(file=file)) for name, value in overrides.items()}
    settings = settings_for(questdb_jar=None, **{"home": tmp_path / "home", **own})
    with pytest.raises(ServiceStartError, match=rf"a file is in its place .*{file}.* set {setting}"):
        services.start(settings, durable=False)


def test_data_of_another_major_version_are_refused(make_settings: MakeSettings) -> None:
    """Postgres data that another major version wrote are named with both versions."""
    settings = make_settings(questdb_conf=ELSEWHERE)
    services.start(settings, durable=False)
    services.stop(settings)
    version = Path(str(of("postgres", settings).data_dir)) / "PG_VERSION"
    version.write_text("17\n")
    with pytest.raises(ServiceStartError, match="another major version") as caught:
        services.start(settings, durable=False)
    assert (caught.value.expected, caught.value.found) == ("18", "17")


def test_a_server_that_cannot_start_shows_the_end_of_its_log(make_settings: MakeSettings) -> None:
    """The error says what failed and quotes the server itself; nothing is left running."""
    settings = make_settings(questdb_conf=ELSEWHERE)
    services.start(settings, durable=False)
    services.stop(settings)
    with (Path(str(of("postgres", settings).data_dir)) / "postgresql.conf").open("a") as file:
        file.write("no_such_setting = 1\n")
    with pytest.raises(ServiceStartError, match="Postgres ended right after its start") as caught:
        services.start(settings, durable=False)
    assert "no_such_setting" in caught.value.hint
    assert not of("postgres", settings).running


def test_a_home_that_cannot_be_made_is_one_message(tmp_path: Path, make_settings: MakeSettings) -> None:
    """A file in the place of the home is said in one sentence."""
    (tmp_path / "file").touch()
    settings = make_settings(home=tmp_path / "file" / "home")
    with pytest.raises(ServiceStartError) as caught:
        services.start(settings)
    assert caught.value.code == "home_unusable"


def test_a_user_that_does_not_exist_is_named(make_settings: MakeSettings) -> None:
    """As root a wrong CHRONOS_POSTGRES_OS_USER is one message; whoever is not root needs no such user."""
    settings = make_settings(questdb_conf=ELSEWHERE, postgres_os_user="no-such-user")
    if os.geteuid() == 0:
        with pytest.raises(ServiceStartError, match="unprivileged user") as caught:
            services.start(settings, durable=False)
        assert "CHRONOS_POSTGRES_OS_USER" in caught.value.hint
    else:
        psycopg.connect(services.start(settings, durable=False).postgres_dsn).close()


def test_a_stopped_server_leaves_its_log(make_settings: MakeSettings) -> None:
    """A stopped set leaves no process, and its log can still be read."""
    settings = make_settings(questdb_conf=ELSEWHERE)
    services.start(settings, durable=False)
    assert services.stop(settings) == ["postgres"]
    assert "ready to accept connections" in Places.of(settings).log("postgres").read_text()


def test_the_command_says_what_is_wrong_in_one_sentence(make_settings: MakeSettings, tmp_path: Path) -> None:
    """`chronos services start` that cannot start exits with 4, an error on stderr, its JSON on stdout, and no traceback."""
    (tmp_path / "other.jar").write_bytes(b"something else")
    own = {"CHRONOS_HOME": str(make_settings().home), "CHRONOS_QUESTDB_JAR": str(tmp_path / "other.jar")}
    outcome = run_program("services", "start", "--json", env={**os.environ, **own})
    assert outcome.returncode == 4
    assert json.loads(outcome.stdout)["error"]["code"] == "questdb_jar_mismatch"
    assert "error: the file that CHRONOS_QUESTDB_JAR names is not the jar" in outcome.stderr
    assert "Traceback" not in outcome.stderr


def test_a_platform_without_programs_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where the package of the Postgres programs is not there, or not whole, one sentence says so."""
    monkeypatch.setattr(postgres_user, "PACKAGE", "no-such-package")
    with pytest.raises(ServiceStartError) as caught:
        postgres_user.installed_programs()
    assert caught.value.code == "platform_unsupported"
    assert "CHRONOS_POSTGRES_DSN" in caught.value.hint
    monkeypatch.undo()
    monkeypatch.setattr(postgres_user, "_INSTALL", "pginstall0")
    with pytest.raises(ServiceStartError) as caught:
        postgres_user.installed_programs()
    assert caught.value.code == "postgres_programs_missing"


def test_servers_of_other_homes_are_shown_and_stopped(
    make_settings: MakeSettings, servers: Connections, settings: Settings, cli_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The status names every home of this user whose servers run, with its project; `stop --all` stops each of them."""
    other = make_settings()
    services.start(other, durable=False)
    shown = json.loads(run_program("services", "status", "--json", env=cli_environment, check=True).stdout)
    found = {entry["home"]: entry for entry in shown["other_homes"]}
    assert set(found[str(other.home.resolve())]["servers"]) == {"questdb", "postgres"}
    assert str(settings.home.resolve()) not in found
    text = run_program("services", "status", env=cli_environment, check=True).stdout
    assert f"{other.home.resolve()}: questdb (process " in text
    assert {one.home for one in services.running_homes(other)} >= {settings.home.resolve(), other.home.resolve()}
    # Everything that runs on this machine is not this test's to stop.
    monkeypatch.setattr("chronos_assets.services.homes._candidates", lambda: iter([other.home.resolve()]))
    assert services.stop_all(settings) == {other.home.resolve(): ["questdb", "postgres"]}
    assert [entry.running for entry in services.status(other)] == [False, False]
