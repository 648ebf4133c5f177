"""The runner behind docs/coverage.md: its arithmetic, and that each of its cases can be simulated and fitted."""

import numpy as np
import pytest

from benchmarks.pulls import CASES, main, simulate, summary, surprises, table


def test_normal_pulls_are_no_surprise_and_others_are():
    pulls = np.random.default_rng(5).normal(size=4000)
    numbers = summary(pulls)
    assert numbers["mean"][0] == pytest.approx(pulls.mean())
    assert numbers["within 1"][0] == pytest.approx(0.683, abs=0.03)
    assert surprises(numbers) == []
    assert "mean" in surprises(summary(pulls + 0.2))
    assert set(surprises(summary(1.3 * pulls))) == {"width", "within 1", "within 2"}


@pytest.mark.parametrize("name", CASES)
def test_cases(name):
    result = simulate(CASES[name], 4, seed=1, progress=False)
    assert result["failed"] == 0
    assert all(len(pulls) == 4 and np.all(np.abs(pulls) < 6) for pulls in result["pulls"].values())
    assert len({pull for pulls in result["pulls"].values() for pull in pulls}) == 4 * len(result["pulls"])  # drawn anew each time
    assert CASES[name].text in table({name: result})
    if name in ("sparse", "cube-sparse"):
        assert result["empty"] > 0.5


def test_same_seed_same_numbers(tmp_path, capsys):
    first, again = (main(["--cases", "spectrum", "--number", "3", "--json", str(tmp_path / "x.json")]) for _ in range(2))
    assert first["results"] == again["results"]
    assert "SpectrumDataset, cash" in capsys.readouterr().out
