"""Holds the floors of docs/architecture.md: imports go down, and each outside library has one home.

At the level of a module an import must point to the own folder or to a lower floor. Inside a function it may also point upwards if the
module and the function are in `UPWARD_VERBS`: the verbs that users expect on a class (``Map.read``, ``dataset.peek``).
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

FLOORS = {
    "core": 0,
    "kernels": 0,
    "maps": 1,
    "stats": 1,
    "irf": 2,
    "models": 2,
    "io": 3,
    "likelihood": 3,
    "fluxes": 3,
    "datasets": 4,
    "fit": 5,
    "plot": 6,
    "estimators": 6,
    "cli": 7,
}
FACADES = {"modeling", "data", "visualization", "interchange"}

# Outside libraries and the only folders that may import them, at module level or inside a function.
HOMES = {
    "iminuit": {"fit"},
    "matplotlib": {"plot"},
    "cupy": {"core", "kernels"},
    "cupyx": {"core", "kernels"},
    "gammapy": {"interchange"},
}

# Imports between two folders of one floor: the kernels raise the errors of everybody else.
SIDEWAYS = {("kernels", "gpudl4.core.errors")}

# Modules and the functions in them that may import a higher floor inside their body: reading, writing and plotting.
UPWARD_VERBS = {
    "gpudl4.core.gti": {"read", "write"},
    "gpudl4.maps.axis_verbs": {"format_plot_xaxis", "format_plot_yaxis"},
    "gpudl4.maps.map": {"read", "write"},
    "gpudl4.maps.region": {"plot_region"},
    "gpudl4.maps.maps_container": {"read", "write"},
    "gpudl4.maps.region_map": {"plot", "plot_hist", "plot_mask", "read", "write"},
    "gpudl4.maps.wcs_map": {"plot", "plot_grid", "plot_mask"},
    "gpudl4.irf.core": {"read", "write", "from_hdulist", "to_hdulist"},
    "gpudl4.irf.edisp": {"read"},
    "gpudl4.irf.edisp_kernel": {"read", "write", "from_hdulist", "to_hdulist"},
    "gpudl4.irf.verbs": {"peek", "plot_bias", "plot_containment_radius_vs_energy", "plot_kernel", "plot_matrix", "plot_psf_vs_rad"},
    "gpudl4.models.covariance": {"plot_correlation"},
    "gpudl4.models.collection": {"from_dict", "read", "write"},
    "gpudl4.models.places": {"plot_positions", "plot_regions"},
    "gpudl4.models.spatial.base": {"plot", "plot_error", "plot_position_error"},
    "gpudl4.models.spectral.base": {"plot", "plot_error"},
    "gpudl4.fluxes.maps": {"read", "write"},
    "gpudl4.fluxes.points": {"plot", "plot_ts_profiles", "read", "write"},
    "gpudl4.datasets.verbs": {
        "peek",
        "plot_counts",
        "plot_excess",
        "plot_fit",
        "plot_masks",
        "plot_overview",
        "plot_residuals",
        "plot_residuals_spatial",
        "plot_residuals_spectral",
        "plot_spectrum",
    },
}


def module_name(path):
    """Dotted name under which a source file is imported."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    if parts[0] == "kernels":
        parts = ("gpudl4", *parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def folder_of(name):
    """Folder of a gpudl4 module: "maps" for gpudl4.maps.axes, "" for the package itself."""
    parts = name.split(".")
    if len(parts) == 1:
        return ""
    return "cli" if parts[1] == "__main__" else parts[1]


class ImportCollector(ast.NodeVisitor):
    """Collects (module, imported names, enclosing function or None, line) of every import, dynamic ones with a constant name too."""

    def __init__(self, package):
        self.package, self.functions, self.found = package, [], []

    def add(self, node, target, names=()):
        self.found.append((target, tuple(names), self.functions[-1] if self.functions else None, node.lineno))

    def visit_FunctionDef(self, node):
        self.functions.append(node.name)
        self.generic_visit(node)
        self.functions.pop()

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Import(self, node):
        for alias in node.names:
            self.add(node, alias.name)

    def visit_ImportFrom(self, node):
        target = node.module or ""
        if node.level:
            base = self.package.split(".")
            base = base[: len(base) - (node.level - 1)]
            target = ".".join([*base, target]) if target else ".".join(base)
        names = [alias.name for alias in node.names]
        if target == "gpudl4":  # `from .. import maps` names folders
            for name in names:
                self.add(node, f"gpudl4.{name}" if name in FLOORS or name in FACADES else "gpudl4", [name])
        else:
            self.add(node, target, names)

    def visit_Call(self, node):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in ("import_module", "__import__") and node.args and isinstance(node.args[0], ast.Constant):
            self.add(node, str(node.args[0].value))
        self.generic_visit(node)


def violations(source, name, is_package=False):
    """Sentences that say what is wrong with the imports of a module.

    Parameters
    ----------
    source : str
        Text of the module.
    name : str
        Dotted name, e.g. ``gpudl4.maps.axes``.
    is_package : bool
        True for an ``__init__.py``.
    """
    own = folder_of(name)
    collector = ImportCollector(name if is_package else name.rpartition(".")[0])
    collector.visit(ast.parse(source))
    wrong = []
    for target, names, function, line in collector.found:
        where = f"{name}:{line}"
        library = target.split(".")[0]
        if library != "gpudl4":
            if own not in HOMES.get(library, {own}):
                homes = ", ".join(sorted(HOMES[library])) or "nowhere"
                wrong.append(f"{where} imports {library}, which may only be imported in: {homes}")
            continue
        if own == "" or own in FACADES:
            continue
        folder = folder_of(target)
        if folder == "":
            if target != "gpudl4" or not set(names) <= {"__version__"}:
                wrong.append(f"{where} imports {', '.join(names) or target} from the front door; import it from its folder")
        elif folder in FACADES:
            wrong.append(f"{where} imports the facade {folder}/")
        elif folder not in FLOORS:
            wrong.append(f"{where} imports {folder}/, which has no floor in docs/architecture.md")
        elif folder == own or (own, target) in SIDEWAYS:
            continue
        elif FLOORS[folder] >= FLOORS[own] and function not in UPWARD_VERBS.get(name, ()):
            inside = f" in {function}()" if function else ""
            wrong.append(f"{where} (floor {FLOORS[own]}) imports {target} (floor {FLOORS[folder]}){inside}")
    return wrong


def sources():
    """Every Python file of the package."""
    return sorted([*(ROOT / "gpudl4").rglob("*.py"), *(ROOT / "kernels").rglob("*.py")])


def test_every_folder_has_a_floor():
    folders = {path.parent.name for path in (ROOT / "gpudl4").glob("*/__init__.py")} | {"kernels"}
    assert folders <= set(FLOORS) | FACADES, "give the new folder a floor here and in docs/architecture.md"


def test_floors_here_are_those_of_the_documentation():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for folder, floor in FLOORS.items():
        row = next((line for line in text.splitlines() if line.startswith("|") and f"`{folder}/`" in line), None)
        assert row is not None, f"docs/architecture.md has no row for {folder}/"
        assert row.split("|")[1].strip() == str(floor)


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down(path):
    assert violations(path.read_text(encoding="utf-8"), module_name(path), path.name == "__init__.py") == []


@pytest.mark.parametrize(
    ("name", "source", "expected"),
    [
        ("gpudl4.maps.axes", "from ..datasets import MapDataset", "imports gpudl4.datasets"),
        ("gpudl4.maps.axes", "from gpudl4.irf.psf import PSFMap", "imports gpudl4.irf.psf"),
        ("gpudl4.maps.axes", "from .. import fit", "imports gpudl4.fit"),
        ("gpudl4.maps.axes", "from gpudl4 import MapDataset", "front door"),
        ("gpudl4.maps.axes", "import gpudl4.modeling", "facade"),
        ("gpudl4.irf.psf", "from ..models import SkyModel", "imports gpudl4.models"),
        ("gpudl4.maps.map", "def smooth():\n    from ..plot import maps", "in smooth()"),
        ("gpudl4.maps.axes", "def read():\n    from ..io import gadf", "in read()"),
        ("gpudl4.maps.axes", "import importlib\nimportlib.import_module('gpudl4.fit')", "imports gpudl4.fit"),
        ("gpudl4.kernels._cuda", "from ..core.backend import to_host", "imports gpudl4.core.backend"),
        ("gpudl4.plot.maps", "import iminuit", "imports iminuit"),
        ("gpudl4.fit.minuit", "def run():\n    import matplotlib.pyplot as plt", "imports matplotlib"),
        ("gpudl4.maps.axes", "from cupyx.scipy import ndimage", "imports cupyx"),
        ("gpudl4.maps.axes", "import importlib\nimportlib.import_module('cupy')", "imports cupy"),
        ("gpudl4", "import gammapy.maps", "only be imported in: interchange"),
        ("gpudl4.maps.axes", "try:\n    import matplotlib\nexcept ImportError:\n    pass", "imports matplotlib"),
    ],
)
def test_planted_violations_are_found(name, source, expected):
    found = violations(source, name)
    assert len(found) == 1
    assert expected in found[0]


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("gpudl4.maps.axes", "import numpy as np\nfrom ..core.errors import GeometryError\nfrom .wcs import WcsGeom"),
        ("gpudl4.maps.map", "def read(path):\n    from ..io import gadf"),
        ("gpudl4.io.gadf", "from .. import __version__"),
        ("gpudl4.kernels._cuda", "from ..core.errors import BackendError"),
        ("gpudl4.fit.minuit", "def run():\n    from iminuit import Minuit"),
        ("gpudl4.modeling", "from gpudl4.fit import Fit"),
        ("gpudl4.cli.main", "from gpudl4.plot import datasets"),
    ],
)
def test_legal_imports_pass(name, source):
    assert violations(source, name, is_package=name.count(".") == 1) == []
