"""What a text must not tell readers on other machines: where files lie on this one. A path is cut to the name of its last part."""

from __future__ import annotations

import re

# An absolute path of two or more parts, or one below a home folder. Addresses (`http://...`) and routes of the API stay.
_PATH = re.compile(r"(?<![\w/:.\-<])(?!/api/)~?/(?:[^\s/'\"`,;()\[\]{}<>]+/)+([^\s/'\"`,;()\[\]{}<>]*[^\s/'\"`,;:.()\[\]{}<>])?")


def without_folders(text: str) -> str:
    """`text` with every absolute path cut to its last part."""
    return _PATH.sub(lambda found: found[1] or "a folder", text)


def name_of_path(text: str) -> str:
    """The last part of an absolute path, whatever letters it holds; any other text as `without_folders` gives it."""
    return text.rstrip("/").rpartition("/")[2] or "a folder" if text.startswith(("/", "~/")) else without_folders(text)
