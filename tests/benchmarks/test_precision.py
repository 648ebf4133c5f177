"""The table of device and single precision."""

import pytest

from benchmarks import precision
from tests import emulator
from tests.paths import shared_data


@pytest.mark.skipif(emulator.missing_requirement() is not None, reason=str(emulator.missing_requirement()))
def test_the_table_has_a_line_per_case_and_small_numbers(capsys):
    for name in precision.CASES["cta-point"].files:
        shared_data(*name.split("/"))
    precision.main(["--cases", "cta-point", "--vectors", "2", "--data", str(shared_data())])
    header, _, line = capsys.readouterr().out.splitlines()
    assert header.count("|") == line.count("|")
    name, statistic, spread, device, here, there = (cell.strip() for cell in line.strip("|").split("|"))
    assert name == "cta-point"
    assert float(spread) > 0.1
    assert float(device) < 1e-11 * float(statistic)
    assert 0 < max(float(here), float(there)) < 0.05
