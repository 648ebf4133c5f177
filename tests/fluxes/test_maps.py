"""`FluxMaps` on the sky against gammapy, files both ways, and the rules at the door."""

import numpy as np
import pytest

from gpudl4.core.errors import BackendError, DataFileError, DatasetError
from gpudl4.estimators import FluxMaps, FluxPoints
from gpudl4.models import PowerLawSpectralModel
from tests.factory import get_library


def flux_maps(library="gpudl4"):
    lib = get_library(library)
    axis = lib.maps.MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=2, name="energy")
    geom = lib.maps.WcsGeom.create(npix=(4, 3), binsz=0.5, axes=[axis])
    norm = lib.maps.Map.from_geom(geom, data=1 + np.arange(24.0).reshape((2, 3, 4)))
    maps = {"norm": norm, "norm_err": norm * 0.1, "ts": norm * 3, "success": lib.maps.Map.from_geom(geom, data=np.ones((2, 3, 4), bool))}
    model = lib.models.PowerLawSpectralModel(index=2.3)
    if library == "gpudl4":
        return FluxMaps(maps, model)
    from gammapy.estimators import FluxMaps as Peer

    return Peer(maps, model)


@pytest.mark.parametrize("sed_type", ["dnde", "flux", "likelihood"])
def test_flux_maps_go_both_ways(tmp_path, sed_type):
    from gammapy.estimators import FluxMaps as Peer

    ours, theirs = flux_maps(), flux_maps("gammapy")
    for name in ("dnde", "flux_err", "eflux", "e2dnde", "sqrt_ts"):
        np.testing.assert_allclose(getattr(ours, name).data, getattr(theirs, name).data, rtol=1e-12)
    ours.write(tmp_path / "ours.fits", sed_type=sed_type)
    theirs.write(tmp_path / "theirs.fits", sed_type=sed_type)
    for back in (FluxMaps.read(tmp_path / "ours.fits"), FluxMaps.read(tmp_path / "theirs.fits"), Peer.read(tmp_path / "ours.fits")):
        np.testing.assert_allclose(back.dnde.data, ours.dnde.data, rtol=1e-6)  # maps are written as they are; gammapy's in float32
        assert back.reference_spectral_model.index.value == 2.3
    points, other = ours.get_flux_points(), theirs.get_flux_points()
    np.testing.assert_allclose(points.dnde.data, other.dnde.data, rtol=1e-12)
    assert isinstance(points, FluxPoints)


def test_from_maps_tells_the_sed_type():
    ours = flux_maps()
    maps = ours.to_maps("flux")
    again = FluxMaps.from_maps(maps, reference_model=PowerLawSpectralModel(index=2.3))
    np.testing.assert_allclose(again.norm.data, ours.norm.data, rtol=1e-12)
    with pytest.raises(DatasetError, match="SED type is required"):
        FluxMaps.from_maps({"ts": ours.ts})
    with pytest.raises(DatasetError, match="'likelihood': 'norm'"):
        FluxMaps.from_maps({"ts": ours.ts}, sed_type="likelihood")


def test_what_is_no_set_of_fluxes(device):
    ours = flux_maps()
    with pytest.raises(DatasetError, match="need a map 'norm'"):
        FluxMaps({}, None)
    with pytest.raises(DatasetError, match="need a reference_model"):
        FluxMaps({"norm": ours.norm}, None)
    with pytest.raises(DatasetError, match="need an axis 'energy'"):
        FluxMaps({"norm": ours.norm.sum_over_axes(keepdims=False)}, PowerLawSpectralModel())
    with pytest.raises(BackendError, match=r"norm are on a device: call .to_host"):
        FluxMaps({"norm": ours.norm.to_device(device)}, PowerLawSpectralModel())


def test_slices_and_quantities_by_name():
    ours = flux_maps()
    np.testing.assert_array_equal(ours["norm"].data, ours.norm.data)
    assert ours.slice_by_idx({"energy": slice(1, 2)}).geom.data_shape == (1, 3, 4)
    assert ours.all_quantities("flux")[:3] == ["flux", "flux_err", "flux_errp"]
    assert ours.sed_type_plot_default == "dnde"
    assert (ours.has_ul, ours.has_any_ts, ours.has_stat_profiles, ours.has_success) == (False, True, False, True)


def test_reference_model_of_hdus_is_that_which_they_name(tmp_path, recwarn):
    from astropy.io import fits

    flux_maps().write(tmp_path / "fluxes.fits", filename_model=tmp_path / "model.yaml")
    with fits.open(tmp_path / "fluxes.fits") as hdulist:
        assert FluxMaps.from_hdulist(hdulist, checksum=True).reference_spectral_model.index.value == 2.3
        other = FluxMaps.from_hdulist(hdulist, reference_model=PowerLawSpectralModel(index=3.1))
        assert other.reference_spectral_model.index.value == 3.1
        assert not recwarn.list
        text = (tmp_path / "model.yaml").read_text() + "checksum: 0\n"
        (tmp_path / "model.yaml").write_text(text)
        with pytest.warns(UserWarning, match="Checksum verification failed"):
            FluxMaps.from_hdulist(hdulist, checksum=True)
        with pytest.warns(UserWarning, match="Checksum verification failed"):
            FluxMaps.read(tmp_path / "fluxes.fits", checksum=True)
        (tmp_path / "model.yaml").unlink()
        with pytest.raises(DataFileError, match=r"model\.yaml"):
            FluxMaps.from_hdulist(hdulist)
