"""Datasets of one sky region for tests, the same in gpudl4 and gammapy, made up or read from the joint Crab data."""

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord

from .factory import get_library
from .paths import shared_data

CENTER = SkyCoord(83.63, 22.01, unit="deg", frame="icrs")


def region_of(kind):
    """Region by name: circle, ellipse, rectangle, point or None."""
    import regions

    return {
        "circle": lambda: regions.CircleSkyRegion(CENTER, 0.2 * u.deg),
        "ellipse": lambda: regions.EllipseSkyRegion(CENTER, 0.5 * u.deg, 0.3 * u.deg, 30 * u.deg),
        "rectangle": lambda: regions.RectangleSkyRegion(CENTER, 0.6 * u.deg, 0.35 * u.deg),
        "none": lambda: None,
    }[kind]()


def make_region_dataset(
    name="test", region="circle", psf=True, edisp="kernel", n_true=12, n_reco=6, counts=None, seed=1, background=True, mask=True,
    binsz_wcs="0.1 deg", wide=True, library="gpudl4", **kwargs,
):  # fmt: skip
    """MapDataset on a `RegionGeom`.

    Parameters
    ----------
    region : {"circle", "ellipse", "rectangle", "none"}
    psf : bool or "reco"
        With a PSF in true (or reconstructed) energy.
    edisp : {"kernel", "migra", None}
    n_true, n_reco : int
    counts : array, optional
        By default random numbers around a falling spectrum.
    binsz_wcs : str
        Pixels of the region's projection.
    wide : bool
        The projection has an image of 5 deg, as that of a map has from which a region was taken; else one that just holds the region.
    library : {"gpudl4", "gammapy"}
    """
    lib = get_library(library)
    maps, irf = lib.maps, lib.irf
    axis = maps.MapAxis.from_energy_bounds("1 TeV", "20 TeV", nbin=n_reco, name="energy")
    axis_true = maps.MapAxis.from_energy_bounds("0.5 TeV", "40 TeV", nbin=n_true, name="energy_true")
    image = maps.WcsGeom.create(skydir=CENTER, width=5, binsz=float(binsz_wcs.split()[0]), proj="TAN", frame="icrs")
    geom = maps.RegionGeom(region_of(region), axes=[axis], wcs=image.wcs if wide else None, binsz_wcs=binsz_wcs)
    geom_true = geom.to_image().to_cube([axis_true])
    rng = np.random.RandomState(seed)
    expected = 300 * np.linspace(1, 0.1, n_reco) / n_reco
    data = rng.poisson(expected) if counts is None else counts
    fields = {
        "counts": maps.RegionNDMap(geom, data=np.asarray(data, dtype="float32").reshape(-1, 1, 1)),
        "exposure": maps.RegionNDMap(
            geom_true, data=(3e9 * np.linspace(0.5, 1.5, n_true)).astype("float32").reshape(-1, 1, 1), unit="m2 s"
        ),
    }
    if background:
        fields["background"] = maps.RegionNDMap(geom, data=(0.3 * expected).astype("float32").reshape(-1, 1, 1))
    if psf:
        rad_axis = maps.MapAxis.from_bounds(0, 0.9, nbin=90, node_type="edges", name="rad", unit="deg")
        of = axis if psf == "reco" else axis_true
        sigma = np.linspace(0.2, 0.08, of.nbin) * u.deg
        cls = irf.RecoPSFMap if psf == "reco" else irf.PSFMap
        image = maps.WcsGeom.create(skydir=CENTER, npix=(3, 3), binsz=2, frame="icrs")
        fields["psf"] = cls.from_gauss(of, rad_axis=rad_axis, sigma=sigma, geom=image)
    if edisp == "kernel":
        fields["edisp"] = irf.EDispKernelMap.from_gauss(axis, axis_true, sigma=0.15, bias=0.02, geom=geom.to_image())
    elif edisp == "migra":
        migra = maps.MapAxis.from_bounds(0.2, 3, nbin=140, node_type="edges", name="migra")
        shape = np.exp(-0.5 * ((migra.center.value - 1.02) / 0.15) ** 2)
        shape /= (shape * migra.bin_width.value).sum()
        geom_migra = geom.to_image().to_cube([migra, axis_true])
        values = np.broadcast_to(shape[np.newaxis, :, np.newaxis, np.newaxis], geom_migra.data_shape).copy()
        geom_squashed = geom_migra.squash("migra")
        ones = maps.RegionNDMap(geom_squashed, data=np.ones(geom_squashed.data_shape), unit="m2 s")
        fields["edisp"] = irf.EDispMap(maps.RegionNDMap(geom_migra, data=values), ones)
    if mask:
        safe = np.ones(geom.data_shape, dtype=bool)
        safe[0] = n_reco == 1
        fields["mask_safe"] = maps.RegionNDMap(geom, data=safe)
    return lib.datasets.MapDataset(**fields, name=name, **kwargs)


def make_region_model(spatial="point", offset=0.0, name="source", library="gpudl4"):
    """Log parabola with a shape: "point", "gauss", "elongated" or None, shifted north by an offset in deg."""
    m = get_library(library).models
    at = {"lon_0": CENTER.ra + 0.6 * offset * u.deg, "lat_0": CENTER.dec + offset * u.deg, "frame": "icrs"}
    shape = {
        None: lambda: None,
        "point": lambda: m.PointSpatialModel(**at),
        "gauss": lambda: m.GaussianSpatialModel(**at, sigma="0.12 deg"),
        "elongated": lambda: m.GaussianSpatialModel(**at, sigma="0.2 deg", e=0.7, phi="40 deg"),
    }[spatial]()
    spectrum = m.LogParabolaSpectralModel(amplitude="3e-12 cm-2 s-1 TeV-1", reference="2 TeV", alpha=2.2, beta=0.1)
    return m.SkyModel(spectrum, shape, name=name)


def joint_crab(library="gpudl4"):
    """The joint Crab spectra of MAGIC, VERITAS, FACT and H.E.S.S. as cash datasets: counts, alpha times counts_off, exposure, kernel.

    The files are read with gammapy.
    """
    from gammapy.datasets import SpectrumDatasetOnOff

    lib, out = get_library(library), []
    for path in sorted(shared_data("joint-crab").glob("*/pha_*.fits")):
        read = SpectrumDatasetOnOff.read(path)
        if read.counts_off is None or path.parent.name == "fermi":
            continue
        maps = lib.maps
        axes = {n: a.axes[n] for n, a in (("energy", read.counts.geom), ("energy_true", read.exposure.geom))}
        axes = {n: maps.MapAxis.from_edges(a.edges.value, unit=str(a.unit), name=n, interp="log") for n, a in axes.items()}
        geom = maps.RegionGeom(None, axes=[axes["energy"]])
        fields = {
            "counts": maps.RegionNDMap(geom, data=read.counts.data),
            "background": maps.RegionNDMap(geom, data=(read.alpha.data * read.counts_off.data).astype("float32") + np.float32(1e-3)),
            "exposure": maps.RegionNDMap(
                maps.RegionGeom(None, axes=[axes["energy_true"]]), data=read.exposure.data, unit=str(read.exposure.unit)
            ),
            "mask_safe": maps.RegionNDMap(geom, data=read.mask_safe.data),
        }
        kernel = read.edisp.get_edisp_kernel(energy_axis=read.counts.geom.axes["energy"]).pdf_matrix
        geom_edisp = maps.RegionGeom(None, axes=[axes["energy"], axes["energy_true"]])
        data = np.ascontiguousarray(kernel[:, :, np.newaxis, np.newaxis])
        squashed = geom_edisp.squash("energy")
        ones = maps.RegionNDMap(squashed, data=np.ones(squashed.data_shape), unit="m2 s")
        fields["edisp"] = lib.irf.EDispKernelMap(maps.RegionNDMap(geom_edisp, data=data), ones)
        out.append(lib.datasets.MapDataset(**fields, name=path.stem))
    return out
