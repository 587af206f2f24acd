"""Which tag an export writes under, and which of its bars: the rule of the publish protocol, as a pure function.

An *attempt* is one row of `export_audits`: it is opened before the first bar is written, so whatever a tag may hold is known even
when the process died. A tag whose audit failed takes no more bars, and bars of two different contents never meet under one tag,
except that a published dataset grows under its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["running", "passed", "failed"]
Kind = Literal["first", "growth", "replacement", "repeat", "fresh"]


@dataclass(frozen=True)
class Attempt:
    """An earlier attempt on a dataset, as far as the choice of a tag depends on it."""

    audit_id: int
    tag: str
    checksum: str
    content_hash: str
    verdict: Verdict


@dataclass(frozen=True)
class Published:
    """What the registry has."""

    tag: str
    checksum: str
    content_hash: str
    revision: int


@dataclass(frozen=True)
class Plan:
    """What an export will do: under which tag, and whether only the bars that are new or filled go out."""

    kind: Kind
    tag: str
    only_growth: bool
    base_revision: int


def choose_plan(
    slug: str,
    attempts: Sequence[Attempt],
    published: Published | None,
    *,
    checksum: str,
    content_hash: str,
    replace: bool,
    taken: Iterable[str] = (),
) -> Plan:
    """Choose the tag for a file named by `checksum` and `content_hash`.

    `attempts` are all attempts on the dataset, in any order. `taken` are further tags that must not be used. With `published`, the
    caller has made sure that the published bars are unchanged (null targets may have filled) unless `replace` is asked for.
    """
    ordered = sorted(attempts, key=lambda a: a.audit_id)
    base = published.revision if published else 0
    own = _own_tag(ordered, published, checksum, content_hash)
    if published is None and not ordered and slug not in set(taken):
        return Plan("first", slug, only_growth=False, base_revision=base)
    if published is not None and not replace and _grows_in_place(ordered, published, checksum, content_hash):
        return Plan("growth", published.tag, only_growth=True, base_revision=base)
    if own is not None:
        return Plan("repeat", own, only_growth=False, base_revision=base)
    tags = {a.tag for a in ordered} | set(taken) | ({published.tag} if published else set())
    return Plan("replacement" if replace else "fresh", fresh_tag(slug, tags), only_growth=False, base_revision=base)


def _own_tag(ordered: Sequence[Attempt], published: Published | None, checksum: str, content_hash: str) -> str | None:
    """Tag of the last attempt, where it was cut short on this very content and holds nothing else."""
    if not ordered:
        return None
    last = ordered[-1]
    same = last.checksum == checksum and last.content_hash == content_hash
    if not same or last.verdict == "failed" or (published is not None and last.tag == published.tag):
        return None
    return last.tag if _holds_only(ordered, last.tag, content_hash) else None


def _holds_only(ordered: Iterable[Attempt], tag: str, content_hash: str) -> bool:
    return all(a.content_hash == content_hash and a.verdict != "failed" for a in ordered if a.tag == tag)


def _grows_in_place(ordered: Sequence[Attempt], published: Published, checksum: str, content_hash: str) -> bool:
    """True if the registered tag holds the published bars and at most the bars of this same file."""
    on_tag = [a for a in ordered if a.tag == published.tag]
    own = [a.audit_id for a in on_tag if a.verdict == "passed" and a.content_hash == published.content_hash]
    later = [a for a in on_tag if not own or a.audit_id > max(own)]
    if any(a.verdict == "failed" for a in on_tag):
        return False
    return all((a.checksum, a.content_hash) == (checksum, content_hash) for a in later)


def unregistered_tag(slug: str, token: str) -> str:
    """Tag of an export without a registry. `token` is random; a registered export ends its tags in decimal digits, never in this."""
    return f"{slug}@unregistered-{token}"


def fresh_tag(slug: str, taken: Iterable[str]) -> str:
    """`slug@n` with the smallest n (from 2) above every number that was taken."""
    numbers = [int(t.rsplit("@", 1)[1]) for t in taken if t.startswith(f"{slug}@") and t.rsplit("@", 1)[1].isdigit()]
    return f"{slug}@{max([1, *numbers]) + 1}"
