"""Pictures of instrument responses."""

import astropy.units as u
import matplotlib.pyplot as plt
import numpy as np
import pytest

from gpudl4.core.errors import GeometryError
from gpudl4.interchange import to_gammapy
from gpudl4.irf import EDispMap, PSFKernel, PSFMap
from gpudl4.maps import MapAxis, RegionGeom
from gpudl4.plot import plot_containment_radius, plot_edisp_kernel
from tests.factory import make_dataset


@pytest.mark.parametrize("reco_psf", [False, True])
def test_containment_radius_of_a_gaussian(reco_psf):
    dataset = make_dataset(reco_psf=reco_psf)
    ax = plot_containment_radius(dataset.psf, fraction=(0.68,), position=dataset.counts.geom.center_skydir)
    (line,) = ax.lines
    sigma = np.linspace(0.2, 0.1, 3 if reco_psf else 5)
    assert np.allclose(line.get_ydata(), sigma * np.sqrt(-2 * np.log(1 - 0.68)), rtol=0.02)
    assert ax.get_xlabel() == ("Energy [TeV]" if reco_psf else "True energy [TeV]")


def test_edisp_matrix():
    dataset = make_dataset()
    kernel = dataset.edisp.get_edisp_kernel()
    ax = plot_edisp_kernel(kernel)
    assert np.allclose(np.asarray(ax.collections[0].get_array()).ravel(), np.asarray(kernel.pdf_matrix).T.ravel())
    assert ax.get_ylabel() == "Energy [TeV]"


@pytest.fixture(scope="module")
def both():
    """A dataset, and the same in gammapy."""
    pytest.importorskip("gammapy")
    dataset = make_dataset(models=None)
    return dataset, to_gammapy([dataset])[0]


def lines(ax):
    """Numbers along x and y of all lines of a picture."""
    return [np.array([line.get_xdata(orig=False), line.get_ydata(orig=False)], dtype=float) for line in ax.lines]


def same_lines(mine, other, **tolerance):
    mine, other = lines(mine), lines(other)
    assert len(mine) == len(other) > 0
    for one, two in zip(mine, other, strict=True):
        np.testing.assert_allclose(one, two, **tolerance)


def test_methods_draw_what_gammapys_draw(both):
    mine, other = both
    same = {"rtol": 1e-5, "equal_nan": True}
    draw = {
        "containment": lambda d: d.psf.plot_containment_radius_vs_energy(ax=plt.figure().add_subplot(), fraction=(0.5, 0.8, 0.9)),
        "profile": lambda d: d.psf.plot_psf_vs_rad(ax=plt.figure().add_subplot(), energy_true=[2, 8] * u.TeV),
        "bias": lambda d: d.edisp.get_edisp_kernel().plot_bias(ax=plt.figure().add_subplot()),
    }
    for name, function in draw.items():
        same_lines(function(mine), function(other), **(same if name != "containment" else {"rtol": 0.01}))
    for color_bar in (False, True):
        meshes = [
            d.edisp.get_edisp_kernel().plot_matrix(ax=plt.figure().add_subplot(), add_cbar=color_bar, norm=plt.Normalize(0, 1))
            for d in (mine, other)
        ]
        values = [np.ravel(ax.collections[0].get_array()) for ax in meshes]
        np.testing.assert_allclose(*values, rtol=1e-5, atol=1e-9)
        assert (meshes[0].collections[0].colorbar is not None) is color_bar
        assert meshes[0].get_xlim() == pytest.approx(meshes[1].get_xlim())
        assert meshes[0].get_ylim() == pytest.approx(meshes[1].get_ylim())


def test_methods_draw_on_the_current_axes_with_the_given_style():
    dataset = make_dataset(models=None)
    kernel = dataset.edisp.get_edisp_kernel()
    for draw in (dataset.psf.plot_containment_radius_vs_energy, dataset.psf.plot_psf_vs_rad, kernel.plot_bias):
        ax = plt.figure().add_subplot()
        assert draw(color="red", lw=3) is ax
        assert {line.get_linewidth() for line in ax.lines} == {3}
    assert kernel.plot_matrix(ax=plt.figure().add_subplot(), cmap="Blues").collections[0].cmap.name == "Blues"


def test_overviews_have_their_panels():
    dataset = make_dataset(models=None)
    figure = dataset.psf.peek()
    assert tuple(figure.get_size_inches()) == (12, 10)
    titles = {ax.get_title() for ax in figure.axes}
    assert {"Containment radius at the centre", "Point spread function at the centre"} < titles
    radius = next(ax for ax in figure.axes if ax.get_title().startswith("68 % containment radius at 1 TeV"))
    np.testing.assert_allclose(radius.images[0].get_array(), dataset.psf.containment_radius_map(1 * u.TeV).data)
    figure = dataset.edisp.peek(figsize=(9, 4))
    assert tuple(figure.get_size_inches()) == (9, 4)
    assert [ax.get_title() for ax in figure.axes[:2]] == ["Bias", "Energy dispersion"]
    true = MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=4, name="energy_true")
    assert EDispMap.from_diagonal_response(true).peek().axes
    assert make_dataset(models=None, reco_psf=True).psf.peek().axes
    energy = MapAxis.from_energy_bounds("10 GeV", "100 GeV", nbin=4, name="energy_true")
    psf = PSFMap.from_gauss(energy, sigma=0.2 * u.deg, geom=RegionGeom.create("icrs;circle(0, 0, 1)"))
    psf.exposure_map = None
    text = [text.get_text() for ax in psf.peek().axes for text in ax.texts]
    assert text[0] == "none"
    assert u.Quantity(text[1]).to_value("deg") == pytest.approx(0.2 * 1.51, rel=0.02)


def test_psf_kernels():
    dataset = make_dataset(models=None)
    kernel = dataset.psf.get_psf_kernel(dataset.exposure.geom)
    ax = kernel.plot_kernel(energy=3 * u.TeV, add_cbar=True)
    np.testing.assert_allclose(ax.images[0].get_array(), kernel.data[2])
    np.testing.assert_allclose(kernel.plot_kernel().images[0].get_array(), kernel.to_image().data[0])
    assert [ax.get_title() for ax in kernel.peek().axes[:2]] == ["All energies", "At 1 TeV"]
    flat = PSFKernel.from_gauss(dataset.exposure.geom.to_image(), 0.1 * u.deg)
    with pytest.raises(GeometryError, match="no energy axis"):
        flat.peek()
