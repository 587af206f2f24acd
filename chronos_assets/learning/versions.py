"""Which code trains: versions told by the process that has them, compared before a fold is trained and again with every result.

A worker of a cluster has an environment of its own. So nobody but the worker can say which XGBoost trained a fold, and the driver's own
versions prove nothing.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from chronos_assets.domain.learners import Learner
from chronos_assets.domain.selectors import Selector

# Part of every run_id and fold key: raise it when the same inputs would give another model, prediction, threshold or artifact.
TRAINING_CODE_VERSION = "2"

# What one process trains with: name -> version. Stored with every fold.
Versions = dict[str, str]
# Recorded and compared between processes, but no part of an id: neither of them alone changes a result.
UNNAMED = ("numpy", "sources")


def versions_here(learner: Learner, selector: Selector) -> Versions:
    """Training code, learner, selector, libraries as imported, and a digest of the sources, all of this process."""
    modules = dict.fromkeys(("numpy", *learner.libraries, *selector.libraries))
    return {
        "training": TRAINING_CODE_VERSION,
        f"learner {learner.name}": learner.version,
        f"selector {selector.name}": selector.version,
        **{name: str(importlib.import_module(name).__version__) for name in modules},
        "sources": _sources_digest((type(learner).__module__, type(selector).__module__)),
    }


def name_versions(learner: Learner, selector: Selector, versions: Mapping[str, str]) -> str:
    """The versions that determine a result, as one line: the `code_version` of a run and part of every fold key."""
    unnamed = [name for name in UNNAMED if name not in {*learner.libraries, *selector.libraries}]
    named = sorted((name for name in versions if name not in unnamed), key=lambda name: (name != "training", name))
    return ", ".join(f"{name} {versions[name]}" for name in named)


def differing(due: Mapping[str, str], found: Mapping[str, str]) -> dict[str, tuple[str | None, str | None]]:
    """Names whose versions differ -> (due, found); None for one that is missing."""
    names = dict.fromkeys([*due, *found])
    return {name: (due.get(name), found.get(name)) for name in names if due.get(name) != found.get(name)}


def told(differences: Mapping[str, tuple[str | None, str | None]]) -> tuple[str, str]:
    """Differing versions as (expected, found) in words."""
    due = ", ".join(f"{name} {pair[0] or 'missing'}" for name, pair in differences.items())
    return due, ", ".join(f"{name} {pair[1] or 'missing'}" for name, pair in differences.items())


@cache
def _sources_digest(modules: tuple[str, ...]) -> str:
    """SHA-256 (12 hex) of all modules that training may import, and of those that hold the learner and the selector.

    Line ends are left out of it: a checkout on Windows is the same code.
    """
    import chronos_assets.domain
    import chronos_assets.learning

    folders = [Path(entry) for package in (chronos_assets.domain, chronos_assets.learning) for entry in package.__path__]
    files = {f"{folder.name}/{path.relative_to(folder).as_posix()}": path for folder in folders for path in folder.rglob("*.py")}
    for name in modules:
        module = importlib.import_module(name)
        if not name.startswith(chronos_assets.learning.__name__) and module.__file__:
            files[name] = Path(module.__file__)
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(f"{name}\n".encode() + b"\n".join(files[name].read_bytes().splitlines()) + b"\n")
    return digest.hexdigest()[:12]
