"""What Dagster loads: the lineage as it is promised, without a warning, and nothing of Dagster where it is not asked for."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from dagster import (
    AssetKey,
    DagsterInstance,
    DagsterInvalidConfigError,
    DagsterRunStatus,
    Definitions,
    validate_run_config,
)
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from dagster._core.definitions.freshness import TimeWindowFreshnessPolicy
from dagster._core.snap.snap_to_yaml import default_values_yaml_from_type_snap

from chronos_assets.domain.profiles.variants import change_profile
from chronos_assets.domain.profiles.walkforward import WalkforwardProfile
from chronos_assets.orchestration.assets.bars import ExportConfig
from chronos_assets.orchestration.build import JOB, build_defs
from chronos_assets.orchestration.dagster_internals import DagsterUserCodeUnreachableError, DefaultRunLauncher, LaunchRunContext
from chronos_assets.orchestration.execute import CODE_LOCATION
from chronos_assets.orchestration.instance import WatchedRunLauncher
from chronos_assets.orchestration.jobs.sweep import GRID
from chronos_assets.orchestration.preview import accepted
from chronos_assets.orchestration.resources import Workplace
from chronos_assets.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
LINEAGE = [
    "indicator_csv",
    "normalized_bars",
    "indicator_bars",
    "indicator_datasets",
    "walkforward_predictions",
    "trading_simulations",
    "live_models",
]


def definitions() -> Definitions:
    with accepted():
        return build_defs()


def test_definitions_validate_without_services(tmp_path: Path) -> None:
    """`dagster definitions validate` passes in the checkout, also where no server runs."""
    environment = {**os.environ, "CHRONOS_HOME": str(tmp_path), "CHRONOS_EXPORTS_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "dagster", "definitions", "validate", "--workspace", str(ROOT / "workspace.yaml")]
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert result.returncode == 0, result.stderr
    assert "Validation successful" in result.stderr + result.stdout


def test_the_lineage_is_a_chain_of_the_promised_assets() -> None:
    """Each asset of the lineage has its name, a description, a group, kinds, a dataset partition, and depends on the one before."""
    with accepted():
        graph = definitions().resolve_asset_graph()
    for before, name in itertools.pairwise(LINEAGE):
        node = graph.get(AssetKey(name))
        assert AssetKey(before) in node.parent_keys
        assert node.description
        assert node.group_name != "default"
        assert node.kinds
        assert node.owners
        assert node.partitions_def is not None
        assert node.code_version


def test_every_check_has_a_description_and_the_gates_block() -> None:
    """Checks say what they look for, and those that a published number depends on stop what is below."""
    with accepted():
        graph = definitions().resolve_asset_graph()
        specs = {key.name: graph.get_check_spec(key) for key in graph.asset_check_keys}
    assert all(spec.description for spec in specs.values())
    assert {name for name, spec in specs.items() if not spec.blocking} == {
        "columns_are_useful",
        "values_are_possible",
        "bars_are_causal",
        "no_unexpected_gaps",
        "well_founded",
        "enough_signals",
        "enough_cases",
        "sees_no_test_rows",
        "enough_trades",
        "live_parity",
        "live_drift",
    }


def test_one_job_takes_the_whole_way() -> None:
    """The job covers every asset and check of the lineage, and a killed run of it is repeated from the start."""
    with accepted():
        job = definitions().resolve_job_def(JOB)
    assert {node.name for node in job.nodes} >= {*LINEAGE, "indicator_bars_post_export_diff", "walkforward_checks", "simulation_checks"}
    assert job.run_tags["dagster/retry_strategy"] == "ALL_STEPS"


def test_given_resources_replace_ours() -> None:
    """`build_defs(resource_overrides=...)` puts a workplace of the caller's in the place of the one from the environment."""
    mine = Workplace()
    with accepted():
        assert build_defs({"workplace": mine}).resources == {"workplace": mine}


def test_the_code_location_has_the_name_that_runs_refer_to() -> None:
    """Runs that the command line makes belong to the code location of workspace.yaml, so that the UI finds their job."""
    assert f"location_name: {CODE_LOCATION}\n" in (ROOT / "workspace.yaml").read_text()


def test_the_command_line_starts_without_dagster() -> None:
    """`chronos --help` imports neither Dagster nor anything heavy."""
    code = "import sys, chronos_assets.cli.main as m; print([x for x in ('dagster', 'polars', 'pandas', 'xgboost') if x in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_dagster_in_the_checkout_says_what_to_do_where_no_services_run(tmp_path: Path) -> None:
    """A plain `dagster` command that needs the records says `chronos services start`, in one line and without a traceback."""
    environment = {**os.environ, "CHRONOS_HOME": str(tmp_path), "DAGSTER_HOME": str(ROOT)}
    command = [sys.executable, "-m", "dagster", "run", "list"]
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert result.returncode == 4
    assert "chronos services start" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("config", "known"),
    [
        ({"ops": {"indicator_bars": {"config": {"replac": True}}}}, "replace"),
        ({"ops": {"walkforward_prediction": {}}}, "walkforward_predictions"),
        ({"execution": {"config": {"multiproces": {}}}}, "multiprocess"),
    ],
)
def test_a_typo_in_the_launchpad_is_refused_with_the_known_keys(config: dict[str, Any], known: str) -> None:
    """Dagster refuses an unknown key of a run's configuration before anything runs, and lists the keys that it knows."""
    with accepted():
        job = build_defs().resolve_job_def(JOB)
    with pytest.raises(DagsterInvalidConfigError) as refused:
        validate_run_config(job, config)
    assert known in str(refused.value)


def test_a_number_of_rows_outside_its_range_is_refused() -> None:
    """`batch_rows` takes 0 to 100,000, and the refusal names the key."""
    with pytest.raises(ValueError, match="batch_rows"):
        ExportConfig(batch_rows=-4)


def test_one_module_imports_what_dagster_keeps_private() -> None:
    """Only `dagster_internals` imports private modules of Dagster, so an upgrade has one place to look at."""
    private = re.compile(r"^\s*(from|import) (dagster\w*\._|dagster_shared)", re.MULTILINE)
    sources = (ROOT / "chronos_assets").rglob("*.py")
    assert [path.name for path in sources if private.search(path.read_text(encoding="utf-8"))] == ["dagster_internals.py"]


def test_the_catalogue_says_what_settings_and_manifests_say(tmp_path: Path) -> None:
    """Owners and tags come from the settings, freshness from the nightly schedule and the coarsest bars, documentation from a page."""
    own = {"exports_dir": tmp_path, "dagster_owners": ("team:desk", "a@b.example"), "dagster_tags": ("cost=research", "tier=2")}
    settings = Settings(home=tmp_path, nightly_cron="0 2 * * 1-5", **own)  # type: ignore[arg-type]
    with accepted():
        graph = build_defs({"workplace": Workplace(settings)}).resolve_asset_graph()
    for name in (*LINEAGE, "night_summary"):
        node = graph.get(AssetKey(name))
        assert node.owners == ["team:desk", "a@b.example"]
        assert node.tags.items() >= {"cost": "research", "tier": "2"}.items()
        assert (ROOT / node.metadata["documentation"]).is_file()
    assert graph.get(AssetKey("indicator_bars")).metadata["dagster/table_name"] == "indicator_bars"
    assert window_of(graph, "night_summary") == timedelta(days=3, hours=6)  # from Friday's night to Monday's
    assert window_of(graph, "trading_simulations") == timedelta(days=7, hours=6)
    (tmp_path / "sp500_1mo_v1.yaml").write_text("")
    with accepted():
        coarse = build_defs({"workplace": Workplace(settings)}).resolve_asset_graph()
    assert window_of(coarse, "trading_simulations") > timedelta(days=60)
    assert coarse.get(AssetKey("feature_selection")).freshness_policy is None


def window_of(graph: AssetGraph, name: str) -> timedelta:
    """How old an asset may be."""
    policy = graph.get(AssetKey(name)).freshness_policy
    assert isinstance(policy, TimeWindowFreshnessPolicy)
    return policy.fail_window.to_timedelta()


def test_the_launchpad_of_a_sweep_opens_with_a_valid_example() -> None:
    """Nobody has to know the keys of a grid before the first one runs, nor choose a partition to see them."""
    with accepted():
        job = definitions().resolve_job_def("sweep")
    snapshot = job.get_job_snapshot()
    root = snapshot.mode_def_snaps[0].root_config_key
    assert root is not None
    schema = snapshot.config_schema_snapshot
    opened = yaml.safe_load(default_values_yaml_from_type_snap(schema, schema.get_config_snap(root)))
    assert opened["ops"]["run_grid"]["config"]["grid"] == GRID
    assert job.partitioned_config is not None
    config = job.partitioned_config.get_run_config_for_partition_key("any_1d_v1")
    assert validate_run_config(job, config)
    grid = config["ops"]["run_grid"]["config"]["grid"]
    assert all(change_profile(WalkforwardProfile(), {key: value}) for key, values in grid.items() for value in values)


def test_a_run_whose_launch_was_not_answered_waits_for_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """A code server that is slow may still start it; one that could not be reached did not hear, and Dagster queues the run again."""
    said = ["User code server request timed out due to taking longer than 300 seconds to complete."]

    def launch(self: DefaultRunLauncher, context: LaunchRunContext) -> None:
        raise DagsterUserCodeUnreachableError(said[0])

    monkeypatch.setattr(DefaultRunLauncher, "launch_run", launch)
    launcher = WatchedRunLauncher()
    with DagsterInstance.ephemeral() as instance, accepted():
        launcher.register_instance(instance)
        run = instance.create_run_for_job(definitions().resolve_job_def("whole_way"), status=DagsterRunStatus.STARTING)
        context = LaunchRunContext(dagster_run=run, workspace=None)
        launcher.launch_run(context)
        assert "did not answer in time" in str([entry.message for entry in instance.all_logs(run.run_id)])
        said[0] = "Could not reach user code server. gRPC Error code: UNAVAILABLE"
        with pytest.raises(DagsterUserCodeUnreachableError):
            launcher.launch_run(context)
