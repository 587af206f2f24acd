"""`chronos services start|stop|status`: the embedded servers, by hand."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from chronos_assets import services as servers
from chronos_assets.cli.common import emit, json_option, say
from chronos_assets.domain.byte_size import byte_size
from chronos_assets.services import RunningHome, ServiceStatus
from chronos_assets.settings import Settings, load_settings

_PARTS = {"QuestDB tables": "questdb", "Postgres": "postgres", "files": "files"}


@click.group()
def services() -> None:
    """Start, stop or show the embedded servers."""


@services.command()
@json_option
def start(as_json: bool) -> None:
    """Start the embedded servers (those that run already are shared) and bring the tables to this program's version."""
    from chronos_assets.storage.stores import open_stores

    settings = load_settings()
    open_stores(servers.start(settings, say), settings, say)
    _show(_documents(servers.status(settings)), as_json)


@services.command()
@click.option("--all", "everything", is_flag=True, help="Stop those of every home of this user, not only of this project.")
@json_option
def stop(everything: bool, as_json: bool) -> None:
    """Stop the embedded servers; what they hold is kept."""
    from chronos_assets.views.documents import Stopped

    settings = load_settings()
    if everything:
        found = {str(home): names for home, names in servers.stop_all(settings, say).items()}
        emit(Stopped(stopped=found), as_json, lambda _: _stopped_text(found))
        return
    stopped = servers.stop(settings, say)
    emit(Stopped(stopped=stopped), as_json, lambda _: f"stopped: {', '.join(stopped) or 'nothing ran'}")


def _stopped_text(stopped: dict[str, list[str]]) -> str:
    return "\n".join(f"stopped: {', '.join(names)}  ({home})" for home, names in stopped.items()) or "stopped: nothing ran"


@services.command()
@json_option
def status(as_json: bool) -> None:
    """Show both stores (address, process, memory, data on disk), and other homes of this user whose servers run."""
    settings = load_settings()
    others = [one for one in servers.running_homes(settings) if one.home != settings.home.resolve()]
    found = servers.status(settings)
    document = {**_documents(found), "other_homes": [_home_document(one) for one in others]}
    _show({**document, "space": _space(settings, found)}, as_json)


def _space(settings: Settings, found: list[ServiceStatus]) -> dict[str, Any] | None:
    """Rows, bytes and growth; None if a store does not answer, or nothing was stored yet."""
    from chronos_assets.errors import ChronosError
    from chronos_assets.storage.reading import open_reading
    from chronos_assets.views.space import read_space

    if not all(entry.answers for entry in found):
        return None
    try:
        return read_space(open_reading(servers.connect(settings, start=False), settings)).model_dump()
    except ChronosError:
        return None


def _show(document: dict[str, Any], as_json: bool) -> None:
    from chronos_assets.views.documents import ServiceList

    emit(ServiceList(**document), as_json, lambda _: _as_text(document))


def _home_document(one: RunningHome) -> dict[str, Any]:
    return {"home": str(one.home), "project": str(one.project) if one.project else None, "servers": one.servers}


def _documents(found: list[ServiceStatus]) -> dict[str, Any]:
    return {"services": [asdict(entry) for entry in found]}


def _as_text(document: dict[str, Any]) -> str:
    lines = [_entry_text(entry) for entry in document["services"]]
    if space := document.get("space"):
        lines += _space_lines(space)
    if others := document.get("other_homes"):
        lines.append("Servers of other homes (`chronos services stop --all` stops all of them):")
        lines += [_home_text(one) for one in others]
    return "\n".join(lines)


def _space_lines(space: dict[str, Any]) -> list[str]:
    parts = ", ".join(f"{name} {byte_size(space[f'{key}_bytes'])}" for name, key in _PARTS.items())
    lines = [f"Space: {byte_size(space['total_bytes'])} ({parts})"]
    lines += [
        f"  {one['table']:<24} {one['rows']:>14,} rows, {one['dead_rows']:>12,} of them dead, {byte_size(one['bytes']):>10}"
        for one in space["tables"]
    ]
    if space["bytes_per_night"] is not None:
        a_year = byte_size(round(space["bytes_in_a_year"]))
        growth = byte_size(round(abs(space["bytes_per_night"])))
        sign = "-" if space["bytes_per_night"] < 0 else "+"
        lines.append(f"  {sign}{growth} a night over {space['nights']} nights: {a_year} in a year")
    return lines


def _home_text(one: dict[str, Any]) -> str:
    running = ", ".join(f"{name} (process {pid})" for name, pid in one["servers"].items())
    gone = ", which is gone" if one["project"] and not Path(one["project"]).is_dir() else ""
    return f"  {one['home']}: {running}" + (f"; project {one['project']}{gone}" if one["project"] else "")


def _entry_text(entry: dict[str, Any]) -> str:
    title = {"questdb": "QuestDB", "postgres": "Postgres"}[entry["name"]]
    if entry["mode"] == "remote":
        return f"{title}: remote, {'answers' if entry['answers'] else 'DOES NOT ANSWER'}\n  address    {entry['address']}"
    state = "stopped" if not entry["running"] else "running" if entry["answers"] else "running, DOES NOT ANSWER"
    lines = [f"{title}{' ' + entry['version'] if entry['version'] else ''}: {state}"]
    if entry["running"]:
        ports = ", ".join(f"{kind} {port}" for kind, port in entry["ports"].items())
        user = f", as user {entry['os_user']}" if entry["os_user"] else ""
        lines += [
            f"  address    {entry['address']}" + (" (console, user chronos)" if entry["name"] == "questdb" else ""),
            f"  ports      {ports}",
            f"  process    {entry['pid']}{user}, up {_duration(entry['uptime_seconds'])}",
            f"  memory     {byte_size(entry['rss_bytes'])} main process, {byte_size(entry['memory_bytes'])} in all",
        ]
    uses = [
        f"{entry[key]:,} of {entry[f'{key}_limit']:,} {key.replace('_', ' ')}"
        for key in ("open_files", "memory_maps")
        if entry[key] is not None
    ]
    lines += [f"  open       {', '.join(uses)}"] if uses else []
    lines += [
        f"  data       {entry['data_dir']} ({byte_size(entry['data_bytes'])})",
        f"  log        {entry['log']}",
        f"  passwords  {entry['password_file']}",
    ]
    return "\n".join(lines)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
