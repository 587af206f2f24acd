"""Requests of selections from outside: what is asked of Dagster, checked against Dagster's own GraphQL schema."""

from __future__ import annotations

import pytest
from graphql import GraphQLSchema, parse, validate

from chronos_assets.errors import ServiceUnavailableError
from chronos_assets.orchestration.execute import CODE_LOCATION
from chronos_assets.pipeline.selection import launch


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    """Of the installed Dagster."""
    from dagster_graphql.schema import create_schema  # half a second, which only the process of this file has to pay

    return create_schema().graphql_schema


@pytest.mark.parametrize("question", [launch.LAUNCH, launch.STATUS, launch.TERMINATE])
def test_every_question_is_valid_in_dagsters_schema(schema: GraphQLSchema, question: str) -> None:
    """Fields, arguments and their types are those of the installed Dagster; the code location is ours."""
    assert validate(schema, parse(question)) == []
    assert launch.LOCATION == CODE_LOCATION


def test_an_unreachable_dagster_names_the_command_that_needs_none() -> None:
    """Without an address, or with one where nobody listens, the refusal says how to select without Dagster."""
    for url in (None, "http://127.0.0.1:9"):
        with pytest.raises(ServiceUnavailableError, match="chronos lfs btc_4h_v1") as caught:
            launch.DagsterServer(url, "chronos lfs btc_4h_v1").has_ended("some-run")
        assert caught.value.code == "dagster_unreachable"
