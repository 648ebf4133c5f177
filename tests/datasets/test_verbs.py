import inspect
import sys

import pytest

import gpudl4.visualization
from tests.factory import make_dataset


@pytest.mark.parametrize("verb", ["peek", "plot_overview", "plot_residuals", "plot_residuals_spatial", "plot_residuals_spectral"])
def test_verbs_call_the_plotting_functions_of_their_names(verb, monkeypatch):
    plots = pytest.importorskip("gpudl4.plot.datasets")
    calls = []
    monkeypatch.setattr(plots, verb, lambda dataset, **kwargs: calls.append((dataset, kwargs)) or "figure")
    dataset = make_dataset(models=None)
    assert getattr(dataset, verb)() == "figure"
    assert calls[0][0] is dataset


def test_signatures_are_those_of_gammapy():
    pytest.importorskip("matplotlib")
    theirs = pytest.importorskip("gammapy.datasets")
    from gammapy.estimators import FluxPoints as TheirPoints

    from gpudl4 import datasets
    from gpudl4.estimators import FluxPoints

    spectra = ["plot_fit", "plot_counts", "plot_masks", "plot_excess", "peek"]
    verbs = {
        "SpectrumDataset": spectra,
        "SpectrumDatasetOnOff": spectra,
        "FluxPointsDataset": ["plot_fit", "plot_residuals", "plot_spectrum"],
    }
    pairs = [(getattr(datasets, kind), getattr(theirs, kind), names) for kind, names in verbs.items()]
    for ours, peer, names in [*pairs, (FluxPoints, TheirPoints, ["plot", "plot_ts_profiles"])]:
        for name in names:
            found, wanted = (list(inspect.signature(getattr(one, name)).parameters) for one in (ours, peer))
            assert found == wanted, f"{ours.__name__}.{name}"


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
