"""The job `validate_dataset`: what the command of that name asks, as a run of one partition. Reads only.

The dataset is compared with its registry row, its audits and its file; then every run on it that is completed, in both stores. The reports
are the step's metadata, whole; any difference fails the run with the sentence that names it.
"""

from typing import TYPE_CHECKING

from dagster import Config, JobDefinition, MetadataValue, OpExecutionContext, ResourceParam, job, op
from pydantic import Field

from chronos_assets.orchestration.executors import lineage_executor
from chronos_assets.orchestration.failures import UserFacingFailure, user_facing_errors
from chronos_assets.orchestration.metadata import table
from chronos_assets.orchestration.partitions import DATASETS
from chronos_assets.orchestration.resources import Workplace

if TYPE_CHECKING:
    from chronos_assets.pipeline.validation.report import ValidationReport
    from chronos_assets.storage.manifest_files import LoadedManifest

VALIDATE_JOB = "validate_dataset"


class ValidateConfig(Config):
    """What is validated besides the dataset."""

    runs: list[str] = Field(
        default=[], description="Walk-forward runs (run_id) to validate; none named: every completed run of the dataset."
    )
    dataset_only: bool = Field(default=False, description="Leave the runs out.")


@op(description="Compare the dataset and its runs in both stores; the run fails on any difference.")
def validate_stores(context: OpExecutionContext, config: ValidateConfig, workplace: ResourceParam[Workplace]) -> None:
    """Validate one partition."""
    with user_facing_errors(context):
        reports = _reports(context.partition_key, config, workplace)
    rows = [_row(report) for report in reports]
    context.add_output_metadata(
        {"validations": table(rows), "reports": MetadataValue.json([_bounded(report) for report in reports]), "subjects": len(reports)}
    )
    for report in reports:
        context.log.info("%s %s: %s", report.kind, report.subject, report.verdict)
    wrong = [(report, row) for report, row in zip(reports, rows, strict=True) if not report.passed]
    if wrong:
        report, row = wrong[0]
        subject = report.subject if report.kind == "dataset" else f"--run {report.subject}"
        raise UserFacingFailure(
            f"{report.kind} {report.subject} differs: {row['differs']}",
            {
                "more": f"validate_dataset {subject}",
                "exit_code": 3,
                "validations": table(rows),
                "reports": MetadataValue.json([_bounded(r) for r, _ in wrong]),
            },
        )


def validate_job() -> JobDefinition:
    """The job, one run per dataset."""

    @job(
        name=VALIDATE_JOB,
        partitions_def=DATASETS,
        executor_def=lineage_executor,
        description="Does the dataset still hold what was published, and do both stores agree on its runs? Reads only.",
    )
    def validate_dataset() -> None:
        validate_stores()

    return validate_dataset


def _reports(slug: str, config: ValidateConfig, workplace: Workplace) -> "list[ValidationReport]":
    from chronos_assets.pipeline.validation.dataset import validate_dataset, validate_run
    from chronos_assets.storage.runs import list_runs

    stores = workplace.stores
    reports = [validate_dataset(slug, stores, loaded=_manifest(slug, workplace))]
    runs = [] if config.dataset_only else config.runs or [r.run_id for r in list_runs(stores.postgres, slug) if r.status == "completed"]
    return reports + [validate_run(run_id, stores) for run_id in runs]


def _manifest(slug: str, workplace: Workplace) -> "LoadedManifest | None":
    """The dataset's manifest if there is a readable one; a published dataset can be validated without."""
    from chronos_assets.errors import RefusedError

    try:
        return workplace.manifest(slug)
    except RefusedError:
        return None


def _row(report: "ValidationReport") -> dict[str, object]:
    failed = [check for check in report.checks if check.passed is False]
    where = "" if report.audit is None else report.audit.first_failure
    differs = "; ".join(f"{check.name}: expected {check.expected}, found {check.found}" for check in failed)
    return {
        "kind": report.kind,
        "subject": report.subject,
        "passed": report.passed,
        "checks": len(report.checks),
        "differs": differs[: 400 - len(where)] + where,
    }


def _bounded(report: "ValidationReport") -> dict[str, object]:
    """The report without the cells that pandera names one by one: metadata is stored several times."""
    document = report.as_dict()
    if document["audit"] is not None:
        document["audit"] = {k: v for k, v in document["audit"].items() if k != "failure_cases"}
    return document
