"""What is cut out of texts before other machines read them."""

from __future__ import annotations

import pytest

from chronos_assets.domain.redaction import name_of_path, without_folders


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cannot be read (file /home/joe/chronos/a.json)", "cannot be read (file a.json)"),
        ('server on socket "/run/postgresql/.s.PGSQL.5432" failed', 'server on socket ".s.PGSQL.5432" failed'),
        ("could not open [file=/var/lib/q/db/x]", "could not open [file=x]"),
        ("see ~/.config/chronos/x.yaml: bad", "see x.yaml: bad"),
        ("at /tmp/work/", "at a folder"),
        ("/api/openapi.json lists all routes.", "/api/openapi.json lists all routes."),
        ("http://127.0.0.1:9000/exec refused; and/or 3/4", "http://127.0.0.1:9000/exec refused; and/or 3/4"),
    ],
)
def test_an_absolute_path_becomes_its_name(text: str, shown: str) -> None:
    """Folders go; routes, addresses and fractions stay."""
    assert without_folders(text) == shown


def test_a_path_of_any_letters_becomes_its_name() -> None:
    """A place that is a path as a whole may hold blanks."""
    assert name_of_path("/home/joe/my files/a b.yaml") == "a b.yaml"
    assert name_of_path("127.0.0.1:5432") == "127.0.0.1:5432"
