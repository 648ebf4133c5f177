"""An exposure map larger than the counts map: folded there and cropped, so that a source beside the counts leaks in."""

import astropy.units as u
import numpy as np
import pytest

import gpudl4
from gpudl4.core.backend import to_host
from gpudl4.core.errors import GeometryError
from gpudl4.likelihood import assert_gradient, compile
from tests.factory import get_library, make_dataset

MARGIN = 12  # pixels of 0.1 deg on each side
INSIDE = slice(MARGIN, -MARGIN)


def _pair(library="gpudl4", reco_psf=False, models=True):
    """The same field with counts everywhere and a mask, and with counts in the middle only; a Gaussian lies 1 deg beside the counts."""
    lib = get_library(library)
    large = make_dataset(npix=(24 + 2 * MARGIN, 20 + 2 * MARGIN), mask=False, models=None, reco_psf=reco_psf, library=library)
    rad_axis = lib.maps.MapAxis.from_bounds(0, 2.4, nbin=120, node_type="edges", name="rad", unit="deg")
    cls, axis = (
        (lib.irf.RecoPSFMap, large.counts.geom.axes["energy"]) if reco_psf else (lib.irf.PSFMap, large.exposure.geom.axes["energy_true"])
    )
    geom = large.psf.psf_map.geom.to_image()
    large.psf = cls.from_gauss(axis, rad_axis=rad_axis, sigma=np.linspace(0.5, 0.4, axis.nbin) * u.deg, geom=geom)
    image = large.counts.geom.to_image()
    small_geom = image.cutout(image.center_skydir, width=(2.4, 2.0) * u.deg).to_cube([large.counts.geom.axes["energy"]])
    fields = {
        name: lib.maps.Map.from_geom(small_geom, data=getattr(large, name).data[:, INSIDE, INSIDE].copy(), unit="")
        for name in ("counts", "background")
    }
    safe = np.ones(small_geom.data_shape, dtype=bool)
    safe[:, :2] = False
    small = lib.datasets.MapDataset(
        **fields,
        exposure=large.exposure,
        psf=large.psf,
        edisp=large.edisp,
        mask_safe=lib.maps.Map.from_geom(small_geom, data=safe),
        name="small",
    )
    mask = np.zeros(large.counts.geom.data_shape, dtype=bool)
    mask[:, INSIDE, INSIDE] = safe
    large.mask_safe = lib.maps.Map.from_geom(large.counts.geom, data=mask)
    m = lib.models

    def sources():
        edge = image.center_skydir.directional_offset_by(90 * u.deg, 0 * u.deg)
        gauss = m.GaussianSpatialModel(lon_0=edge.l + 2.2 * u.deg, lat_0=edge.b + 0.2 * u.deg, sigma="0.1 deg", frame="galactic")
        point = m.PointSpatialModel(lon_0=edge.l - 0.12 * u.deg, lat_0=edge.b + 0.13 * u.deg, frame="galactic")
        amplitudes = "3e-11 cm-2 s-1 TeV-1", "3e-12 cm-2 s-1 TeV-1"
        spectra = [m.PowerLawSpectralModel(index=2.2, amplitude=amplitude, reference="2 TeV") for amplitude in amplitudes]
        return [m.SkyModel(spectra[0], gauss, name="beside"), m.SkyModel(spectra[1], point, name="inside")]

    if models:
        small.models = large.models = sources()
    return small, large


@pytest.mark.parametrize("reco_psf", [False, True])
def test_the_same_as_the_larger_dataset_cropped(kernel_backend, reco_psf):
    small, large = _pair(reco_psf=reco_psf)
    models = small.models
    small, large = small.to_device(kernel_backend), large.to_device(kernel_backend)
    small.models = large.models = models
    got, want = to_host(small.npred().data), to_host(large.npred().data)[:, INSIDE, INSIDE]
    assert got.shape == small.counts.data.shape
    np.testing.assert_allclose(got, want, rtol=1e-12)
    leaked = to_host(small.npred_signal(["beside"]).data)
    assert leaked.sum() > 10
    assert small.stat_sum() == pytest.approx(large.stat_sum(), rel=1e-13)
    one, other = compile(small), compile(large)
    theta = one.theta0 + 0.003
    theta = np.where([n.endswith("amplitude") for n in one.names], one.theta0, theta)
    value, gradient = one.value_and_gradient(theta)
    assert (value, gradient.tolist()) == (other.value_and_gradient(theta)[0], other.value_and_gradient(theta)[1].tolist())
    np.testing.assert_array_equal(one.hessian(theta), other.hessian(theta))
    assert_gradient(one, theta, rtol=1e-6)


def test_a_fit_sees_the_source_beside_the_counts():
    small, _ = _pair()
    small.fake(random_state=1)
    for model in small.models:
        model.spatial_model.freeze()
    truth = small.models["beside"].spectral_model.amplitude.value
    small.models["beside"].spectral_model.amplitude.value *= 1.5
    small.models["beside"].spectral_model.index.frozen = True
    result = gpudl4.Fit().run(small)
    assert result.success
    amplitude = small.models["beside"].spectral_model.amplitude
    assert abs(amplitude.value - truth) < 4 * amplitude.error
    assert amplitude.error < 0.2 * truth
    assert result.total_stat == pytest.approx(small.stat_sum(), rel=1e-12)


def test_exposures_that_do_not_contain_the_counts():
    small, large = _pair(models=False)
    with pytest.raises(GeometryError, match="exposure"):
        large.exposure = small.exposure.cutout(large.counts.geom.center_skydir, width="1 deg")
    shifted = large.counts.geom.to_image()
    lon, lat = shifted.center_skydir.l.deg, shifted.center_skydir.b.deg
    lib = get_library()
    other = lib.maps.WcsGeom.create(skydir=(lon + 0.03, lat), npix=(48, 44), binsz=0.1, frame="galactic", axes=large.exposure.geom.axes)
    with pytest.raises(GeometryError, match="exposure"):
        small.exposure = lib.maps.Map.from_geom(other, data=np.ones(other.data_shape), unit="cm2 s")


@pytest.mark.peer
def test_the_same_as_gammapy():
    pytest.importorskip("gammapy")
    ours, _ = _pair()
    theirs, _ = _pair("gammapy")
    got, want = ours.npred().data, theirs.npred().data
    assert np.abs(got - want).max() < 1e-6 * want.max()
