"""`chronos predict`: the signals of the newest bars, the last of which is the one for tomorrow."""

from __future__ import annotations

import click

from chronos_assets.cli import completion
from chronos_assets.cli.common import emit, json_option, say
from chronos_assets.cli.models_text import predictions_text
from chronos_assets.cli.workplace import open_stores_of
from chronos_assets.errors import UsageError
from chronos_assets.storage.ids import full_id


@click.command()
@click.argument("slug", shell_complete=completion.slugs)
@click.option("--as", "name", help="The name that stands for the model; default: live.")
@click.option("--model", "model_id", shell_complete=completion.model_ids, help="Ask this model instead of the promoted one.")
@click.option("--allow-expired", is_flag=True, help="Ask the model also for bars behind its window.")
@json_option
def predict(slug: str, name: str | None, model_id: str | None, allow_expired: bool, as_json: bool) -> None:
    """Ask the model that is promoted as live for the signals of the newest bars of SLUG, and keep them in `live_signals`."""
    from chronos_assets.pipeline.models.predict import predict_live
    from chronos_assets.storage.models import LIVE
    from chronos_assets.views.models import predictions_document

    if name is not None and model_id is not None:
        raise UsageError("give a name (--as) or a model (--model), not both", code="predict_with_what")
    stores = open_stores_of()
    given = None if model_id is None else full_id(stores.postgres, "model", model_id)
    found = predict_live(slug, stores, name=name or LIVE, model_id=given, allow_expired=allow_expired)
    document = predictions_document(found, stores.postgres)
    for warning in document.warnings:
        say(f"warning {warning.code}: {warning.message}")
    emit(document, as_json, lambda one: predictions_text(one, found.model.backtest))
