"""The wheel holds everything: the package list is written by hand, and a folder left out of it is missed only after an install."""

import importlib.metadata
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
KERNEL_SOURCES = ("*.py", "*.cu", "*.cuh")


def declared_packages():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"]


def existing_packages(root):
    """Names of the packages that lie under a checkout."""
    found = {".".join(path.parent.relative_to(root).parts) for path in (root / "gpudl4").rglob("__init__.py")}
    found |= {".".join(("gpudl4", *path.parent.relative_to(root).parts)) for path in (root / "kernels").rglob("__init__.py")}
    return found


def test_package_list_is_complete():
    assert sorted(declared_packages()) == sorted(existing_packages(ROOT))


def test_planted_package_is_noticed(tmp_path):
    for folder in ("gpudl4", "gpudl4/maps", "gpudl4/maps/deep", "kernels"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").touch()
    assert existing_packages(tmp_path) == {"gpudl4", "gpudl4.maps", "gpudl4.maps.deep", "gpudl4.kernels"}


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory):
    """File names in a wheel that was built from a copy of the sources."""
    try:
        version = importlib.metadata.version("setuptools")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("setuptools is not installed")
    if int(version.split(".")[0]) < 77:
        pytest.skip(f"building needs setuptools >= 77, this environment has {version}")
    copy = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy / name)
    for name in ("gpudl4", "kernels"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "*.nb[ic]"))
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(out), str(copy)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = out.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_wheel_holds_every_module(wheel_names):
    wanted = {path.relative_to(ROOT).as_posix() for path in (ROOT / "gpudl4").rglob("*.py")}
    assert wanted - wheel_names == set()


def test_wheel_holds_marker_and_kernel_sources(wheel_names):
    wanted = {f"gpudl4/{path.relative_to(ROOT).as_posix()}" for pattern in KERNEL_SOURCES for path in (ROOT / "kernels").rglob(pattern)}
    assert {"gpudl4/kernels/__init__.py", "gpudl4/kernels/cash.cu", "gpudl4/kernels/common.cuh"} <= wanted
    assert wanted - wheel_names == set()
    assert "gpudl4/py.typed" in wheel_names


def test_wheel_holds_nothing_else(wheel_names):
    metadata = {name for name in wheel_names if ".dist-info/" in name}
    assert any(name.endswith("entry_points.txt") for name in metadata)
    assert {name.split("/")[0] for name in wheel_names - metadata} == {"gpudl4"}
