import inspect
import sys

import pytest

import gpudl4.visualization
from tests.factory import make_dataset


@pytest.mark.parametrize("verb", ["peek", "plot_overview", "plot_residuals", "plot_residuals_spatial", "plot_residuals_spectral"])
def test_verbs_call_the_plotting_functions_of_their_names(verb, monkeypatch):
    plots = pytest.importorskip("gpudl4.plot.datasets")
    calls = []
    monkeypatch.setattr(plots, verb, lambda dataset, *args, **kwargs: calls.append((dataset, args, kwargs)) or "figure")
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
    maps = ["peek", "plot_residuals", "plot_residuals_spatial", "plot_residuals_spectral", "from_hdulist"]
    verbs = {
        "MapDataset": maps,
        "MapDatasetOnOff": maps[:-1],
        "SpectrumDataset": spectra,
        "SpectrumDatasetOnOff": spectra,
        "FluxPointsDataset": ["plot_fit", "plot_residuals", "plot_spectrum"],
    }
    pairs = [(getattr(datasets, kind), getattr(theirs, kind), names) for kind, names in verbs.items()]
    from gammapy import irf as their_irf
    from gammapy import maps as their_maps
    from gammapy.data import GTI as TheirGTI
    from gammapy.modeling import models as their_models

    from gpudl4 import irf, maps
    from gpudl4.data import GTI
    from gpudl4.modeling import models

    pairs += [
        (FluxPoints, TheirPoints, ["plot", "plot_ts_profiles"]),
        (GTI, TheirGTI, ["read"]),
        (models.Models, their_models.Models, ["plot_regions", "plot_positions"]),
        (maps.RegionGeom, their_maps.RegionGeom, ["plot_region"]),
        (maps.RegionNDMap, their_maps.RegionNDMap, ["plot", "plot_hist", "plot_mask"]),
        (maps.WcsNDMap, their_maps.WcsNDMap, ["plot", "plot_grid", "plot_mask"]),
        (maps.MapAxis, their_maps.MapAxis, ["format_plot_xaxis", "format_plot_yaxis"]),
        (maps.TimeMapAxis, their_maps.TimeMapAxis, ["format_plot_xaxis"]),
        (irf.PSFMap, their_irf.PSFMap, ["peek", "plot_containment_radius_vs_energy", "plot_psf_vs_rad"]),
        (irf.EDispKernel, their_irf.EDispKernel, ["peek", "plot_matrix", "plot_bias"]),
        (irf.EDispKernelMap, their_irf.EDispKernelMap, ["peek"]),
        (irf.PSFKernel, their_irf.PSFKernel, ["peek", "plot_kernel"]),
    ]
    for ours, peer, names in pairs:
        for name in names:
            found, wanted = (list(inspect.signature(getattr(one, name)).parameters) for one in (ours, peer))
            assert found[: len(wanted)] == wanted, f"{ours.__name__}.{name}"
            assert found == wanted or name in ("read", "from_hdulist"), f"{ours.__name__}.{name}"
    spectrum, peer = models.PowerLawSpectralModel, their_models.PowerLawSpectralModel
    for name in ("plot", "plot_error", "evaluate_error", "integral_error", "energy_flux_error", "spectral_index", "spectral_index_error"):
        found, wanted = (set(inspect.signature(getattr(one, name)).parameters) for one in (spectrum, peer))
        assert wanted - found <= {"kwargs", "n_samples", "random_state", "samples"}, name


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
