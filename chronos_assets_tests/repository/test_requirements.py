"""What an installation is made of: pinned, hashed, without an address, in step with pyproject.toml; and how bootstrap.py installs it."""

from __future__ import annotations

import hashlib
import importlib.util
import itertools
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).resolve().parents[2]
FOLDER = PROJECT / "requirements"
COMMAND = "run `python3 .ci/pins.py`"
LEVELS = ("run", "s3", "ray", "deploy", "dev", "bench")
DEVICES = ("cpu", "gpu")
# A build backend in the project itself: its editable wheel holds nothing but metadata.
BACKEND = """
import zipfile
def build_editable(folder, config_settings=None, metadata_directory=None):
    name = "small-1-py3-none-any.whl"
    with zipfile.ZipFile(f"{folder}/{name}", "w") as wheel:
        info = "small-1.dist-info"
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: small\\nVersion: 1\\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{info}/RECORD", "")
    return name
"""


def entries(level: str) -> list[str]:
    """The requirements of a file, each with its hashes, on one line."""
    text = (FOLDER / f"{level}.txt").read_text().replace("\\\n", " ")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def versions(level: str) -> dict[str, set[str]]:
    """Per package, the versions that a file pins."""
    found: dict[str, set[str]] = {}
    for entry in entries(level):
        requirement = Requirement(entry.partition("--hash")[0])
        found.setdefault(canonicalize_name(requirement.name), set()).update(s.version for s in requirement.specifier if s.operator == "==")
    return found


def declared(*parts: list[str]) -> list[Requirement]:
    return [Requirement(line) for part in parts for line in part]


@pytest.fixture(scope="module")
def pyproject() -> dict[str, dict[str, object]]:
    return tomllib.loads((PROJECT / "pyproject.toml").read_text())


@pytest.mark.parametrize("level", [*LEVELS, *DEVICES, "uv"])
def test_every_package_is_pinned_and_hashed_and_no_address_is_named(level: str) -> None:
    """Each line is one version with at least one SHA-256; no file says where to get it."""
    assert entries(level)
    for entry in entries(level):
        assert re.fullmatch(r"[a-z0-9.-]+==[^\s;]+( ; [^-]+?)?(\s+--hash=sha256:[0-9a-f]{64})+", entry), entry
        assert not re.search(r"://|@|--(extra-)?index-url|--find-links", entry)


def test_the_files_are_in_step_with_what_is_declared(pyproject: dict[str, dict[str, object]]) -> None:
    """Each declared dependency is there in a version that its bound allows, and the pins are the same versions."""
    project, groups = pyproject["project"], pyproject["dependency-groups"]
    levels = {
        "run": declared(project["dependencies"], groups["build"]),  # type: ignore[arg-type]
        "dev": declared(groups["dev"], *project["optional-dependencies"].values()),  # type: ignore[attr-defined,arg-type]
        "bench": declared(groups["bench"]),  # type: ignore[arg-type]
    }
    for level, wanted in levels.items():
        for requirement in wanted:
            files = DEVICES if requirement.name == "xgboost" else [level]
            found = set().union(*(versions(file).get(canonicalize_name(requirement.name), set()) for file in files))
            assert found, f"{requirement.name} is not in requirements/{'|'.join(files)}.txt: {COMMAND}"
            assert all(requirement.specifier.contains(version, prereleases=True) for version in found), f"{requirement}: {COMMAND}"
    pins: dict[str, set[str]] = {}
    for pin in declared(pyproject["tool"]["uv"]["constraint-dependencies"]):  # type: ignore[index]
        pins.setdefault(canonicalize_name(pin.name), set()).update(s.version for s in pin.specifier)
    assert {name: found for file in ("bench", *DEVICES) for name, found in versions(file).items()} == pins, COMMAND


def test_xgboost_comes_with_gpu_code_or_without() -> None:
    """Never both, since they are one module; the two are the same version, so that folds keep their keys."""
    assert all(name not in versions(level) for level in LEVELS for name in ("xgboost", "xgboost-cpu", "nvidia-nccl-cu12"))
    here = {
        device: {
            requirement.name
            for requirement in (Requirement(entry.partition("--hash")[0]) for entry in entries(device))
            if requirement.marker is None or requirement.marker.evaluate({"sys_platform": "linux"})
        }
        for device in DEVICES
    }
    assert here == {"cpu": {"xgboost-cpu"}, "gpu": {"xgboost", "nvidia-nccl-cu12"}}
    assert versions("cpu")["xgboost-cpu"] == versions("cpu")["xgboost"] == versions("gpu")["xgboost"]


def test_each_file_holds_the_one_before_it() -> None:
    """So that an environment of a later one serves the commands of an earlier one."""
    for smaller, larger in itertools.pairwise(LEVELS):
        assert set(entries(smaller)) <= set(entries(larger)), (smaller, larger)


@pytest.fixture
def installer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The installer of this checkout on a small project, whose only dependency is a wheel in a folder beside it."""
    spec = importlib.util.spec_from_file_location("environment_under_test", FOLDER / "environment.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    wheels, project = tmp_path / "wheels", tmp_path / "project"
    (project / "requirements").mkdir(parents=True)
    wheels.mkdir()
    (project / "backend.py").write_text(BACKEND)
    (project / "pyproject.toml").write_text(
        '[project]\nname = "small"\nversion = "1"\n[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    with zipfile.ZipFile(wheels / "leaf-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("leaf.py", "")
        wheel.writestr("leaf-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: leaf\nVersion: 1\n")
        wheel.writestr("leaf-1.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("leaf-1.dist-info/RECORD", "")
    for name, value in {"FIND_LINKS": str(wheels), "NO_INDEX": "1", "CACHE_DIR": str(tmp_path / "cache")}.items():
        monkeypatch.setenv(f"UV_{name}", value)
    places = {"PROJECT": project, "HERE": project / "requirements", "VENV": project / ".venv", "STAMP": project / ".venv" / "stamp"}
    for name, place in places.items():
        monkeypatch.setattr(module, name, place)
    return module


def write_requirements(module: ModuleType, digest: str) -> None:
    for level in LEVELS:
        (module.HERE / f"{level}.txt").write_text(f"leaf==1 --hash=sha256:{digest}\n")
    for device in DEVICES:
        (module.HERE / f"{device}.txt").write_text(f"# XGBoost for a {device}\n")


def test_a_package_whose_hash_differs_is_not_installed(installer: ModuleType, tmp_path: Path) -> None:
    """A wrong hash ends the installation; the right one installs, is not done twice, and is done again where the checkout moved."""
    uv = installer.find_uv()
    assert uv is not None
    digest = hashlib.sha256((tmp_path / "wheels" / "leaf-1-py3-none-any.whl").read_bytes()).hexdigest()
    write_requirements(installer, digest[::-1])
    assert not installer.prepare(uv, "run")
    python = installer.VENV / "bin" / "python"
    has_leaf = [str(python), "-c", "import leaf"]
    assert subprocess.run(has_leaf, capture_output=True, check=False).returncode == 1
    write_requirements(installer, digest)
    assert installer.prepare(uv, "dev")
    assert subprocess.run(has_leaf, check=False).returncode == 0
    version = subprocess.run([str(python), "-V"], capture_output=True, text=True, check=True).stdout.split()[1]
    assert version == ".".join(map(str, sys.version_info[:3]))
    nothing = Path("/nonexistent/uv")
    assert installer.prepare(nothing, "dev")
    assert installer.prepare(nothing, "run")
    with pytest.raises(FileNotFoundError):
        installer.prepare(nothing, "bench")
    moved = installer.PROJECT.rename(tmp_path / "moved")
    installer.PROJECT, installer.HERE, installer.VENV = moved, moved / "requirements", moved / ".venv"
    installer.STAMP = moved / ".venv" / "stamp"
    with pytest.raises(FileNotFoundError):
        installer.prepare(nothing, "dev")


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ("", ("dev", False)),
        ("--no-dev", ("run", False)),
        ("--no-dev --extra gpu", ("run", True)),
        ("--no-dev --extra ray --extra gpu", ("ray", True)),
        ("--no-dev --extra s3", ("s3", False)),
        ("--extra gpu --group bench", ("bench", True)),
        ("--extra", (None, False)),
    ],
)
def test_sync_takes_a_level_and_gpu_libraries(installer: ModuleType, words: str, asked: tuple[str | None, bool]) -> None:
    """Each level may come with them, whatever the order of the words."""
    assert installer.asked_of_sync(words.split()) == asked


def test_gpu_libraries_stay_once_asked_for(installer: ModuleType, tmp_path: Path) -> None:
    """A later command keeps them, and `sync` without the word takes them away again."""
    uv = installer.find_uv()
    digest = hashlib.sha256((tmp_path / "wheels" / "leaf-1-py3-none-any.whl").read_bytes()).hexdigest()
    write_requirements(installer, digest)
    nothing = Path("/nonexistent/uv")
    assert installer.prepare(uv, "run", gpu=True, exactly=True)
    assert installer.prepare(nothing, "run")
    assert installer.prepare(uv, "dev")
    assert installer.STAMP.read_text().startswith("dev+gpu ")
    assert installer.prepare(uv, "run", exactly=True)
    assert installer.STAMP.read_text().startswith("run ")
    with pytest.raises(FileNotFoundError):
        installer.prepare(nothing, "run", gpu=True)


def test_bytecode_is_kept_where_python_may_not_write_it_beside_sources(installer: ModuleType, tmp_path: Path) -> None:
    """With PYTHONDONTWRITEBYTECODE, what is imported is compiled once, inside the environment; without it, as ever."""
    digest = hashlib.sha256((tmp_path / "wheels" / "leaf-1-py3-none-any.whl").read_bytes()).hexdigest()
    write_requirements(installer, digest)
    assert installer.prepare(installer.find_uv(), "run")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    import_leaf = [str(installer.VENV / "bin" / "python"), "-c", "import leaf"]
    subprocess.run(import_leaf, check=True, env=environment | {"PYTHONDONTWRITEBYTECODE": "1"})
    assert [path.name.partition(".")[0] for path in installer.VENV.glob("pycache/**/leaf.*.pyc")] == ["leaf"]
    assert not list(installer.VENV.glob("lib/**/__pycache__/leaf.*"))
    subprocess.run(import_leaf, check=True, env=environment)
    assert list(installer.VENV.glob("lib/**/__pycache__/leaf.*"))
