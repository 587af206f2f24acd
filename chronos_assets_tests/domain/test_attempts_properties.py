"""The publish protocol played out on a model: whatever is tried, cut short, failed or replaced, no tag ever mixes two contents."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from chronos_assets.domain.attempts import Attempt, Published, choose_plan

SLUG = "btc_4h_v1"
# What happens to an attempt after its rows began to go out.
STEP = st.tuples(st.integers(0, 4), st.booleans(), st.sampled_from(["cut", "failed", "passed", "published"]))


@settings(max_examples=300, deadline=None)
@given(st.lists(STEP, max_size=25))
def test_bars_of_two_contents_never_meet_under_one_tag(steps: list[tuple[int, bool, str]]) -> None:
    """Contents are prefixes of one another (growth), so under a tag: published bars, then one newer file's; never after a failure."""
    attempts: list[Attempt] = []
    published: Published | None = None
    rows: dict[str, int] = {}
    failed: set[str] = set()
    for number, (size, replace, end) in enumerate(steps):
        content = str(size)
        grows = published is None or replace or size >= int(published.content_hash)
        if not grows:
            continue
        plan = choose_plan(SLUG, attempts, published, checksum=f"sum-{content}", content_hash=content, replace=replace)
        assert plan.tag not in failed
        if plan.only_growth:
            assert published is not None
            assert plan.tag == published.tag
            assert not replace
        elif plan.tag in rows:
            assert rows[plan.tag] == size
            assert published is None or plan.tag != published.tag
        assert rows.get(plan.tag, 0) <= size
        rows[plan.tag] = size
        verdict = {"cut": "running", "failed": "failed"}.get(end, "passed")
        attempts.append(Attempt(number, plan.tag, f"sum-{content}", content, verdict))  # type: ignore[arg-type]
        if end == "failed":
            failed.add(plan.tag)
        if end == "published":
            published = Published(plan.tag, f"sum-{content}", content, plan.base_revision + 1)
            assert rows[plan.tag] == size
