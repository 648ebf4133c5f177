"""PSF maps and kernels against gammapy on the real files, at several positions."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from gpudl4.io.files import open_fits, write_fits
from gpudl4.irf import PSFMap
from gpudl4.maps import MapAxis, WcsGeom
from tests.irf.cases import FILES, ours, positions, theirs

pytest.importorskip("gammapy")
pytestmark = pytest.mark.peer


@pytest.fixture
def double_precision(monkeypatch):
    """gammapy stores its kernel in float32; in float64 the comparison sees the algorithm alone."""
    import gammapy.irf.psf.map as module

    class DoubleMap(module.Map):
        @staticmethod
        def from_geom(geom, data=None, unit="", dtype="float64"):
            return module_map.from_geom(geom, data=data, unit=unit, dtype=dtype)

    module_map = module.Map
    monkeypatch.setattr(module, "Map", DoubleMap)


@pytest.fixture
def own_energies(monkeypatch):
    """Makes gammapy evaluate the kernel cut at the energies of the kernel, not at those of the PSF map paired by index."""
    import gammapy.irf.psf.map as module

    def patch(energies):
        original = module.PSFMap.containment_radius

        def containment_radius(self, fraction, energy_true=None, position=None, energy=None):
            energy = energy_true if energy is None else energy
            return original(self, fraction, energies if fraction == 0.999 else energy, position)

        monkeypatch.setattr(module.PSFMap, "containment_radius", containment_radius)
        monkeypatch.setattr(
            module.RecoPSFMap,
            "containment_radius",
            lambda self, fraction, energy, position=None: containment_radius(self, fraction, energy, position),
        )

    return patch


def relative_difference(kernel, expected):
    """Largest difference in each plane, relative to the plane's maximum."""
    assert kernel.shape == expected.shape
    peak = expected.max(axis=(1, 2))
    difference = np.abs(kernel - expected).max(axis=(1, 2))
    assert np.all(difference[peak == 0] == 0)
    return difference / np.where(peak > 0, peak, 1)


@pytest.mark.parametrize("name", FILES)
def test_kernel(name, double_precision, own_energies):
    mine, peer = ours(name), theirs(name)
    own_energies(peer.geom.axes[peer.psf.energy_name].center)
    for position in positions(mine.geom, number=3):
        kernel = mine.psf.get_psf_kernel(geom=mine.geom, position=position)
        expected = peer.psf.get_psf_kernel(geom=peer.geom, position=position)
        assert relative_difference(kernel.data, expected.data).max() < 1e-11
        assert kernel.data.dtype == np.float64
    expected = expected.psf_kernel_map.geom
    geom = kernel.psf_kernel_map.geom
    assert geom.data_shape == expected.data_shape
    assert geom.projection == expected.projection
    assert geom.wcs.wcs.crval == pytest.approx(expected.wcs.wcs.crval)
    assert geom.wcs.wcs.cdelt == pytest.approx(expected.wcs.wcs.cdelt)
    assert kernel.width.value == pytest.approx(np.squeeze(expected.width.to_value("deg")))


@pytest.mark.parametrize("name", ["cta", "hawc-5", "hawc-9"])
def test_kernel_of_gammapy_as_it_is(name):
    """Same energies in PSF and kernel: nothing needs to be changed in gammapy, and only its float32 shows."""
    mine, peer = ours(name), theirs(name)
    for position in positions(mine.geom, number=1, seed=1):
        kernel = mine.psf.get_psf_kernel(geom=mine.geom, position=position)
        expected = peer.psf.get_psf_kernel(geom=peer.geom, position=position)
        assert relative_difference(kernel.data, expected.data.astype(np.float64)).max() < 2e-7


@pytest.mark.parametrize(
    ("name", "sizes", "cuts", "expected_cuts"),
    [
        ("fermi-gc", (75, 75), [75, 75, 75, 73, 69, 63, 59, 55, 51, 49, 47, 45], [75, 75, 75, 73, 67, 61, 57, 53, 49, 47, 45, 0]),
        ("fermi-crab", (41, 47), [41, 33, 27, 23, 21], [47, 43, 41, 37, 35]),
    ],
)
def test_kernel_cut_is_paired_by_energy(name, sizes, cuts, expected_cuts):
    """The deliberate difference: gammapy takes the n-th PSF energy's radius for the n-th kernel energy, here they are other energies."""
    mine, peer = ours(name), theirs(name)
    position = mine.geom.center_skydir
    kernel = mine.psf.get_psf_kernel(geom=mine.geom, position=position).data
    expected = peer.psf.get_psf_kernel(geom=peer.geom, position=position).data
    assert (kernel.shape[-1], expected.shape[-1]) == sizes
    assert extent(kernel) == cuts
    assert extent(expected) == expected_cuts


def extent(kernel):
    """Width in pixels of the part of each plane that is not zero."""
    return [int((plane != 0).any(axis=0).sum()) for plane in kernel]


def test_kernel_options(double_precision):
    mine, peer = ours("cta"), theirs("cta")
    position = SkyCoord(0.7, 0.3, unit="deg", frame="galactic")
    for options in ({"max_radius": 0.2 * u.deg}, {"containment": 0.9}, {"max_radius": 1 * u.deg, "precision_factor": 3}):
        kernel = mine.psf.get_psf_kernel(geom=mine.geom, position=position, **options)
        expected = peer.psf.get_psf_kernel(geom=peer.geom, position=position, **options)
        assert relative_difference(kernel.data, expected.data).max() < 1e-11, options
    default = mine.psf.get_psf_kernel(geom=mine.geom)
    assert relative_difference(default.data, peer.psf.get_psf_kernel(geom=peer.geom).data).max() < 1e-11


@pytest.mark.parametrize("projection", ["TAN", "ARC", "AIT"])
def test_kernel_in_other_projections(projection, double_precision):
    from gammapy.maps import MapAxis as PeerAxis
    from gammapy.maps import WcsGeom as PeerGeom

    mine, peer = ours("cta"), theirs("cta")
    skydir = SkyCoord(266.4, -28.9, unit="deg")
    geoms = []
    for axis_class, geom_class in ((MapAxis, WcsGeom), (PeerAxis, PeerGeom)):
        axis = axis_class.from_energy_bounds("0.03 TeV", "50 TeV", nbin=20, name="energy_true")
        geoms.append(geom_class.create(skydir=skydir, binsz=(0.05, 0.03), width=2, proj=projection, frame="icrs", axes=[axis]))
    kernel = mine.psf.get_psf_kernel(geom=geoms[0], position=skydir)
    expected = peer.psf.get_psf_kernel(geom=geoms[1], position=skydir)
    assert relative_difference(kernel.data, expected.data).max() < 1e-9


@pytest.mark.parametrize("name", FILES)
def test_containment(name):
    mine, peer = ours(name), theirs(name)
    axis = mine.psf.psf_map.geom.axes[mine.psf.energy_name]
    energy = np.geomspace(axis.edges[0] * 1.01, axis.edges[-1] * 0.99, 7)
    rad = np.array([0, 1e-3, 0.08, 0.3, 1.1, 40])[:, np.newaxis] * u.deg
    for position in positions(mine.geom, number=2):
        containment = mine.psf.containment(rad, energy, position)
        expected = peer.psf.containment(rad, energy, position)
        assert containment.shape == expected.shape
        np.testing.assert_allclose(containment.value, expected.value, rtol=0, atol=1e-12 * expected.value.max())
        for fraction in (0.68, 0.95):
            radius = mine.psf.containment_radius(fraction, energy, position)
            expected = peer.psf.containment_radius(fraction, energy, position)
            assert radius.unit == expected.unit
            np.testing.assert_allclose(radius.value, expected.value, rtol=0, atol=1e-12)
    default, expected = mine.psf.containment(rad, energy), peer.psf.containment(rad, energy)
    if not mine.psf.has_single_spatial_bin:
        np.testing.assert_allclose(default.value, expected.value, rtol=0, atol=1e-12)


def test_containment_radius_outside_of_the_axis():
    mine, peer = ours("cta"), theirs("cta")
    energy = [0.01, 1, 100] * u.TeV
    np.testing.assert_allclose(mine.psf.containment_radius(0.68, energy).value, peer.psf.containment_radius(0.68, energy).value)


def test_containment_radius_map():
    mine, peer = ours("hawc-5"), theirs("hawc-5")
    radius = mine.psf.containment_radius_map(10 * u.TeV, fraction=0.68)
    expected = peer.psf.containment_radius_map(10 * u.TeV)
    assert radius.unit == expected.unit
    np.testing.assert_allclose(radius.data, expected.data, atol=1e-12)


@pytest.mark.parametrize("name", FILES)
def test_fits_both_ways(name, tmp_path):
    import gammapy.irf

    mine, peer = ours(name).psf, theirs(name).psf
    write_fits(mine.to_hdulist(), tmp_path / "ours.fits")
    peer.write(tmp_path / "theirs.fits")
    back = gammapy.irf.PSFMap.read(tmp_path / "ours.fits")
    assert type(back).__name__ == type(peer).__name__
    with open_fits(tmp_path / "theirs.fits") as hdulist:
        again = PSFMap.from_hdulist(hdulist)
    assert type(again) is type(mine)
    for first, second in ((back, peer), (again, mine)):
        np.testing.assert_array_equal(first.psf_map.data, second.psf_map.data)
        assert first.psf_map.unit == second.psf_map.unit
        assert first.psf_map.geom.axes == second.psf_map.geom.axes
        assert (first.exposure_map is None) == (second.exposure_map is None)
        if first.exposure_map is not None:
            np.testing.assert_array_equal(first.exposure_map.data, second.exposure_map.data)


def test_from_gauss():
    from gammapy.irf import PSFMap as PeerMap
    from gammapy.maps import MapAxis as PeerAxis

    arguments = {"energy_min": "1 TeV", "energy_max": "10 TeV", "nbin": 3, "name": "energy_true"}
    sigma = [0.1, 0.05, 0.2] * u.deg
    psf = PSFMap.from_gauss(MapAxis.from_energy_bounds(**arguments), sigma=sigma)
    expected = PeerMap.from_gauss(PeerAxis.from_energy_bounds(**arguments), sigma=sigma)
    np.testing.assert_allclose(psf.psf_map.data, expected.psf_map.data, rtol=1e-12)
    np.testing.assert_array_equal(psf.exposure_map.data, expected.exposure_map.data)
    assert psf.psf_map.unit == expected.psf_map.unit


def test_kernel_from_gauss():
    from gammapy.irf import PSFKernel as PeerKernel
    from gammapy.maps import WcsGeom as PeerGeom

    from gpudl4.irf import PSFKernel

    arguments = {"skydir": (83.6, 22.0), "binsz": 0.05, "width": 3}
    for options in ({}, {"max_radius": 0.4 * u.deg}, {"factor": 2}):
        kernel = PSFKernel.from_gauss(WcsGeom.create(**arguments), 0.13 * u.deg, **options)
        expected = PeerKernel.from_gauss(PeerGeom.create(**arguments), 0.13 * u.deg, **options)
        np.testing.assert_allclose(kernel.data, expected.data, rtol=0, atol=1e-10 * expected.data.max())


def test_kernel_from_spatial_model():
    from gammapy.irf import PSFKernel as PeerKernel
    from gammapy.maps import WcsGeom as PeerGeom
    from gammapy.modeling.models import GaussianSpatialModel as PeerGaussian

    from gpudl4.irf import PSFKernel
    from gpudl4.models import GaussianSpatialModel

    arguments = {"skydir": (83.6, 22.0), "binsz": 0.05, "width": 3, "frame": "icrs"}
    options = {"sigma": "0.2 deg", "e": 0.6, "phi": "30 deg"}
    model = GaussianSpatialModel(**options)
    kernel = PSFKernel.from_spatial_model(model, WcsGeom.create(**arguments), max_radius=0.5 * u.deg)
    expected = PeerKernel.from_spatial_model(PeerGaussian(**options), PeerGeom.create(**arguments), max_radius=0.5 * u.deg)
    np.testing.assert_allclose(kernel.data, expected.data, rtol=0, atol=1e-9 * expected.data.max())
    assert (model.lon_0.value, model.lat_0.value) == (0, 0)


def test_kernel_to_image():
    mine, peer = ours("cta"), theirs("cta")
    kernel = mine.psf.get_psf_kernel(geom=mine.geom)
    expected = peer.psf.get_psf_kernel(geom=peer.geom)
    exposure = np.geomspace(1, 5, 20)
    for options in ({}, {"exposure": exposure}, {"keepdims": False}):
        image, peer_image = kernel.to_image(**options), expected.to_image(**options)
        np.testing.assert_allclose(image.data, peer_image.data, rtol=0, atol=3e-7 * peer_image.data.max())


def test_nearest_valid_position():
    """Far outside of the map both take the nearest pixel with values."""
    mine, peer = ours("hawc-5"), theirs("hawc-5")
    outside = SkyCoord(83.63, 40, unit="deg")
    expected = peer.psf._get_nearest_valid_position(outside)
    with pytest.warns(UserWarning, match="nearest valid position"):
        position = mine.psf.nearest_valid_position(outside)
    assert position.separation(expected).arcsec < 1e-6
