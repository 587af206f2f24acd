"""The read models: frozen, described by a committed schema, and paged by cursors that cannot be bent."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from chronos_assets.domain.audit_report import AuditReport, ColumnDifference
from chronos_assets.domain.statistics.deflation import DeflatedSharpe
from chronos_assets.errors import UsageError
from chronos_assets.ingest.report import BarsReport, ReportColumn
from chronos_assets.pipeline.simulation.judgement import PageTest
from chronos_assets.pipeline.simulation.run import SimulationResult
from chronos_assets.pipeline.upkeep.retire import RunSpace
from chronos_assets.pipeline.walkforward.overfitting import Overfitting
from chronos_assets.pipeline.walkforward.run import WalkforwardResult
from chronos_assets.services.status import ServiceStatus
from chronos_assets.storage.listing import After
from chronos_assets.views import documents as doc
from chronos_assets.views.documents import Warn
from chronos_assets.views.pages import after_of, cursor_of
from chronos_assets.views.schema import FILE, schema_text


def test_the_committed_schema_is_that_of_the_documents() -> None:
    """A field that is added, renamed or removed shows in the diff: `python -m chronos_assets.views.schema --write` renews the file."""
    assert FILE.read_text(encoding="utf-8") == schema_text()


def test_a_document_cannot_be_changed() -> None:
    """What a reader was given stays what it was."""
    warning = Warn(code="a", message="b")
    with pytest.raises(ValidationError):
        warning.code = "c"  # type: ignore[misc]


@pytest.mark.parametrize("value", [None, 1.5, 7, datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)])
def test_a_cursor_leads_back_to_where_the_page_ended(value: object) -> None:
    """Value and id come back whole, a time to the microsecond."""
    cursor = cursor_of("-created_at", After(value, "3f0c"))
    found = after_of(cursor, "-created_at")
    assert found is not None
    assert (datetime.fromisoformat(found.value) if isinstance(value, datetime) else found.value, found.id) == (value, "3f0c")


@pytest.mark.parametrize("cursor", ["", "x", "AAAA", "é", "AAAAAAAAAAAAAAAA", "e30="])
def test_what_is_no_cursor_is_refused(cursor: str) -> None:
    """Cut, foreign or empty text never becomes a place in a list."""
    with pytest.raises(UsageError, match="cursor"):
        after_of(cursor, "-created_at")


@pytest.mark.parametrize(
    ("document", "source"),
    [
        (doc.AuditVerdict, AuditReport),
        (doc.ColumnDifference, ColumnDifference),
        (doc.FileReport, BarsReport),
        (doc.FileColumn, ReportColumn),
        (doc.WalkforwardOutcome, WalkforwardResult),
        (doc.SimulationOutcome, SimulationResult),
        (doc.DeflatedSharpe, DeflatedSharpe),
        (doc.SweepOverfitting, Overfitting),
        (doc.Service, ServiceStatus),
        (doc.RunSpace, RunSpace),
        (doc.PageTest, PageTest),
    ],
)
def test_a_document_leaves_no_field_of_its_source_out(document: type[doc.Document], source: type[Any]) -> None:
    """A field that is added to a result is added to what readers are given, or this fails."""
    fields = source.model_fields if issubclass(source, BaseModel) else {field.name for field in dataclasses.fields(source)}
    assert set(fields) <= set(document.model_fields)


def test_an_inspection_holds_all_of_a_report() -> None:
    """A file that is taken is described by every field of its report; keys and excluded columns are among the columns."""
    assert set(BarsReport.model_fields) - {"keys", "excluded"} <= set(doc.Inspection.model_fields)
