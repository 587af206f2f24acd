"""Walk-forward runs whose features were taken from a selection: what a run keeps and says of it, and selections that are refused."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner

from chronos_assets.cli.main import chronos
from chronos_assets.domain.lfs.honesty import FeatureOrigin
from chronos_assets.domain.profiles.lfs import LfsProfile
from chronos_assets.domain.profiles.walkforward import WalkforwardProfile
from chronos_assets.domain.strict_yaml import load_yaml
from chronos_assets.errors import ProfileError
from chronos_assets.pipeline.selection.request import plan_lfs
from chronos_assets.pipeline.selection.run import run_request
from chronos_assets.pipeline.validation.run import validate_run
from chronos_assets.pipeline.walkforward.run import WalkforwardResult, run_walkforward
from chronos_assets.storage.runs import get_run
from chronos_assets.storage.stores import Stores
from chronos_assets.views.runs import read_run_detail
from chronos_assets.views.selections import read_selection
from chronos_assets_tests.support.walkforward_data import make_bars, publish, small_profile

ROWS, NAMES = 200, ["feat_0", "feat_2"]
SEEN = "lfs_sees_test_rows"


def select(stores: Stores, slug: str, **changes: Any) -> str:
    """A quick selection; its id."""
    quick = {"target": "target_a", "bins": 2, "max_kept": 2, "iterations": 1, "permutations": 3, "end_row": 100} | changes
    profile = LfsProfile.model_validate(quick)
    request = plan_lfs(slug, profile, stores, horizon_of=lambda _: (3, False), walkforward=small_profile())
    run_request(request, stores, requested_by="test")
    return request.lfs_id


def walk(stores: Stores, slug: str, **changes: Any) -> WalkforwardResult:
    profile = small_profile(features=NAMES, train_size=100, **changes)
    return run_walkforward(slug, profile, stores, horizon=3, horizon_assumed=False)


@pytest.fixture
def slug(stores: Stores, unique_slug: str) -> str:
    publish(stores, unique_slug, make_bars(ROWS))
    return unique_slug


@pytest.mark.parametrize(("end_row", "warned"), [(100, False), (101, True)])
def test_a_run_repeats_what_the_selection_of_its_features_saw(
    stores: Stores, slug: str, cli_environment: dict[str, str], end_row: int, warned: bool
) -> None:
    """The first test bar is row 102 and targets look 3 bars ahead: the target of row 99 is known there, that of row 100 is not."""
    lfs_id = select(stores, slug, end_row=end_row)
    without = walk(stores, slug)
    result = walk(stores, slug, features_from=lfs_id, baseline="ridge")
    assert result.run_id != without.run_id
    assert (result.folds_trained, result.folds_copied) == (0, without.folds_planned)  # the features are the same
    detail = read_run_detail(stores.postgres, result.run_id)
    assert FeatureOrigin.of(detail.run.walk_config) == FeatureOrigin(0, end_row, 3, 102)
    said = [warning.message for warning in detail.warnings if warning.code == SEEN]
    assert bool(said) is warned is (SEEN in {one["code"] for one in result.warnings})
    assert all(
        f"rows 0..{end_row}, whose target looks 3 bars ahead; walk-forward tests of this run begin at row 102" in one for one in said
    )
    assert get_run(stores.postgres, result.summary_metrics["baseline"]["run_id"]).walk_config["features_from"] == lfs_id
    assert validate_run(result.run_id, stores).passed
    text = CliRunner().invoke(chronos, ["runs", "show", result.run_id], env=cli_environment).stdout
    assert f"features taken from selection {lfs_id}\n" in text
    assert (SEEN in text) is warned
    assert {one.code for one in read_run_detail(stores.postgres, without.run_id).warnings}.isdisjoint({SEEN})


def test_the_lines_for_a_manifest_are_a_profile_of_the_features(stores: Stores, unique_slug: str, cli_environment: dict[str, str]) -> None:
    """Names that YAML would read as something else stay names; excluded features are left out; a bound leaves out larger p-values."""
    publish(stores, unique_slug, make_bars(ROWS).with_columns(**{"off": pl.col("feat_1"), "feat_still": pl.lit(2.0)}))
    selection = read_selection(stores.postgres, select(stores, unique_slug))

    def shown(*options: str) -> str:
        command = ["selections", "show", selection.run.lfs_id, "--view", "manifest", *options]
        return CliRunner().invoke(chronos, command, env=cli_environment).stdout

    profile = WalkforwardProfile.model_validate(load_yaml(shown())["walkforward"]["default"])
    assert (profile.target, profile.features_from) == ("target_a", selection.run.lfs_id)
    assert {*profile.features.candidates} == {"feat_0", "feat_1", "feat_2", "feat_3", "off"}
    bound = min(one.p_unbiased for one in selection.features if one.p_unbiased is not None)
    few = [one.feature for one in selection.features if one.p_unbiased == bound]
    assert 0 < len(few) < len(selection.features)
    assert load_yaml(shown("--max-p", str(bound)))["walkforward"]["default"]["features"] == few
    assert shown("--max-p", "0") == "# no feature has an unbiased p-value of at most 0\n"


def test_a_selection_that_cannot_be_the_origin_is_refused(stores: Stores, slug: str) -> None:
    """Unknown, of another dataset, of other features, of bars that were replaced; bars that were appended change nothing."""
    lfs_id = select(stores, slug, features=["feat_0", "feat_2"])

    def refusal(**changes: Any) -> str:
        with pytest.raises(ProfileError) as refused:
            walk(stores, slug, **({"features_from": lfs_id} | changes))
        return refused.value.code

    assert refusal(features_from="0" * 8 + lfs_id[8:]) == "features_from_unknown"
    other = slug.replace("_1d_v1", "x_1d_v1")
    publish(stores, other, make_bars(ROWS))
    assert refusal(features_from=select(stores, other)) == "features_from_foreign"
    assert refusal(features_from=select(stores, slug, features=["feat_0", "feat_1"])) == "features_from_other"
    publish(stores, slug, make_bars(ROWS + 20), tag=f"{slug}@2")
    assert walk(stores, slug, features_from=lfs_id).status == "completed"
    later = make_bars(ROWS).with_columns(pl.col("timestamp_unix") + 86_400)
    publish(stores, slug, later, tag=f"{slug}@3")
    assert refusal() == "features_from_moved"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"features_from": "7c1f0312"}, "the whole id of a feature selection"),
        ({"features_from": "0" * 8 + "-0000-0000-0000-" + "0" * 12}, "name them in `features`"),
    ],
)
def test_an_origin_needs_a_whole_id_and_a_list(given: dict[str, Any], said: str) -> None:
    """`features_from` names one selection, and says where a list comes from: it is no list itself."""
    with pytest.raises(ValueError, match=said):
        WalkforwardProfile.model_validate(given)
