"""What a bucket answers when it says no, as one error of ours.

The server's words stay out: they can repeat what a request was signed with.
"""

from __future__ import annotations

import re

from chronos_assets.errors import ChronosError, ServiceUnavailableError, StoreError

_CODE = re.compile(r"<Code>(\w{1,60})</Code>", re.ASCII)
_STATUS = re.compile(r"status code: (\d{3})")
_METADATA = "169.254.169.254"
_AGAIN = "Nothing is half-written: run the same command again."
_CREDENTIALS = (
    "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN for temporary ones); profiles of ~/.aws are not read: "
    "`aws configure export-credentials --format env` prints them as variables."
)
_RIGHTS = "The user needs s3:ListBucket on the bucket, and s3:GetObject, s3:PutObject and s3:DeleteObject below the prefix."
_REGION = "AWS_REGION names the bucket's region, AWS_ENDPOINT_URL the address of another provider."
_REFUSED = ("artifacts_denied", "the bucket of the artifacts refused the credentials", _CREDENTIALS)
_ELSEWHERE = ("artifacts_region", "the bucket of the artifacts is in another region or at another address", _REGION)
# Error code of S3, or else the status -> code, message, hint
_REFUSALS = {
    "NoSuchBucket": (
        "artifacts_bucket_missing",
        "the bucket of the artifacts does not exist",
        f"Create it, or mend CHRONOS_ARTIFACTS. {_REGION}",
    ),
    "RequestTimeTooSkewed": (
        "artifacts_clock",
        "the clock of this machine differs too much from that of the bucket of the artifacts",
        "Run NTP on this machine.",
    ),
    **dict.fromkeys(
        ("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "TokenRefreshRequired", "401"), _REFUSED
    ),
    **dict.fromkeys(("PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed", "301", "307"), _ELSEWHERE),
    "403": ("artifacts_denied", "the bucket of the artifacts denied access", f"{_RIGHTS} {_CREDENTIALS}"),
}
_NO_CREDENTIALS = ("artifacts_credentials", "there are no credentials for the bucket of the artifacts", _CREDENTIALS)


def is_missing_bucket(error: Exception) -> bool:
    """Whether the bucket itself is not there."""
    return "NoSuchBucket" in _CODE.findall(str(error))


def as_ours(error: Exception, place: str) -> ChronosError:
    """`error` of obstore as one of ours; `place` is the URL that was asked for."""
    text = str(error)
    code = next(iter(_CODE.findall(text)), "")
    status = next(iter(_STATUS.findall(text)), "")
    known = _NO_CREDENTIALS if _METADATA in text else _REFUSALS.get(code) or _REFUSALS.get(status)
    if known is not None:
        name, message, hint = known
        return ServiceUnavailableError(message, code=name, found=code or f"status {status}", hint=hint, place=place)
    if status and not status.startswith("5") and status not in {"408", "429"}:
        return StoreError(
            "the bucket of the artifacts refused a request",
            code="artifacts_refused",
            found=f"{code or 'status'} {status}".strip(),
            hint="`chronos doctor` tries each kind of request.",
            place=place,
        )
    return ServiceUnavailableError(
        "the bucket of the artifacts cannot be reached, or fell silent",
        code="artifacts_unreachable",
        found=f"{code} {status}".strip() or None,
        hint=f"{_AGAIN} {_REGION}",
        place=place,
    )


def cut_short(place: str, due: int, found: int) -> ServiceUnavailableError:
    """An answer that ended before its end."""
    return ServiceUnavailableError(
        "an answer of the bucket of the artifacts was cut off",
        code="artifacts_unreachable",
        expected=f"{due} bytes",
        found=f"{found} bytes",
        hint=_AGAIN,
        place=place,
    )
