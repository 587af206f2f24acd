"""`chronos`: the group of commands. Each command's module is imported only when the command runs, so `--help` stays fast."""

from __future__ import annotations

import gc
import importlib

import click
from click.shell_completion import CompletionItem

from chronos_assets.cli.common import run_command

# Loading Dagster makes objects by the million that all stay: looking for garbage among them as often as usual is a sixth of that time.
OBJECTS_PER_COLLECTION = 50_000
# name -> (module, attribute, one line for the listing)
COMMANDS: dict[str, tuple[str, str, str]] = {
    "init": ("chronos_assets.cli.init", "init", "Make a folder a project: workspace.yaml, dagster.yaml and exports/."),
    "demo": ("chronos_assets.cli.run", "demo", "Build a real dataset and take it all the way, from file to trades."),
    "run": ("chronos_assets.cli.run", "run", "Take one manifest through the whole lineage, through Dagster."),
    "backfill": ("chronos_assets.cli.run", "backfill", "Run datasets whose manifest or file changed, through Dagster."),
    "night": ("chronos_assets.cli.night", "night", "Show what the last night came to, dataset by dataset."),
    "dev": ("chronos_assets.cli.dev", "dev", "Start the servers, the HTTP API, the Dagster UI and its daemon."),
    "serve": ("chronos_assets.cli.serve", "serve", "Serve the dashboard and the HTTP API."),
    "services": ("chronos_assets.cli.services", "services", "Start, stop or show the embedded servers."),
    "doctor": ("chronos_assets.cli.doctor", "doctor", "Examine stores, artifacts, executor and Dagster from here."),
    "backup": ("chronos_assets.cli.backup", "backup", "Write both stores, artifacts and manifests into one folder."),
    "restore": ("chronos_assets.cli.backup", "restore", "Put a backup into an empty home."),
    "config": ("chronos_assets.cli.config", "config", "Show every setting, its value and where it came from."),
    "inspect": ("chronos_assets.cli.inspect", "inspect", "Say what an indicator file holds, or why it is refused."),
    "indicators": (
        "chronos_assets.cli.indicators",
        "indicators",
        "Compute indicators and targets from a file of prices, with its manifest.",
    ),
    "manifest": ("chronos_assets.cli.manifest", "manifest", "Write a manifest for a file, or refresh its checksum."),
    "datasets": ("chronos_assets.cli.datasets", "datasets", "List, show or retire published datasets."),
    "folds": ("chronos_assets.cli.walkforward", "folds", "Show the plan of walk-forward folds."),
    "walkforward": ("chronos_assets.cli.walkforward", "walkforward", "Train the missing folds of a walk-forward run."),
    "sweep": ("chronos_assets.cli.sweep", "sweep", "Run a grid of walk-forward parameters and rank the results."),
    "lfs": ("chronos_assets.cli.lfs", "lfs", "Select features locally: which indicators separate the target near each bar."),
    "selections": ("chronos_assets.cli.selections", "selections", "List, show or cancel local feature selections."),
    "runs": ("chronos_assets.cli.runs", "runs", "List, pin or retire walk-forward runs."),
    "model": ("chronos_assets.cli.model", "model", "Train, promote, export and check the model of tomorrow's bar."),
    "predict": ("chronos_assets.cli.predict", "predict", "Ask a model for the signals of the newest bars."),
    "prune": ("chronos_assets.cli.prune", "prune", "Retire what the retention policy does not keep."),
    "simulate": ("chronos_assets.cli.simulate", "simulate", "Turn the predictions of a run into trades."),
    "trace": ("chronos_assets.cli.simulate", "trace", "Follow a trade back to its fold, model, bars and file."),
    "report": ("chronos_assets.cli.simulate", "report", "Write the tear sheet of a simulation as one HTML file."),
}


class LazyGroup(click.Group):
    """A group that knows its commands' names and imports a command's module when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[name]
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Names of commands, without importing their modules."""
        own = [CompletionItem(name, help=line) for name, (_, _, line) in COMMANDS.items() if name.startswith(incomplete)]
        return own or super().shell_complete(ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, _, line) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="chronos-assets")
def chronos() -> None:
    """From an indicator file to simulated trades, every step checked before the next one trusts it."""


def main() -> None:
    """Entry point of `chronos`."""
    gc.set_threshold(OBJECTS_PER_COLLECTION, *gc.get_threshold()[1:])
    run_command(chronos)
