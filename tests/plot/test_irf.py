"""Pictures of instrument responses."""

import numpy as np
import pytest

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
