"""Where artifacts are kept, as the setting `artifacts` names it: a folder (`file:///FOLDER`) or a bucket (`s3://BUCKET/PREFIX`)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

_ALLOWED = "file:///FOLDER or s3://BUCKET/PREFIX"
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", re.ASCII)
_PREFIX = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*", re.ASCII)


@dataclass(frozen=True)
class ArtifactsAddress:
    """A folder of this machine, or a bucket and the prefix of the names in it (empty for none)."""

    folder: Path | None = None
    bucket: str = ""
    prefix: str = ""

    @classmethod
    def parse(cls, text: str) -> ArtifactsAddress:
        """Read the setting; raises `ValueError` that repeats nothing of the text, which may hold a password."""
        scheme, _, rest = text.partition("://")
        if "@" in rest or "?" in rest or "#" in rest:
            raise ValueError(f"give {_ALLOWED} and nothing else; credentials of S3 come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
        if scheme == "file" and rest.removeprefix("localhost").startswith("/"):
            return cls(folder=Path(unquote(rest.removeprefix("localhost"))))
        bucket, _, prefix = rest.partition("/")
        prefix = prefix.rstrip("/")
        if scheme != "s3":
            raise ValueError(f"artifacts are kept in {_ALLOWED}")
        if not _BUCKET.fullmatch(bucket):
            raise ValueError("a bucket's name has 3 to 63 lower-case letters, digits, dots and hyphens")
        if prefix and not _PREFIX.fullmatch(prefix):
            raise ValueError("a prefix has parts of letters, digits, dots, hyphens and underscores, joined by /")
        return cls(bucket=bucket, prefix=prefix)

    def __str__(self) -> str:
        if self.folder is not None:
            return self.folder.as_uri()
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")


def without_credentials(text: str) -> str:
    """A refused address as it may be shown: without user, password and query."""
    return re.sub(r"[?#].*", "?***", re.sub(r"//[^/]*@", "//***@", text))
