import sys

import pytest

import gpudl4.visualization
from tests.factory import make_dataset


@pytest.mark.parametrize("verb", ["peek", "plot_residuals", "plot_residuals_spatial", "plot_residuals_spectral"])
def test_verbs_call_the_plotting_functions_of_their_names(verb, monkeypatch):
    plots = pytest.importorskip("gpudl4.plot.datasets")
    calls = []
    monkeypatch.setattr(plots, verb, lambda dataset, **kwargs: calls.append((dataset, kwargs)) or "figure")
    dataset = make_dataset(models=None)
    assert getattr(dataset, verb)() == "figure"
    assert calls[0][0] is dataset


def test_unknown_keywords_are_refused():
    pytest.importorskip("matplotlib")
    with pytest.raises(TypeError, match="colour"):
        make_dataset(models=None).plot_residuals_spatial(colour="red")


def test_facade_offers_what_plot_offers():
    plot = pytest.importorskip("gpudl4.plot")
    for name in plot.__all__:
        assert getattr(gpudl4.visualization, name) is getattr(plot, name)
    assert dir(gpudl4.visualization) == sorted(plot.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'plot_nonsense'"):
        gpudl4.visualization.plot_nonsense  # noqa: B018
    assert "gpudl4.plot" in sys.modules
