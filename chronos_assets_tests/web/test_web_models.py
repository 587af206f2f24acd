"""Models and live signals over HTTP: the list, one with its backtest, the signals of a dataset, and both pages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime

import pytest

from chronos_assets.domain.profiles.simulation import SimulationProfile
from chronos_assets.pipeline.models.aliases import promote
from chronos_assets.pipeline.models.train import train_live_model
from chronos_assets.pipeline.simulation.run import simulate_run
from chronos_assets.services import Connections
from chronos_assets.settings import Settings
from chronos_assets.storage.live_signals import read_signals
from chronos_assets.storage.models import ModelRecord
from chronos_assets.storage.reading import open_reading
from chronos_assets.storage.stores import Stores, open_stores
from chronos_assets.web.pages.formats import minute, percent
from chronos_assets_tests.support.trained_market import WALK, train
from chronos_assets_tests.support.web_process import Web, running

SLUG = "webmodels_1d_v1"
PROFILE = SimulationProfile.model_validate({"modes": ["dual"], "statistics": {"bootstraps": 40, "permutations": 40}})


@pytest.fixture(scope="module")
def model(servers: Connections, settings: Settings) -> ModelRecord:
    """A promoted model: 400 bars hold folds up to row 390, and the window of the live one begins at row 395."""
    stores = open_stores(servers, settings)
    simulate_run(train(stores, SLUG), PROFILE, stores)
    model = train_live_model(SLUG, WALK, stores, horizon=1, horizon_assumed=False).model
    promote(stores, model.model_id, reason="the <first> one")
    return model


@pytest.fixture(scope="module")
def web(servers: Connections, settings: Settings, model: ModelRecord) -> Iterator[Web]:
    """The application on the servers of this run."""
    with running(settings, lambda: open_reading(servers, settings)) as web:
        yield web


def test_a_model_is_read_with_its_backtest_and_history(web: Web, model: ModelRecord) -> None:
    """The list has it with its name; alone it has description, backtest and history; an unknown one is told."""
    (row,) = web.get("/api/models", dataset=SLUG)
    assert (row["model_id"], row["aliases"], row["target"]) == (model.model_id, ["live"], "TGT_NEXT")
    found = web.get(f"/api/models/{model.model_id}")
    assert found["description"] == model.description
    assert found["simulation_ids"] == [one["simulation_id"] for one in found["backtest"]["simulations"]]
    assert [(one["action"], one["reason"]) for one in found["history"]] == [("promote", "the <first> one")]
    assert web.get("/api/models", dataset="nowhere_1d_v1") == []
    assert web.ask("/api/models/none").json()["code"] == "model_unknown"


def test_signals_are_those_that_were_stored(web: Web, model: ModelRecord, stores: Stores) -> None:
    """Bits and thresholds as in QuestDB, in order of bars; from a bar on, the newest so many, of one model."""
    stored = read_signals(stores, dataset=SLUG)
    found = web.get("/api/signals", dataset=SLUG)
    assert [one["bar_index"] for one in found] == [395, 396, 397, 398, 399]
    assert [one["prediction"] for one in found] == stored["prediction"].to_list()
    assert {one["long_threshold"] for one in found} == {model.thresholds["long"]}
    later = {"dataset": SLUG, "from": found[3]["timestamp"]}
    assert web.get("/api/signals", **later) == found[3:]
    assert web.get("/api/signals", **(later | {"from": later["from"].removesuffix("Z")})) == found[3:]
    assert web.get("/api/signals", dataset=SLUG, model=model.model_id, limit=2) == found[-2:]
    assert web.get("/api/signals", dataset="nowhere_1d_v1") == []
    assert web.ask("/api/signals?from=yesterday").status_code == 422
    assert web.ask("/api/signals?limit=0").status_code == 422
    assert web.get("/api/signals", dataset=SLUG, **{"from": "0001-01-01T00:00:00+14:00"}) == found
    assert web.get("/api/signals", dataset=SLUG, model="no model") == []


def test_the_pages_show_what_the_documents_say(web: Web, model: ModelRecord) -> None:
    """The list leads to the model, the model to its run, its simulation and its signals; what people wrote is escaped."""
    listed = web.ask(f"/models?dataset={SLUG}").text
    assert f'href="/models/{model.model_id}"' in listed
    assert "No model of" in web.ask("/models?dataset=nowhere_1d_v1").text
    text = web.ask(f"/models/{model.model_id}").text
    assert f'href="/runs/{model.run_id}"' in text
    assert f'href="/simulations/{model.simulation_ids[0]}"' in text
    assert model.sha256 in text
    assert "SIGNAL, NOISE" in text
    assert "the &lt;first&gt; one" in text
    (simulated,) = web.get(f"/api/models/{model.model_id}")["backtest"]["simulations"]
    own, hold = (one["total_return_pct"] for one in (simulated["summary"], simulated["summary"]["buy_and_hold"]))
    shown = re.search(r'<td><span class="(\w*)">([^<]+)</span></td><td>([^<]+)</td>', text)
    assert shown is not None
    assert shown.groups() == (
        "loss" if own < 0 else "gain" if own >= hold else "",
        f"{'+' if own > 0 else ''}{percent(own)}",
        percent(hold),
    )
    newest = web.get("/api/signals", dataset=SLUG)[-1]
    assert f"<b>{newest['signal']}</b>" in text
    assert f'<td class="text">{newest["signal"]}</td><td class="text">{minute(datetime.fromisoformat(newest["timestamp"]))}</td>' in listed
    assert web.ask("/models/none").status_code == 404


def test_a_model_that_stands_for_its_dataset_and_is_over_says_so(web: Web, model: ModelRecord, stores: Stores) -> None:
    """The list and the page mark a model behind whose window newer bars lie, as `chronos predict` does; before that they do not."""
    for path in (f"/models?dataset={SLUG}", f"/models/{model.model_id}"):
        assert not re.search(r">over<|that is over", web.ask(path).text)
    row = "UPDATE indicator_datasets SET row_count = row_count + %s WHERE dataset_id = %s"
    with stores.postgres.connection() as connection:
        connection.execute(row, (500, SLUG))
    try:
        assert ">over</span>" in web.ask(f"/models?dataset={SLUG}").text
        text = web.ask(f"/models/{model.model_id}").text
        assert "that is over" in text
        assert "and yet its window ended" in text
    finally:
        with stores.postgres.connection() as connection:
            connection.execute(row, (-500, SLUG))
