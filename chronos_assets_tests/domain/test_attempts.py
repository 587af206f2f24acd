"""The choice of a tag, case by case."""

from __future__ import annotations

from chronos_assets.domain.attempts import Attempt, Plan, Published, choose_plan, fresh_tag

SLUG = "btc_4h_v1"


def plan(attempts: list[Attempt], published: Published | None = None, *, content: str = "a", replace: bool = False) -> Plan:
    return choose_plan(SLUG, attempts, published, checksum=f"sum-{content}", content_hash=content, replace=replace)


def attempt(number: int, tag: str, content: str, verdict: str) -> Attempt:
    return Attempt(number, tag, f"sum-{content}", content, verdict)  # type: ignore[arg-type]


def test_the_first_attempt_writes_under_the_slug() -> None:
    """Nothing tried, nothing published: the slug, all bars."""
    assert plan([]) == Plan("first", SLUG, only_growth=False, base_revision=0)


def test_an_attempt_that_was_cut_short_goes_on_under_its_own_tag() -> None:
    """Same content again, whatever its tag was."""
    assert plan([attempt(1, SLUG, "a", "running")]).tag == SLUG
    assert plan([attempt(1, SLUG, "b", "failed"), attempt(2, f"{SLUG}@2", "a", "running")]).tag == f"{SLUG}@2"


def test_another_content_after_a_cut_gets_a_fresh_tag() -> None:
    """Rows of two contents never meet under one tag."""
    assert plan([attempt(1, SLUG, "b", "running")]) == Plan("fresh", f"{SLUG}@2", only_growth=False, base_revision=0)


def test_a_tag_that_failed_takes_no_more_rows() -> None:
    """Not even rows of the same content."""
    assert plan([attempt(1, SLUG, "a", "failed")]).tag == f"{SLUG}@2"
    assert plan([attempt(1, SLUG, "a", "failed"), attempt(2, f"{SLUG}@2", "a", "failed")]).tag == f"{SLUG}@3"


def test_growth_stays_under_the_registered_tag() -> None:
    """Only the new bars, from the revision that is published."""
    published = Published(SLUG, "sum-a", "a", 4)
    grown = plan([attempt(1, SLUG, "a", "passed")], published, content="b")
    assert grown == Plan("growth", SLUG, only_growth=True, base_revision=4)


def test_growth_leaves_a_tag_that_holds_rows_of_another_growth() -> None:
    """An unpublished growth of another content lies there already."""
    history = [attempt(1, SLUG, "a", "passed"), attempt(2, SLUG, "b", "running")]
    published = Published(SLUG, "sum-a", "a", 1)
    assert plan(history, published, content="b").kind == "growth"
    assert plan(history, published, content="c") == Plan("fresh", f"{SLUG}@2", only_growth=False, base_revision=1)


def test_a_replacement_never_touches_the_registered_tag() -> None:
    """It writes all bars under a fresh tag, and goes on with its own where it was cut short."""
    published = Published(SLUG, "sum-a", "a", 1)
    history = [attempt(1, SLUG, "a", "passed")]
    first = plan(history, published, content="b", replace=True)
    assert (first.kind, first.tag) == ("replacement", f"{SLUG}@2")
    again = plan([*history, attempt(2, first.tag, "b", "running")], published, content="b", replace=True)
    assert (again.kind, again.tag) == ("repeat", f"{SLUG}@2")
    assert plan(history, published, content="a", replace=True).tag == f"{SLUG}@2"


def test_fresh_tags_count_on_from_the_highest() -> None:
    """Tags of other slugs and the bare slug do not count."""
    assert fresh_tag(SLUG, []) == f"{SLUG}@2"
    assert fresh_tag(SLUG, [SLUG, f"{SLUG}@7", "other_4h_v1@9", f"{SLUG}@x"]) == f"{SLUG}@8"
