"""Pictures of spectrum datasets: what is drawn is what the dataset holds, and what gammapy draws."""

import astropy.units as u
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex

from gpudl4.core.errors import DatasetError
from gpudl4.datasets import MapDataset, SpectrumDatasetOnOff
from gpudl4.models import LogParabolaSpectralModel, PowerLawSpectralModel, SkyModel
from tests.datasets.makers import make_kind
from tests.paths import shared_data

KINDS = ["SpectrumDataset", "SpectrumDatasetOnOff"]


def model():
    return SkyModel(PowerLawSpectralModel(amplitude="1e-13 cm-2 s-1 TeV-1"), name="source")


def bars(ax, number=0):
    """x, y, and lower and upper ends of the vertical bars of a container of points."""
    line, _, collections = ax.containers[number].lines
    ends = np.array([segment[:, 1] if len(segment) else (np.nan, np.nan) for segment in collections[-1].get_segments()])
    return tuple(np.asarray(getattr(part, "value", part)) for part in (line.get_xdata(), line.get_ydata(), ends[:, 0], ends[:, 1]))


def steps(ax):
    """Heights of the histograms by label."""
    found = {}
    for patch in ax.patches:
        if isinstance(patch, plt.Polygon):
            found[patch.get_label()] = patch.get_xy()[1:-1:2, 1]
    return found


def spans(ax):
    """(label, low, high) of the shades."""
    shades = [patch for patch in ax.patches if isinstance(patch, plt.Rectangle)]
    return [(patch.get_label(), patch.get_x(), patch.get_x() + patch.get_width()) for patch in shades]


@pytest.mark.parametrize("kind", KINDS)
def test_counts_and_background(kind):
    dataset = make_kind(kind)
    ax = dataset.plot_counts(color="red", kwargs_background={"ls": "--"})
    assert set(steps(ax)) == {"Counts", "Background"}
    assert np.allclose(steps(ax)["Counts"], dataset.counts.data.ravel())
    assert np.allclose(steps(ax)["Background"], dataset.background.data.ravel())
    assert (ax.get_xlabel(), ax.get_xscale(), ax.get_yscale()) == ("Energy [TeV]", "log", "log")
    assert np.allclose(ax.get_xlim(), [1, 10])
    assert [patch.get_linestyle() == "solid" for patch in ax.patches] == [True, False]
    assert all(patch.get_edgecolor()[:3] == (1, 0, 0) for patch in ax.patches)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["Counts", "Background"]


def test_no_background_no_counts():
    dataset = make_kind("SpectrumDataset")
    dataset.background = None
    assert set(steps(dataset.plot_counts())) == {"Counts"}
    with pytest.raises(DatasetError, match="the excess needs counts and background"):
        dataset.plot_excess()
    plt.close("all")
    off = make_kind("SpectrumDatasetOnOff")
    off.counts_off = None
    with pytest.raises(DatasetError, match="the excess needs counts and background"):
        off.plot_fit()
    dataset.counts = None
    for verb in ("plot_counts", "plot_excess", "plot_fit", "peek", "plot_residuals"):
        with pytest.raises(DatasetError, match="'test' has no counts to plot"):
            getattr(dataset, verb)()
    assert not plt.get_fignums()


@pytest.mark.parametrize("kind", KINDS)
def test_excess_and_its_error(kind):
    dataset = make_kind(kind)
    dataset.models = [model()]
    ax = dataset.plot_excess()
    x, y, low, high = bars(ax)
    excess = (dataset.counts.data - dataset.background.data).ravel()
    variance = dataset.counts.data.ravel()
    if "OnOff" in kind:
        variance = variance + (dataset.alpha.data**2 * dataset.counts_off.data).ravel()
    assert np.allclose(x, dataset.counts.geom.axes["energy"].center.value)
    assert np.allclose(y, excess)
    assert np.allclose(high - y, np.sqrt(variance))
    assert np.allclose(y - low, np.sqrt(variance))
    assert np.allclose(steps(ax)["Predicted signal counts"], dataset.npred_signal().data.ravel())


def test_fit_without_models_shows_the_excess_only():
    dataset = make_kind("SpectrumDatasetOnOff")
    upper, lower = dataset.plot_fit()
    assert not steps(upper)
    assert np.allclose(bars(upper)[1], (dataset.counts.data - dataset.background.data).ravel())
    inside = dataset.mask.data.ravel()
    assert np.allclose(bars(lower)[1][inside], (dataset.counts - dataset.npred()).data.ravel()[inside])


def test_energies_outside_the_mask_have_no_residual():
    dataset = make_kind("SpectrumDatasetOnOff", seed=1)
    dataset.models = [model()]
    assert dataset.mask.data.ravel().tolist() == [False, True, True, False]
    for axes in (dataset.plot_fit(), (None, dataset.plot_residuals()), (None, dataset.plot_residuals_spectral())):
        assert np.isfinite(bars(axes[1])[1]).tolist() == [False, True, True, False]


@pytest.mark.parametrize("method", ["diff", "diff/sqrt(model)"])
def test_fit_panels_and_arguments(method):
    dataset = make_kind("SpectrumDatasetOnOff", mask=False)
    dataset.models = [model()]
    spectrum = {"kwargs_excess": {"color": "blue", "marker": "s"}, "kwargs_npred_signal": {"color": "green", "ls": "--"}}
    residuals = {"method": method, "color": "red", "markersize": 7}
    upper, lower = dataset.plot_fit(kwargs_spectrum=spectrum, kwargs_residuals=residuals)
    assert spectrum["kwargs_excess"] == {"color": "blue", "marker": "s"}
    assert residuals == {"method": method, "color": "red", "markersize": 7}
    assert (upper.get_xlabel(), lower.get_xlabel()) == ("", "Energy [TeV]")
    assert lower.get_ylabel().startswith("Residuals\n")
    assert "√" in lower.get_ylabel() or method == "diff"
    assert upper.containers[0].lines[0].get_color() == "blue"
    assert lower.containers[0].lines[0].get_markersize() == 7
    prediction = dataset.npred().data
    scale = 1 if method == "diff" else np.sqrt(prediction)
    variance = dataset.counts.data + dataset.alpha.data**2 * dataset.counts_off.data
    _, y, low, high = bars(lower)
    assert np.allclose(y, ((dataset.counts.data - prediction) / scale).ravel())
    assert np.allclose((high - low) / 2, (np.sqrt(variance) / scale).ravel())
    axes = plt.figure().subplots(2, 1)
    assert dataset.plot_fit(*axes) == tuple(axes)
    assert axes[0].get_xlabel() == "Energy [TeV]"
    with pytest.raises(DatasetError, match="give both axes"):
        dataset.plot_fit(ax_spectrum=axes[0])


def test_masks_with_gaps_are_shaded_run_by_run():
    dataset = make_kind("SpectrumDataset", mask=False, n_reco=5)
    assert not spans(dataset.plot_masks())
    dataset.mask_safe = dataset.counts.copy(data=np.array([1, 1, 0, 1, 0], dtype=bool).reshape(5, 1, 1))
    dataset.mask_fit = dataset.counts.copy(data=np.array([0, 1, 1, 1, 1], dtype=bool).reshape(5, 1, 1))
    ax = dataset.plot_masks(ax=plt.figure().add_subplot(), kwargs_fit={"color": "pink"})
    edges = dataset.counts.geom.axes["energy"].edges.value
    expected = [("Mask fit", edges[1], edges[5]), ("Mask safe", edges[0], edges[2]), ("_nolegend_", edges[3], edges[4])]
    assert [label for label, *_ in spans(ax)] == [label for label, *_ in expected]
    assert np.allclose([rest for _, *rest in spans(ax)], [rest for _, *rest in expected])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["Mask fit", "Mask safe"]
    dataset.mask_safe.data[:] = False
    assert [label for label, *_ in spans(dataset.plot_masks(ax=plt.figure().add_subplot()))] == ["Mask fit"]


def test_what_comes_later_converts_and_limits_grow():
    dataset = make_kind("SpectrumDatasetOnOff")
    ax = plt.figure().add_subplot()
    ax.xaxis.set_units(u.GeV)
    dataset.plot_counts(ax)
    dataset.plot_masks(ax)
    assert ax.get_xlabel() == "Energy [GeV]"
    assert np.allclose(ax.get_xlim(), [1000, 10000])
    assert all(label == "_nolegend_" or 1000 <= low < high <= 10001 for label, low, high in spans(ax))
    other = make_kind("SpectrumDataset").slice_by_idx({"energy": slice(1, 3)})
    other.plot_counts(ax)
    assert np.allclose(ax.get_xlim(), [1000, 10000])


def test_several_spectra_on_one_picture_have_their_own_colours():
    ax = plt.figure().add_subplot()
    for seed in range(3):
        dataset = make_kind("SpectrumDatasetOnOff", seed=seed)
        dataset.models = [model()]
        dataset.plot_excess(ax, kwargs_excess={"label": f"run {seed}"})
    colors = [container.lines[0].get_color() for container in ax.containers if hasattr(container, "has_yerr")]
    assert len(set(colors)) == 3
    predictions = [patch for patch in ax.patches if isinstance(patch, plt.Polygon)]
    assert [to_hex(patch.get_edgecolor()) for patch in predictions[1:]] == [to_hex(color) for color in colors[1:]]


@pytest.mark.parametrize("kind", KINDS)
def test_peek(kind):
    dataset = make_kind(kind)
    figure = dataset.peek(figsize=(12, 3))
    assert figure.get_size_inches().tolist() == [12, 3]
    counts, exposure, edisp = figure.axes[:3]
    assert set(steps(counts)) == {"Counts", "Background"}
    assert np.allclose(exposure.lines[0].get_ydata(), dataset.exposure.data.ravel())
    assert exposure.get_ylabel() == "Exposure [m² s]"
    assert exposure.get_xlabel() == "True energy [TeV]"
    assert np.allclose(edisp.collections[0].get_array().T, dataset.edisp.get_edisp_kernel().pdf_matrix)
    dataset.edisp = dataset.exposure = None
    counts, exposure, edisp = dataset.peek().axes[:3]
    assert [text.get_text() for text in (*exposure.texts, *edisp.texts)] == ["none", "none"]


def test_map_dataset_on_a_region():
    spectrum = make_kind("SpectrumDataset")
    fields = {key: value for key, value in spectrum._values.items() if key != "psf"}
    dataset = MapDataset(**fields, name="region")
    assert len(dataset.peek().axes) == 3
    assert bars(dataset.plot_residuals_spectral(ax=plt.figure().add_subplot()))[1].size == 4
    for verb in ("plot_residuals", "plot_residuals_spatial"):
        with pytest.raises(DatasetError, match="'region' is of a region, which has no pixels: use plot_residuals_spectral"):
            getattr(dataset, verb)()


def test_spatial_residuals_of_a_spectrum_are_refused():
    with pytest.raises(NotImplementedError, match=r"which has no pixels: use plot_residuals\(\)"):
        make_kind("SpectrumDataset").plot_residuals_spatial()


@pytest.mark.parametrize("draw", [lambda d: d.plot_fit(), lambda d: d.peek(), lambda d: d.plot_counts()])
@pytest.mark.parametrize("kind", KINDS)
def test_same_on_a_device(kernel_device, kind, draw):
    from tests.plot.test_device import same_picture

    host = make_kind(kind)
    host.models = [model()]
    same_picture(draw, host.to_device(kernel_device), host)


@pytest.mark.parametrize("name", ["hess/pha_obs23523.fits", "fermi/pha_obs0.fits", "magic/pha_obs5029747.fits"])
def test_real_spectra_are_drawn_as_gammapy_draws_them(name):
    datasets, models = pytest.importorskip("gammapy.datasets"), pytest.importorskip("gammapy.modeling.models")
    path = shared_data("joint-crab", *name.split("/"))
    values = {"amplitude": 3.8e-11 / u.Unit("cm2 s TeV"), "reference": 1 * u.TeV, "alpha": 2.5, "beta": 0.1}
    ours, theirs = SpectrumDatasetOnOff.read(path), datasets.SpectrumDatasetOnOff.read(path)
    ours.models = [SkyModel(LogParabolaSpectralModel(**values), name="crab")]
    theirs.models = [models.SkyModel(models.LogParabolaSpectralModel(**values), name="crab")]
    upper, lower = ours.plot_fit()
    plt.figure()  # gammapy clears the current one
    their_upper, their_lower = theirs.plot_fit()
    assert lower.get_xlabel() == "Energy [TeV]"  # keV there
    inside = ours.mask_safe.data.ravel()
    for mine, other, used in ((upper, their_upper, slice(None)), (lower, their_lower, inside)):
        found, wanted = bars(mine), bars(other)
        assert np.allclose(found[0], wanted[0] * 1e-9, rtol=1e-6)
        for part, there in zip(found[1:], wanted[1:], strict=True):
            missing = np.isnan(there) & np.isfinite(part)
            assert (ours.counts_off.data.ravel()[missing] == 0).all()  # gammapy draws no error of a residual without off counts
            np.testing.assert_allclose(part[used], np.where(missing, part, there)[used], rtol=1e-4, atol=1e-4)
    label = "Predicted signal counts"
    np.testing.assert_allclose(steps(upper)[label], steps(their_upper)[label], rtol=1e-4, atol=1e-4)
    shades, their_shades = spans(upper), spans(their_upper)
    assert len(shades) == len(their_shades) == 1
    assert np.allclose(shades[0][1:], np.array(their_shades[0][1:]) * 1e-9, rtol=1e-6)
