"""What the tables of the runners that start processes say about their goals, and what these processes print."""

import json

import pytest

from benchmarks import covariance, memory, startup
from benchmarks.cases import CASES, data_folder


def sizes(**options):
    """Megabytes as `memory.measure` gives them."""
    return {name: 1e6 * number for name, number in {"own": 40, "imports": 190, **options}.items()}


@pytest.mark.parametrize(
    ("ours", "theirs", "verdict"),
    [
        (sizes(peak=300), sizes(peak=310), ""),
        (sizes(peak=420), sizes(peak=430), "! above the goal"),
        (sizes(peak=320), sizes(peak=310), "! above gammapy"),
        (sizes(peak=420), sizes(peak=410), "! above the goal, above gammapy"),
        (sizes(peak=420), None, "! above the goal"),
    ],
)
def test_memory_marks_what_misses(ours, theirs, verdict):
    case = {"gpudl4": ours} if theirs is None else {"gpudl4": ours, "gammapy": theirs}
    cells = [cell.strip() for cell in memory.table({"case": case}).splitlines()[-1].split("|")[1:-1]]
    assert cells[:6] == ["case", "40", "190", f"{ours['peak'] / 1e6:.0f}", f"{ours['peak'] / 1e6 - 190:.0f}", "220"]
    assert cells[-1] == verdict


def test_memory_without_gpudl4():
    assert "310" in memory.table({"case": {"gammapy": sizes(peak=310)}})


def test_memory_of_processes(tmp_path):
    name = "fermi-crab"
    if missing := CASES[name].missing(data_folder()):
        pytest.skip(f"real data not found: {', '.join(missing)} (set GPUDL4_TEST_DATA)")
    path = tmp_path / "memory.json"
    memory.main(["--cases", name, "--packages", "gpudl4", "--json", str(path)])
    own = json.loads(path.read_text(encoding="utf-8"))["cases"][name]["gpudl4"]
    assert 0 < own["own"] < own["imports"] < own["peak"]
    assert own["peak"] - own["imports"] < memory.FACTOR * own["own"] + memory.ROOM


def test_startup_marks_what_misses():
    row = {"what": "compiled", "goal": 3, "lines on stderr": 0, "stat": [1.0]}
    assert startup.line({**row, "seconds": [2.94]}) == ("compiled", "2.9", "3", 0, "1.000000")
    assert startup.line({**row, "seconds": [2.9, 3.1]})[1:3] == ("2.9 to 3.1", "3 !")


def test_covariance_table():
    ways = {"one by one": {"seconds": 2.0, "stat": 5.0, "free": 3}, "at once": {"seconds": 3.0, "stat": 5.0, "free": 3}}
    cells = [cell.strip() for cell in covariance.table({"case": ways}).splitlines()[-1].split("|")[1:-1]]
    assert cells == ["case", "3", "2.00", "3.00", "1.50", "0.0e+00"]
