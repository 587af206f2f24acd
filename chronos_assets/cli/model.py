"""`chronos model`: the model of tomorrow's bar, from its training to the bundle that another program takes along."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from chronos_assets.cli import completion
from chronos_assets.cli.common import emit, json_option, say
from chronos_assets.cli.models_text import list_text, model_text, named_text, outcome_text, verified_text
from chronos_assets.cli.slug_argument import slug_argument
from chronos_assets.cli.walkforward import profile_options
from chronos_assets.cli.workplace import open_for_reading, open_stores_of
from chronos_assets.settings import load_settings
from chronos_assets.storage.ids import full_id

if TYPE_CHECKING:
    from chronos_assets.pipeline.models.aliases import Renamed
    from chronos_assets.storage.stores import Stores

name_option = click.option("--as", "name", default="live", show_default=True, help="The name that stands for the model.")
reason_option = click.option("--reason", help="Why, for the history.")


@click.group()
def model() -> None:
    """Train, list, promote, export and check models of the live fold: the fold that predicts the newest bars."""


@model.command()
@slug_argument()
@profile_options
@json_option
def train(slug: str, as_json: bool, **options: Any) -> None:
    """Train the live fold of SLUG: the next fold of the walk-forward run that the same options name, which has to be complete.

    The same request is the same model.
    """
    from chronos_assets.cli.progress import Reporter
    from chronos_assets.cli.walkforward import read_profile, unchanged
    from chronos_assets.pipeline.models.train import train_live_model
    from chronos_assets.pipeline.walkforward.run import resolve_target
    from chronos_assets.storage.datasets import get_dataset
    from chronos_assets.views.documents import ModelOutcome
    from chronos_assets.views.models import named_document

    settings = load_settings()
    profile, horizon_of = read_profile(settings, slug, options)  # refused before anything is started
    stores = open_stores_of(settings)
    horizon, assumed = horizon_of(resolve_target(get_dataset(stores.postgres, slug), profile))
    with Reporter(slug) as progress:
        result = train_live_model(
            slug,
            profile,
            stores,
            horizon=horizon,
            horizon_assumed=assumed,
            profile_name=options["profile_name"] if unchanged(options) else None,
            requested_by="chronos model train",
            progress=progress,
        )
    for warning in result.warnings:
        say(f"warning {warning['code']}: {warning['message']}")
    document = ModelOutcome(
        model=named_document(stores.postgres, result.model),
        reused=result.reused,
        bars=result.bars,
        seconds=result.seconds,
        warnings=result.warnings,
    )
    emit(document, as_json, outcome_text)


@model.command("list")
@slug_argument(required=False)
@json_option
def list_command(slug: str | None, as_json: bool) -> None:
    """List models (of dataset SLUG), newest first, and the names that stand for them."""
    from chronos_assets.views.models import list_models

    emit(list_models(open_for_reading().postgres, slug), as_json, list_text)


@model.command()
@click.argument("model_id", shell_complete=completion.model_ids)
@json_option
def show(model_id: str, as_json: bool) -> None:
    """Show a model: its training rows, thresholds, provenance, backtest, and the names that stood for it."""
    from chronos_assets.views.models import read_model

    postgres = open_for_reading().postgres
    emit(read_model(postgres, full_id(postgres, "model", model_id)), as_json, model_text)


@model.command()
@click.argument("model_id", shell_complete=completion.model_ids)
@name_option
@reason_option
@json_option
def promote(model_id: str, name: str, reason: str | None, as_json: bool) -> None:
    """Let a name (live) stand for MODEL_ID from now on. It keeps the model, and the run that it rests on, from the retention policy."""
    from chronos_assets.pipeline.models.aliases import promote as promote_model

    stores = open_stores_of()
    found = promote_model(stores, full_id(stores.postgres, "model", model_id), name, reason=reason, changed_by="chronos model promote")
    _emit_named(stores, found, name, as_json)


@model.command()
@slug_argument()
@name_option
@reason_option
@json_option
def rollback(slug: str, name: str, reason: str | None, as_json: bool) -> None:
    """Let a name (live) of SLUG stand for the model that it stood for before."""
    from chronos_assets.pipeline.models.aliases import rollback as roll_back

    stores = open_stores_of()
    _emit_named(stores, roll_back(stores, slug, name, reason=reason, changed_by="chronos model rollback"), name, as_json)


@model.command()
@click.argument("model_id", shell_complete=completion.model_ids)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Folder or FILE.zip to write; default: SLUG-ID in this folder.")
@json_option
def export(model_id: str, output: Path | None, as_json: bool) -> None:
    """Write MODEL_ID as a bundle, which runs without servers and without this program: its reader needs NumPy and XGBoost only."""
    from chronos_assets.pipeline.models.bundle import export_model
    from chronos_assets.views.documents import WrittenBundle
    from chronos_assets.views.models import named_document

    stores = open_for_reading()
    written = export_model(stores, full_id(stores.postgres, "model", model_id), output)
    document = WrittenBundle(model=named_document(stores.postgres, written.model), path=str(written.path), files=written.files)
    emit(document, as_json, lambda one: f"{one.path}: {len(one.files)} files of model {one.model.model_id}, opened and checked")


@model.command()
@click.argument("bundle", type=click.Path(path_type=Path, exists=True))
@json_option
def verify(bundle: Path, as_json: bool) -> None:
    """Check a BUNDLE (folder or zip file): every file by its SHA-256, and the sample predicted again, bit for bit. No server needed."""
    from chronos_assets.pipeline.models.bundle import verify_bundle
    from chronos_assets.views.documents import VerifiedBundle

    found = verify_bundle(bundle)
    names = ("model_id", "dataset", "valid_from", "valid_until")
    document = VerifiedBundle(path=str(bundle), sample_rows=found.sample_rows, **{name: found.about[name] for name in names})
    emit(document, as_json, lambda _: verified_text(document, found.backtest))


def _emit_named(stores: Stores, found: Renamed, name: str, as_json: bool) -> None:
    from chronos_assets.views.documents import ModelNamed
    from chronos_assets.views.models import named_document

    document = ModelNamed(
        name=name, model=named_document(stores.postgres, found.model), before=found.before, changed=found.change is not None
    )
    emit(document, as_json, named_text)
