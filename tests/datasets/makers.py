"""Datasets of each kind for tests, equal in gpudl4 and gammapy, and the comparison of two of them field by field.

`make_kind("SpectrumDatasetOnOff", library="gammapy")` is what ``make_kind("SpectrumDatasetOnOff")`` is in gpudl4. Seeds give other counts,
acceptances, exposures, responses and masks, so that stacking has something to average.
"""

import contextlib

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import Table

from gpudl4.core.backend import to_host
from gpudl4.datasets.fields import field_table, main_map
from tests.factory import CENTRE, get_library, make_dataset

KINDS = ("MapDataset", "MapDatasetOnOff", "SpectrumDataset", "SpectrumDatasetOnOff")


def make_kind(kind, name="test", seed=0, library="gpudl4", edisp="kernel", mask=True, n_reco=4, n_true=6, psf=True):
    """Dataset of a kind; see the module. Maps have no PSF where `psf` is False, spectra never."""
    lib = get_library(library)
    if kind.startswith("Spectrum"):
        return _spectrum(lib, kind, name, seed, edisp, mask, n_reco, n_true)
    dataset = make_dataset(name=name, models=None, random_state=seed, edisp=edisp, mask=mask, library=library)
    rng = np.random.RandomState(seed)
    dataset.exposure.data *= np.float32(rng.uniform(0.5, 2))
    if not psf:
        dataset.psf = None
    for irf in (dataset.psf, dataset.edisp):
        if irf is not None:
            irf.exposure_map.data = rng.uniform(0.5, 2, irf.exposure_map.data.shape).astype("float32") * 1e10
            irf._irf_map.data = (irf._irf_map.data * rng.uniform(0.8, 1, irf._irf_map.data.shape[-2:])).astype("float32")
    if mask and seed:
        dataset.mask_safe.data[:, :, 24 - 3 * seed :] = False
        # Not next to rows of response pixels: whether a mask touches those is left to rounding in gammapy.
        dataset.mask_safe.data[:seed, :10] = False
    dataset.meta_table = Table({"TELESCOP": ["CTA"], "OBS_ID": [str(seed)]})
    if kind == "MapDatasetOnOff":
        return lib.datasets.MapDatasetOnOff.from_map_dataset(dataset, **_off(lib, dataset.counts.geom, rng), name=name)
    return dataset


def _off(lib, geom, rng):
    shape = geom.data_shape
    arrays = {
        "counts_off": rng.poisson(2.0, shape),
        "acceptance": rng.uniform(0.5, 1.5, shape),
        "acceptance_off": rng.uniform(2, 6, shape),
    }
    return {key: lib.maps.Map.from_geom(geom, data=values.astype("float32")) for key, values in arrays.items()}


def _spectrum(lib, kind, name, seed, edisp, mask, n_reco, n_true):
    from regions import CircleSkyRegion

    rng = np.random.RandomState(seed)
    axis = lib.maps.MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=n_reco, name="energy")
    axis_true = lib.maps.MapAxis.from_energy_bounds("0.5 TeV", "20 TeV", nbin=n_true, name="energy_true")
    region = CircleSkyRegion(SkyCoord(*CENTRE["icrs"], unit="deg"), 0.2 * u.deg)
    geom = lib.maps.RegionGeom.create(region, axes=[axis])
    create = lib.maps.Map.from_geom
    shape = geom.data_shape
    exposure = rng.uniform(1, 2, (n_true, 1, 1)).astype("float32") * 1e10
    fields = {
        "counts": create(geom, data=rng.poisson(20, shape).astype("float32")),
        "exposure": create(geom.to_image().to_cube([axis_true]), data=exposure, unit="m2 s", meta={"livetime": (1000 + seed) * u.s}),
        "gti": lib.data.GTI.create([seed * 5000] * u.s, [seed * 5000 + 1000] * u.s, reference_time="2020-01-01"),
        "meta_table": Table({"TELESCOP": ["CTA"], "OBS_ID": [str(seed)]}),
    }
    geom_edisp = geom.to_image().to_cube([axis, axis_true])
    if edisp == "kernel":
        kernel = lib.irf.EDispKernelMap.from_gauss(axis, axis_true, sigma=0.1 + 0.05 * seed, bias=0.02, geom=geom)
        kernel.edisp_map.data = kernel.edisp_map.data.astype("float32")
        kernel.exposure_map.data = exposure[:, np.newaxis].copy()
        fields["edisp"] = kernel
    elif edisp == "migra":
        migra = lib.maps.MapAxis.from_bounds(0.2, 3, nbin=80, node_type="edges", name="migra")
        geom_edisp = geom.to_image().to_cube([migra, axis_true])
        fields["edisp"] = lib.irf.EDispMap.from_geom(geom_edisp)
        fields["edisp"].exposure_map.data = exposure[:, np.newaxis].copy()
    if mask:
        safe = np.ones(shape, dtype=bool)
        safe[: seed % 3] = False
        fit = np.ones(shape, dtype=bool)
        fit[-1] = False
        fields["mask_safe"], fields["mask_fit"] = create(geom, data=safe), create(geom, data=fit)
    if kind == "SpectrumDataset":
        fields["background"] = create(geom, data=rng.uniform(5, 10, shape).astype("float32"))
    else:
        fields |= _off(lib, geom, rng)
    return getattr(lib.datasets, kind)(**fields, name=name)


@contextlib.contextmanager
def exact_masks():
    """gammapy, with the mask of energy dispersion kernels interpolated on the sky only.

    It interpolates the mask in energy too, at energies where it is known. By rounding the next energy has a weight of 1e-16 there, and any
    weight counts, so that bins below the threshold of a run get its energy dispersion.
    """
    from gammapy.datasets import MapDataset
    from gammapy.maps import Map

    original = MapDataset.mask_safe_edisp

    def mask_safe_edisp(self):
        if self.mask_safe is None or self.edisp is None or self.mask_safe.geom.is_region:
            return original.fget(self)
        geom = self.edisp.edisp_map.geom.squash("energy_true")
        if "migra" in geom.axes.names:
            return original.fget(self)
        planes = [plane.interp_to_geom(geom.to_image(), fill_value=None).data for plane in self.mask_safe.iter_by_image()]
        return Map.from_geom(geom, data=np.stack(planes)[np.newaxis])

    MapDataset.mask_safe_edisp = property(mask_safe_edisp)
    try:
        yield
    finally:
        MapDataset.mask_safe_edisp = original


def assert_agree(ours, theirs, tolerance=1e-6, skip=()):
    """All maps of two datasets are equal to a fraction of each map's maximum, exposures of responses, shapes, axes and types included."""
    for field in field_table(ours.tag):
        mine, other = ours._values[field.name], getattr(theirs, field.name)
        if field.name in skip or field.kind in ("gti", "table"):
            continue
        assert (mine is None) == (other is None), field.name
        if mine is None:
            continue
        _agree(main_map(field, mine), main_map(field, other), tolerance, field.name)
        if field.kind in ("psf", "edisp") and other.exposure_map is not None:
            _agree(mine.exposure_map, other.exposure_map, tolerance, f"{field.name} exposure")


def _agree(mine, other, tolerance, what):
    assert mine.geom.axes.names == list(other.geom.axes.names), what
    assert mine.data.shape == other.data.shape, what
    assert str(mine.unit) == str(other.unit), what
    for axis, peer in zip(mine.geom.axes, other.geom.axes, strict=True):
        np.testing.assert_allclose(axis.edges.to_value(peer.unit), peer.edges.value, rtol=1e-9, err_msg=what)
    data, wanted = to_host(mine.data), other.data
    assert (data.dtype == bool) == (wanted.dtype == bool), what
    scale = np.nanmax(np.abs(np.where(np.isfinite(wanted), wanted, 0).astype(float)))
    np.testing.assert_allclose(data.astype(float), wanted.astype(float), rtol=0, atol=tolerance * max(scale, 1e-300), err_msg=what)
