"""Products of the Fermi tools: counts and exposure cubes, PSF (gtpsf) and energy dispersion (gtdrm), as maps, responses, or a dataset.

`read_fermi` joins the four files of one component of an analysis to the fields of a map dataset. Each file alone is read by the classes:
``Map.read`` (ccube, bexpcube, templates), ``PSFMap.read(format="gtpsf")``, ``EDispKernel.read(format="gtdrm")``.
"""

import numpy as np

from gpudl4.core.errors import DataFileError, DatasetError
from gpudl4.core.reading import reading
from gpudl4.irf import EDispKernel, EDispKernelMap, PSFMap
from gpudl4.maps.ogip_read import column, energy_axis, find_table

from .files import expand_path, open_fits

__all__ = ["psf_hdulist", "read_drm", "read_fermi", "read_psf"]


def read_psf(hdulist, where="the file"):
    """PSF of an open gtpsf file.

    Parameters
    ----------
    hdulist : `~astropy.io.fits.HDUList`
        File with the tables PSF (Energy in MeV, Exposure in cm2 s, Psf in sr-1) and THETA (Theta in deg).
    where : str
        Name of the file, for messages.

    Returns
    -------
    psf : `~gpudl4.irf.PSFMap`
        Without a region. Energies and angles are nodes, not bins.

    Raises
    ------
    DataFileError
        If a table or a column is missing, or their sizes differ.
    """
    from gpudl4.maps import MapAxis, RegionGeom, RegionNDMap

    hdu, theta = find_table(hdulist, "PSF", where), find_table(hdulist, "THETA", where)
    energy, exposure, psf = (column(hdu, name, where)[0] for name in ("Energy", "Exposure", "Psf"))
    rad = MapAxis.from_nodes(column(theta, "Theta", where)[0], unit="deg", name="rad")
    axis = MapAxis.from_nodes(energy, unit="MeV", name="energy_true", interp="log")
    if psf.shape != (axis.nbin, rad.nbin):
        raise DataFileError(f"{where}: Psf has the shape {psf.shape}, {axis.nbin} energies and {rad.nbin} angles were wanted")
    geom = RegionGeom(None, axes=[rad, axis])
    psf_map = RegionNDMap(geom, data=psf.reshape(geom.data_shape), unit="sr-1")
    geom = geom.squash("rad")
    return PSFMap(psf_map, RegionNDMap(geom, data=exposure.reshape(geom.data_shape), unit="cm2 s"))


def psf_hdulist(psf):
    """HDUs of a gtpsf file.

    Parameters
    ----------
    psf : `~gpudl4.irf.PSFMap`
        In a region or without one, with exposure, on the host.

    Raises
    ------
    DatasetError
        If it is a map of the sky, or has no exposure.
    """
    from astropy.io import fits

    psf_map, exposure = psf.psf_map, psf.exposure_map
    if not psf_map.geom.is_region or list(psf_map.geom.axes.names) != ["rad", "energy_true"] or exposure is None:
        raise DatasetError(
            "a gtpsf file holds the PSF in true energy at one position, with its exposure; cut it first: psf.to_region_nd_map(position)"
        )
    rad, axis = psf_map.geom.axes["rad"], psf_map.geom.axes["energy_true"]
    values = (psf_map.data[:, :, 0, 0] * psf_map.unit.to("sr-1"), exposure.data.ravel() * exposure.unit.to("cm2 s"))
    columns = [
        fits.Column("Energy", "D", unit="MeV", array=axis.center.to_value("MeV")),
        fits.Column("Exposure", "D", unit="cm2 s", array=values[1]),
        fits.Column("Psf", f"{rad.nbin}D", unit="sr-1", array=values[0]),
    ]
    theta = fits.Column("Theta", "D", unit="deg", array=rad.center.to_value("deg"))
    tables = [fits.BinTableHDU.from_columns(columns, name="PSF"), fits.BinTableHDU.from_columns([theta], name="THETA")]
    return fits.HDUList([fits.PrimaryHDU(), *tables])


def read_drm(hdulist, where="the file"):
    """Matrix of an open DRM file of the Fermi tools (gtdrm).

    The true energies are those of the table DRM, in MeV. Where they have more bins than the matrix has channels, the reconstructed
    energies are the middle ones; else they are the same.

    Parameters
    ----------
    hdulist : `~astropy.io.fits.HDUList`
        File with the table DRM.
    where : str
        Name of the file, for messages.

    Returns
    -------
    kernel : `~gpudl4.irf.EDispKernel`
        Float32 array[L, K].
    """
    hdu = find_table(hdulist, "DRM", where)
    axis_true = energy_axis(hdu, "energy_true", where, default_unit="MeV")
    rows = [np.atleast_1d(row) for row in column(hdu, "MATRIX", where)[0]]
    if len({len(row) for row in rows}) != 1:
        raise DataFileError(f"{where}: the rows of MATRIX have different lengths; each row needs one value per channel")
    rows = np.stack(rows)
    channels = hdu.header.get("DETCHANS", rows.shape[1])
    margin = (axis_true.nbin - channels) // 2
    axis = (axis_true.slice(slice(margin, -margin)) if margin > 0 else axis_true).copy(name="energy")
    if not channels == axis.nbin == rows.shape[1]:
        raise DataFileError(
            f"{where}: DETCHANS says {channels} channels, the rows of MATRIX have {rows.shape[1]} values, and {axis_true.nbin} true "
            f"energies leave {axis.nbin} reconstructed ones; all three must agree"
        )
    return EDispKernel([axis_true, axis], rows.astype(np.float32))


def read_fermi(counts, exposure, psf, edisp, gti=None, edisp_bins=0, checksum=False):
    """Fields of a map dataset from the files of the Fermi tools.

    The true energies are those of the DRM. Exposure and PSF, which are given at nodes, are interpolated at the centres of its bins, the
    exposure also in the pixels of the counts. The reconstructed energies are those of the DRM: the counts cube holds them in keV and in
    single precision.

    Parameters
    ----------
    counts, exposure, psf, edisp : str or pathlib.Path
        Files of gtbin (ccube), gtexpcube2 (bexpcube), gtpsf and gtdrm; environment variables are expanded.
    gti : str or pathlib.Path, optional
        File with a table GTI, such as the event file.
    edisp_bins : int
        Number of reconstructed bins to drop at either end, into which events spread that the cube does not hold.
    checksum : bool
        Verify the checksums in the files, with a warning for each that does not match.

    Returns
    -------
    fields : dict
        ``counts, exposure, background`` (zero), ``psf, edisp, mask_safe`` (all true) and, if asked for, ``gti``.

    Raises
    ------
    DataFileError
        If a file is missing or damaged, or the files do not belong together.
    """
    with reading(f"'{expand_path(counts)}'"):
        return _joined(counts, exposure, psf, edisp, gti, edisp_bins, checksum)


def _joined(counts, exposure, psf, edisp, gti, edisp_bins, checksum):
    from gpudl4.core.gti import GTI
    from gpudl4.maps import Map

    counts_map, exposure_map = Map.read(counts, checksum=checksum), Map.read(exposure, checksum=checksum)
    with open_fits(psf, checksum=checksum) as hdulist:
        psf_nodes = read_psf(hdulist, f"'{expand_path(psf)}'")
    with open_fits(edisp, checksum=checksum) as hdulist:
        kernel = read_drm(hdulist, f"'{expand_path(edisp)}'")
    axis, axis_true = kernel.axes["energy"], kernel.axes["energy_true"]
    _check_energies(counts_map, exposure_map, psf_nodes, kernel, (counts, exposure, psf, edisp))
    image = counts_map.geom.to_image()
    geom = image.to_cube([axis])
    psf_true = PSFMap(_at_bins(psf_nodes.psf_map, axis_true), _at_bins(psf_nodes.exposure_map, axis_true))
    edisp_map = EDispKernelMap.from_edisp_kernel(kernel, geom=psf_true.psf_map.geom.to_image())
    weight = edisp_map.exposure_map
    edisp_map.exposure_map = weight.copy(data=psf_true.exposure_map.data.copy(), unit=psf_true.exposure_map.unit)
    fields = {
        "counts": counts_map.copy(geom=geom),
        "exposure": exposure_map.interp_to_geom(image.to_cube([axis_true])),
        "background": Map.from_geom(geom, data=np.zeros(geom.data_shape)),
        "psf": psf_true,
        "edisp": edisp_map,
        "mask_safe": Map.from_geom(geom, data=np.ones(geom.data_shape, dtype=bool)),
    }
    if edisp_bins:
        inner = {"energy": slice(edisp_bins, -edisp_bins)}
        fields |= {name: fields[name].slice_by_idx(inner) for name in ("counts", "background", "mask_safe", "edisp")}
    if gti is not None:
        fields["gti"] = GTI.read(gti)
    return fields


def _at_bins(map_, axis_true):
    """Map given at nodes of true energy, interpolated at the centres of bins."""
    return map_.interp_to_geom(map_.geom.replace_axis(axis_true))


def _check_energies(counts, exposure, psf, kernel, files):
    """The four files must be of one analysis."""
    axis, axis_true = kernel.axes["energy"], kernel.axes["energy_true"]
    for map_, name, file in ((counts, "energy", files[0]), (exposure, "energy_true", files[1])):
        if list(map_.geom.axes.names) != [name]:
            raise DataFileError(f"'{file}' has the axes {list(map_.geom.axes.names)}, a cube with the one axis {name} was wanted")
    given = counts.geom.axes["energy"]
    if given.nbin != axis.nbin:
        raise DataFileError(f"'{files[0]}' has {given.nbin} energies, '{files[3]}' has {axis.nbin}; both must have the same")
    if not np.allclose(given.edges.to_value(axis.unit), axis.edges.value, rtol=1e-3):
        raise DataFileError(
            f"'{files[0]}' has energies from {given.edges[0]:.4g} to {given.edges[-1]:.4g}, "
            f"'{files[3]}' from {axis.edges[0]:.4g} to {axis.edges[-1]:.4g}; both must have the same"
        )
    if exposure.geom.axes["energy_true"].nbin < axis_true.nbin:
        raise DataFileError(
            f"'{files[1]}' has {exposure.geom.axes['energy_true'].nbin} energies, fewer than the {axis_true.nbin} of '{files[3]}': "
            "make both with the same energy bins"
        )
    low, high = psf.psf_map.geom.axes["energy_true"].center.to_value(axis_true.unit)[[0, -1]]
    centers = axis_true.center.value
    empty = ~(psf.psf_map.data > 0).any(axis=(1, 2, 3))
    if low > centers[0] * 1.001 or high < centers[-1] * 0.999 or empty.any():
        raise DataFileError(
            f"'{files[2]}' has no PSF for all energies from {centers[0]:.4g} to {centers[-1]:.4g} {axis_true.unit}: make it for the range "
            "of the energy dispersion, with its margins"
        )
