"""A text that is no slug, or that names no manifest where one is needed, is refused before any server is started for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from chronos_assets import services
from chronos_assets.cli.export import export
from chronos_assets.cli.main import chronos
from chronos_assets.cli.slug_argument import SLUG
from chronos_assets.cli.validate import validate
from chronos_assets.errors import ChronosError


def commands(group: click.Command, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command below `group` with the words that call it."""
    if not isinstance(group, click.Group):
        yield words, group
        return
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        assert command is not None
        yield from commands(command, (*words, name))


ALL = [*commands(chronos), (("chronosflow_export",), export), (("validate_dataset",), validate)]
OF_SLUGS = {
    words: command
    for words, command in ALL
    if any(isinstance(one, click.Argument) and one.name in {"slug", "slugs"} for one in command.params)
}
OPTIONS = {("sweep",): ["--grid", "model.eta=0.1"]}


@pytest.fixture(autouse=True)
def no_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where a server would be looked for or started."""

    def started(*_: object, **__: object) -> None:
        raise AssertionError("servers were asked for")

    monkeypatch.setattr(services, "connect", started)


@pytest.mark.parametrize("words", sorted(OF_SLUGS))
def test_what_is_no_slug_is_refused_before_servers_start(words: tuple[str, ...]) -> None:
    """Every command that takes a dataset says the rule."""
    result = CliRunner().invoke(OF_SLUGS[words], [*OPTIONS.get(words, []), "not a slug"])
    assert isinstance(result.exception, ChronosError)
    assert (result.exception.code, result.exception.exit_code) == ("slug_invalid", 3)


def test_every_command_takes_datasets_as_slugs() -> None:
    """So none can forget to check."""
    assert all(one.type is SLUG for command in OF_SLUGS.values() for one in command.params if one.name in {"slug", "slugs"})
    assert {("walkforward",), ("validate_dataset",), ("chronosflow_export",)} <= OF_SLUGS.keys()


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "other_1d_v1"],
        ["backfill", "other_1d_v1"],
        ["walkforward", "other_1d_v1", "--profile", "fast"],
        ["sweep", "other_1d_v1", "--profile", "fast", "--grid", "model.eta=0.1"],
        ["model", "train", "other_1d_v1", "--profile", "fast"],
        ["lfs", "other_1d_v1", "--profile", "fast"],
    ],
)
def test_a_manifest_that_is_missing_is_told_before_servers_start(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dataset that runs from its manifest, or a profile that only a manifest can hold."""
    monkeypatch.setenv("CHRONOS_EXPORTS_DIR", str(tmp_path))
    result = CliRunner().invoke(chronos, arguments)
    assert isinstance(result.exception, ChronosError)
    assert result.exception.code == "manifest_missing"
