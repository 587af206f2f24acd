"""The API against its own description: requests that schemathesis makes of `openapi.json`, with real ids, on real servers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from chronos_assets.domain.profiles.simulation import SimulationProfile
from chronos_assets.pipeline.simulation.run import simulate_run
from chronos_assets.services import Connections
from chronos_assets.settings import Settings
from chronos_assets.storage.reading import open_reading
from chronos_assets.storage.stores import open_stores
from chronos_assets_tests.support.trained_market import train
from chronos_assets_tests.support.web_process import Web, running

SLUG = "described_1d_v1"
EXAMPLES = 6  # of each operation; a longer campaign: `st run URL/api/openapi.json`
seeds = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
PROFILE = SimulationProfile.model_validate({"modes": ["dual"], "statistics": {"bootstraps": 40, "permutations": 40}})


@pytest.fixture(scope="module", name="configured")
def _configured(request: pytest.FixtureRequest) -> Settings:
    """The settings of this run, under a name that hypothesis does not use."""
    found: Settings = request.getfixturevalue("settings")
    return found


@pytest.fixture(scope="module")
def described(servers: Connections, configured: Settings) -> Iterator[tuple[Web, dict[str, str]]]:
    """The application, and ids of what its stores hold."""
    stores = open_stores(servers, configured)
    run_id = train(stores, SLUG)
    simulation_id = simulate_run(run_id, PROFILE, stores)[0].simulation_id
    other_id = "00000000-0000-0000-0000-0000000000bb"
    with stores.postgres.connection() as connection:
        connection.execute(
            "INSERT INTO walkforward_runs (run_id, dataset_id, target_column, feature_columns, hyperparameters, walk_config, status)"
            " VALUES (%s, %s, 't', '[]', '{}', '{}', 'completed')",
            (other_id, SLUG),
        )
    with running(configured, lambda: open_reading(servers, configured)) as web:
        yield web, {"dataset": SLUG, "run_id": run_id, "simulation_id": simulation_id, "other_id": other_id}


def test_every_answer_is_what_the_description_says(described: tuple[Web, dict[str, str]]) -> None:
    """No 5xx, no status, media type or field that is not described, no valid request refused and no invalid one taken."""
    import schemathesis  # seconds, which runs without this test do not pay

    web, ids = described
    schema = schemathesis.openapi.from_url(f"{web.url}/api/openapi.json", wait_for_schema=30)
    operations: list[Any] = [found.ok() for found in schema.get_all_operations()]
    # The stream of events never ends; test_web_api listens to it.
    asked = [ask(operation, ids) for operation in operations if operation.path != "/api/events"]
    assert len(asked) >= 20
    assert min(asked) >= 1


def ask(operation: Any, ids: dict[str, str]) -> int:
    """Send requests to one operation, and give how many."""
    cases: list[Any] = []

    @seeds
    @given(case=operation.as_strategy())
    def send(case: Any) -> None:
        cases.append(case)
        case.path_parameters |= {name: value for name, value in ids.items() if name in case.path_parameters}
        # Whether these can be used depends on what is stored, which no description says.
        for name in ("cursor", "columns"):
            case.query.pop(name, None)
        if "runs" in case.query:
            case.query["runs"] = f"{ids['run_id']},{ids['other_id']}"
        case.call_and_validate(timeout=120)  # the first trace loads xgboost

    send()
    return len(cases)
