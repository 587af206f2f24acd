"""What a validation found: questions, answers, and the worst of what differs, as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from chronos_assets.domain.audit_report import AuditReport


@dataclass(frozen=True)
class Check:
    """One question and its answer. `passed` None: it could not be asked, and `found` says why."""

    name: str
    passed: bool | None
    expected: Any = None
    found: Any = None


@dataclass(frozen=True)
class ValidationReport:
    """All questions about one dataset or run."""

    kind: str
    subject: str
    checks: list[Check]
    seconds: float
    findings: list[dict[str, Any]] = field(default_factory=list)
    audit: AuditReport | None = None

    @property
    def passed(self) -> bool:
        return all(check.passed is not False for check in self.checks)

    @property
    def verdict(self) -> Literal["agrees", "partly", "differs"]:
        """`partly`: what could be asked agrees, and something could not be asked."""
        if not self.passed:
            return "differs"
        return "partly" if any(check.passed is None for check in self.checks) else "agrees"

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "kind": self.kind,
            "subject": self.subject,
            "passed": self.passed,
            "verdict": self.verdict,
            "checks": [asdict(check) for check in self.checks],
            "findings": self.findings,
            "audit": None if self.audit is None else self.audit.as_dict(),
            "seconds": round(self.seconds, 3),
        }


def equal(name: str, expected: Any, found: Any) -> Check:
    """A check that passes if both sides are equal."""
    return Check(name, expected == found, expected, found)
