"""What a check says: the verdict in one line, at most ten failing rows, what it means, and the command that shows more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dagster import AssetCheckResult, AssetCheckSeverity, AssetKey

from chronos_assets.orchestration.failures import UserFacingFailure
from chronos_assets.orchestration.metadata import markdown_table, plain


@dataclass(frozen=True)
class Verdict:
    """One check's answer. `sentence` is the line that the run page, the alert and the command line show."""

    passed: bool
    message: str
    rows: Sequence[Mapping[str, Any]] = ()
    meaning: str = ""
    command: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    warn_only: bool = False

    def markdown(self) -> str:
        """The description that the check's page renders."""
        parts = [f"**{plain(self.message)}**"]
        if not self.passed:
            parts += [markdown_table(self.rows), self.meaning, f"More: `{self.command}`" if self.command else ""]
        return "\n\n".join(part for part in parts if part)

    def result(self, asset: str, check: str) -> AssetCheckResult:
        """The evaluation that Dagster records."""
        severity = AssetCheckSeverity.WARN if self.warn_only else AssetCheckSeverity.ERROR
        return AssetCheckResult(
            passed=self.passed,
            asset_key=AssetKey(asset),
            check_name=check,
            severity=severity,
            description=self.markdown(),
            metadata=dict(self.metadata),
        )

    def stop(self) -> None:
        """Fail the step with the sentence if the verdict is an error, so that the run page says it and downstream does not run."""
        if not self.passed and not self.warn_only:
            raise UserFacingFailure(self.message, {"more": self.command, "exit_code": 3})


def report_all(asset: str, verdicts: Mapping[str, Verdict]) -> Iterator[AssetCheckResult]:
    """Record every verdict first; then fail the step with the sentence of the first one that is an error."""
    for name, verdict in verdicts.items():
        yield verdict.result(asset, name)
    for verdict in verdicts.values():
        verdict.stop()
