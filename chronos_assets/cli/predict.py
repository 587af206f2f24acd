"""`chronos predict`: the signals of the newest bars, the last of which is the one for tomorrow."""

from __future__ import annotations

from pathlib import Path

import click

from chronos_assets.cli import completion
from chronos_assets.cli.common import emit, json_option, say
from chronos_assets.cli.models_text import file_text, predictions_text
from chronos_assets.cli.slug_argument import slug_argument
from chronos_assets.cli.workplace import open_stores_of
from chronos_assets.errors import UsageError
from chronos_assets.storage.ids import full_id


@click.command()
@slug_argument(required=False)
@click.option("--as", "name", help="The name that stands for the model; default: live.")
@click.option("--model", "model_id", shell_complete=completion.model_ids, help="Ask this model instead of the promoted one.")
@click.option("--bundle", type=click.Path(path_type=Path, exists=True), help="Ask a bundle (folder or zip file); no server needed.")
@click.option("--input", "source", type=click.Path(path_type=Path, exists=True), help="The indicator file with the bars for --bundle.")
@click.option("--allow-expired", is_flag=True, help="Ask the model also for bars behind its window.")
@json_option
def predict(
    *,
    slug: str | None,
    name: str | None,
    model_id: str | None,
    bundle: Path | None,
    source: Path | None,
    allow_expired: bool,
    as_json: bool,
) -> None:
    """Ask the model that is promoted as live for the signals of the newest bars of SLUG, and keep them in `live_signals`.

    Or ask a bundle (--bundle) for those of an indicator file (--input).
    """
    if (bundle is None) != (source is None):
        raise UsageError("a bundle is asked about the bars of a file: give --bundle and --input", code="predict_of_what")
    if (slug is None) == (bundle is None):
        raise UsageError("name a dataset, or give --bundle and --input", code="predict_of_what")
    if sum(given is not None for given in (name, model_id, bundle)) > 1:
        raise UsageError("give one of --as, --model and --bundle", code="predict_with_what")
    if bundle is not None and source is not None:
        _of_file(bundle, source, allow_expired, as_json)
    elif slug is not None:
        _of_dataset(slug, name, model_id, allow_expired, as_json)


def _of_dataset(slug: str, name: str | None, model_id: str | None, allow_expired: bool, as_json: bool) -> None:
    from chronos_assets.pipeline.models.predict import predict_live
    from chronos_assets.storage.models import LIVE
    from chronos_assets.views.models import predictions_document

    stores = open_stores_of()
    given = None if model_id is None else full_id(stores.postgres, "model", model_id)
    found = predict_live(slug, stores, name=name or LIVE, model_id=given, allow_expired=allow_expired)
    document = predictions_document(found, stores.postgres)
    for warning in document.warnings:
        say(f"warning {warning.code}: {warning.message}")
    emit(document, as_json, lambda one: predictions_text(one, found.model.backtest))


def _of_file(bundle: Path, source: Path, allow_expired: bool, as_json: bool) -> None:
    from chronos_assets.pipeline.models.bundle import predict_file
    from chronos_assets.views.documents import BundlePredictions, BundleSignal

    opened, signals = predict_file(bundle, source, allow_expired=allow_expired)
    names = ("model_id", "dataset", "valid_from", "valid_until", "thresholds")
    found = [BundleSignal(**one._asdict()) for one in signals]
    emit(BundlePredictions(**{name: opened.about[name] for name in names}, signals=found), as_json, file_text)
