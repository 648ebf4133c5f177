"""Plot tests need matplotlib; every test starts and ends without open figures."""

import pytest

pyplot = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(autouse=True)
def no_figures_left():
    pyplot.close("all")
    yield
    pyplot.close("all")
