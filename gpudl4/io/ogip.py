"""Spectra in OGIP files (PHA, background, ARF, RMF): files to plain fields of an ON-OFF spectrum and back.

`read_ogip` and `write_ogip` hold all behaviour; `gpudl4.datasets.SpectrumDatasetOnOff.read` and ``write`` are the usual way in. The formats
are ``ogip`` (units as they are) and ``ogip-sherpa`` (keV and cm2). What the files cannot hold: `mask_fit`, tables of metadata, models.
"""

import warnings

import numpy as np

from gpudl4.core.errors import DataFileError, DatasetError, MissingFileError
from gpudl4.maps.ogip_read import read_area, same_bounds
from gpudl4.maps.ogip_tables import area_columns, bounds_columns, ogip_cards, ogip_hdu
from gpudl4.maps.region_files import region_table_hdu, table_keywords

from .files import check_output, expand_path, open_fits, write_fits
from .header_text import from_header, to_header
from .ogip_response import read_rmf, rmf_hdulist
from .ogip_spectrum import read_spectrum, spectrum_hdu

__all__ = ["FORMATS", "guess_format", "ogip_filenames", "read_ogip", "write_ogip"]

FORMATS = ("ogip", "ogip-sherpa")
LINKS = {"ANCRFILE": "effective area (ARF)", "RESPFILE": "energy dispersion (RMF)", "BACKFILE": "background"}
KEPT = ("TELESCOP", "INSTRUME", "FILTER", "OBJECT", "DATE-OBS", "DATE-END", "LO_THRES", "HI_THRES")  # cards of a map that stay
EXPOSURE_TOLERANCE = 1e-6  # relative difference of exposure times that counts as a difference


def guess_format(filename):
    """Format of a file of a spectrum: "ogip" or "gadf".

    Raises
    ------
    DataFileError
        If it is neither.
    """
    with open_fits(filename) as hdulist:
        if "SPECTRUM" in hdulist:
            return "ogip"
        if "COUNTS" in hdulist or "COUNTS_BANDS" in hdulist:
            return "gadf"
        found = ", ".join(hdu.name for hdu in hdulist if hdu.name not in ("", "PRIMARY")) or "none"
    raise DataFileError(
        f"'{filename}' is neither an OGIP spectrum (HDU SPECTRUM) nor a dataset in the GADF format (HDU COUNTS); it has the HDUs: {found}"
    )


# -------------------------------------------------------------------------------------------------------------------------------- reading


def read_ogip(filename, name=None, checksum=False):
    """Fields of an ON-OFF spectrum from its PHA file and the files that it names.

    Files are looked for beside the PHA file, then as their names stand. Columns and keywords are taken alike (QUALITY, BACKSCAL,
    AREASCAL). Channels of any QUALITY but 0 are unsafe. Energies may be in different units, in one file or between files; those of the
    responses are converted. Where AREASCAL is not 1, or the background was exposed for another time, the acceptances are multiplied by
    AREASCAL and exposure, as OGIP defines the scaling of the background, with a warning.

    Parameters
    ----------
    filename : str or pathlib.Path
        PHA file of type I; environment variables are expanded.
    name : str, optional
        Name; by default OBS_ID; the stem of the file where there is none, or one for each of several runs.
    checksum : bool
        Verify the checksums in the files, with a warning for each that does not match.

    Returns
    -------
    fields : dict
        ``name``; ``counts``, ``acceptance``, ``mask_safe`` and, with a background file, ``counts_off``, ``acceptance_off`` on a
        `~gpudl4.maps.RegionGeom` with the axis "energy"; ``exposure`` with the axis "energy_true" and ``livetime`` in its metadata; with
        an RMF ``edisp`` (`~gpudl4.irf.EDispKernelMap`); with a table of intervals ``gti``.

    Raises
    ------
    DataFileError
        If a file is missing or damaged, files do not fit together, or the errors are not Poissonian.
    """
    path = expand_path(filename)
    where = f"'{path}'"
    with open_fits(path, checksum=checksum) as hdulist:
        pha = read_spectrum(hdulist, where)
        gti = _read_gti(hdulist)
    files = {key: _linked(path, pha.header, key) for key in LINKS}
    if files["ANCRFILE"] is None:
        raise DataFileError(f"{where} names no effective area: the keyword ANCRFILE must name an ARF file")
    if pha.exposure is None:
        raise DataFileError(f"{where}: the keyword EXPOSURE must give the live time in seconds, got {pha.header.get('EXPOSURE')!r}")
    kernel, kernel_where = None, f"'{files['RESPFILE']}'"
    if files["RESPFILE"] is not None:
        with open_fits(files["RESPFILE"], checksum=checksum) as hdulist:
            kernel = read_rmf(hdulist, kernel_where)
    axis = _channels(pha, kernel, kernel_where)
    with open_fits(files["ANCRFILE"], checksum=checksum) as hdulist:
        exposure = _exposure(*read_area(hdulist, f"'{files['ANCRFILE']}'"), pha)
    background = None
    if files["BACKFILE"] is not None:
        with open_fits(files["BACKFILE"], checksum=checksum) as hdulist:
            background = _checked_background(read_spectrum(hdulist, f"'{files['BACKFILE']}'"), pha, axis)
    area, area_off, time_off = _scaling(pha, background)
    if kernel is not None:
        kernel = _fitting(kernel, kernel_where, axis, exposure.geom.axes["energy_true"], f"'{files['ANCRFILE']}'")
    fields = {"name": _name(pha.header, path) if name is None else name}
    fields |= _maps(pha, axis, area, {"counts": "counts", "acceptance": "acceptance", "good": "mask_safe"})
    if background is not None:
        fields |= _maps(background, axis, area_off * time_off, {"counts": "counts_off", "acceptance": "acceptance_off"})
    fields["exposure"], fields["edisp"] = _response(exposure, kernel, area, where)
    fields["gti"] = gti
    return {key: value for key, value in fields.items() if value is not None}


def _linked(path, header, key):
    """Path of a file that the header of a spectrum names, None if it names none."""
    value = header.get(key)
    value = "" if value is None else str(value).split("[")[0].strip()
    if value.lower() in ("", "none"):
        return None
    given = expand_path(value)
    for candidate in (path.parent / given, given):
        if candidate.is_file():
            return candidate
    raise MissingFileError(
        f"'{path}' names the {LINKS[key]} file '{value}' ({key}), which was found neither in '{path.parent}' nor as it stands"
    )


def _name(header, path):
    """OBS_ID; the stem of the file where there is none, or one for each of many runs."""
    if "OBS_ID" in header and header.count("OBS_ID") == 1:
        return from_header(str(header["OBS_ID"]))
    return path.name.split(".")[0]


def _read_gti(hdulist):
    from gpudl4.core.gti import GTI

    return GTI.from_table_hdu(hdulist["GTI"]) if "GTI" in hdulist else None


def _channels(pha, kernel, kernel_where):
    """Reconstructed energy axis: that of the PHA file or, where it has none, of the RMF."""
    if pha.axis is not None:
        return pha.axis
    if kernel is None:
        raise DataFileError(f"{pha.where} has no table EBOUNDS and names no RMF file (RESPFILE): the energies of its channels are unknown")
    axis = kernel.axes["energy"]
    if axis.nbin != len(pha.counts):
        raise DataFileError(f"{pha.where} has {len(pha.counts)} channels, {kernel_where} has {axis.nbin}; both must have the same")
    return axis


def _checked_background(background, pha, axis):
    if len(background.counts) != len(pha.counts):
        raise DataFileError(
            f"{background.where} has {len(background.counts)} channels, {pha.where} has {len(pha.counts)}; both must have the same"
        )
    if background.axis is not None:
        same_bounds(background.axis, background.where, axis, pha.where)
    return background


def _scaling(pha, background):
    """Factors per channel from AREASCAL of both spectra, and the ratio of the exposure times; all exactly 1 in the usual case."""
    area, area_off, time_off = pha.areascal, 1.0, 1.0
    what = []
    if background is not None:
        area_off = background.areascal
        if background.exposure is not None and abs(background.exposure / pha.exposure - 1) > EXPOSURE_TOLERANCE:
            time_off = background.exposure / pha.exposure
            what.append(f"the background was exposed for {background.exposure:g} s, the spectrum for {pha.exposure:g} s")
    if np.any(area != 1) or np.any(area_off != 1):
        what.append("AREASCAL is not 1")
    if what:
        text = f"{pha.where}: {' and '.join(what)}; acceptances and exposure take this into account (gammapy ignores it)"
        warnings.warn(text, UserWarning, stacklevel=3)
    return area, area_off, time_off


def _maps(spectrum, axis, factor, names):
    """Region maps of a spectrum: counts, acceptance and the mask of good channels."""
    from gpudl4.maps import RegionNDMap

    geom, meta = spectrum.image.to_cube([axis]), table_keywords(spectrum.header)
    acceptance = spectrum.backscal
    if np.any(factor != 1):
        acceptance = acceptance * np.asarray(factor, dtype=np.float64)
    data = {"counts": spectrum.counts, "acceptance": acceptance, "good": spectrum.good}
    return {field: RegionNDMap(geom, data=data[kind].reshape(geom.data_shape), meta=dict(meta)) for kind, field in names.items()}


def _exposure(area, unit, axis, header, pha):
    """Effective area times live time."""
    import astropy.units as u

    from gpudl4.maps import RegionGeom, RegionNDMap

    geom = RegionGeom(None, axes=[axis])
    data = (area.astype(np.float64) * pha.exposure).reshape(geom.data_shape)
    return RegionNDMap(geom, data=data, unit=unit * u.s, meta=table_keywords(header) | {"livetime": pha.exposure * u.s})


def _fitting(kernel, where, axis, axis_true, area_where):
    """Kernel after checking its axes against the channels and the effective area, in their units."""
    from gpudl4.irf import EDispKernel

    true = same_bounds(kernel.axes["energy_true"], where, axis_true, area_where)
    return EDispKernel([true, same_bounds(kernel.axes["energy"], where, axis, "the spectrum")], kernel.pdf_matrix)


def _response(exposure, kernel, area, where):
    """Exposure and energy dispersion with the area scaling of the channels in them."""
    from gpudl4.irf import EDispKernel, EDispKernelMap

    if np.all(area == area[0]):
        if area[0] != 1:
            exposure = exposure.copy(data=exposure.data * area[0])
    elif kernel is None:
        raise DataFileError(f"{where}: AREASCAL differs between channels, which needs an energy dispersion (RESPFILE) to act on")
    else:
        kernel = EDispKernel(kernel.axes, kernel.pdf_matrix * area)
    if kernel is None:
        return exposure, None
    edisp = EDispKernelMap.from_edisp_kernel(kernel, geom=exposure.geom)
    geom = edisp.exposure_map.geom
    edisp.exposure_map = edisp.exposure_map.copy(data=exposure.data.reshape(geom.data_shape).copy(), unit=exposure.unit)
    return exposure, edisp


# -------------------------------------------------------------------------------------------------------------------------------- writing


def ogip_filenames(filename):
    """Names of the files beside a PHA file, ``NAME_arf.fits`` and so on, by the keyword that names them."""
    name = expand_path(filename).name
    packed = ".gz" if name.endswith(".gz") else ""
    stem, dot, suffix = name.removesuffix(".gz").rpartition(".")
    stem, suffix = (stem, f"{dot}{suffix}{packed}") if dot else (suffix, packed)
    return {"ANCRFILE": f"{stem}_arf{suffix}", "RESPFILE": f"{stem}_rmf{suffix}", "BACKFILE": f"{stem}_bkg{suffix}"}


def write_ogip(fields, filename, format="ogip", overwrite=False, checksum=False):
    """Write the fields of an ON-OFF spectrum as PHA, ARF and, where they are there, background and RMF files.

    gammapy reads either format. Each file appears complete or not at all, the PHA file last. Counts that are no integers are written as
    real numbers (gammapy cuts their decimals off).

    Parameters
    ----------
    fields : dict
        As `read_ogip` gives them; ``counts_off`` with ``acceptance_off``, ``edisp``, ``mask_safe`` and ``gti`` may be missing or None.
        Device arrays are brought to the host. The live time is taken from ``exposure.meta["livetime"]``.
    filename : str or pathlib.Path
        PHA file; the others lie beside it, see `ogip_filenames`.
    format : {"ogip", "ogip-sherpa"}
        Units as they are, or keV and cm2.
    overwrite : bool
        Replace files that exist. Without it nothing is written if any of them exists.
    checksum : bool
        Write checksums into the headers.

    Raises
    ------
    DatasetError
        If the format is unknown, a field is missing, or the fields do not fit an OGIP file.
    OutputError
        If a file exists and `overwrite` is False, or the place is not writable.
    """
    from astropy.io import fits

    if format not in FORMATS:
        raise DatasetError(f"unknown format {format!r}; spectra are written as {' or '.join(FORMATS)}")
    path = expand_path(filename)
    fields = {key: _on_host(value) for key, value in fields.items() if value is not None}
    livetime = _check_fields(fields)
    creation = _creation()
    present = {"ANCRFILE": "exposure", "BACKFILE": "counts_off", "RESPFILE": "edisp"}
    links = {key: name for key, name in ogip_filenames(path).items() if present[key] in fields}
    cards = {"EXPOSURE": livetime, "OBS_ID": to_header(fields["name"]), "HDUCLAS3": "COUNT", "HDUCLAS4": "TYPE:1", **links}
    out = {links["ANCRFILE"]: [_area_hdu(fields["exposure"], livetime, format)]}
    if "RESPFILE" in links:
        out[links["RESPFILE"]] = rmf_hdulist(_kernel(fields), format)[1:]
    if "BACKFILE" in links:
        off = cards | {"HDUCLAS2": "BKG", "BACKFILE": "none"}
        out[links["BACKFILE"]] = _counts(fields, "counts_off", "acceptance_off", off, format)
    out[path.name] = _counts(fields, "counts", "acceptance", cards | {"HDUCLAS2": "TOTAL"}, format)
    if "gti" in fields:
        out[path.name].append(fields["gti"].to_table_hdu())
    out = {path.parent / name: hdus for name, hdus in out.items()}
    for file in out:
        check_output(file, overwrite)
    for file, hdus in out.items():
        hdulist = fits.HDUList([fits.PrimaryHDU(), *hdus])
        for hdu in hdulist:
            hdu.header.update(creation)
        write_fits(hdulist, file, overwrite=overwrite, checksum=checksum)


def _on_host(value):
    return value.to_host() if hasattr(value, "to_host") else value


def _creation():
    from datetime import UTC, datetime

    from gpudl4 import __version__

    now = datetime.now(UTC).replace(tzinfo=None).isoformat(sep=" ", timespec="milliseconds")
    return {"CREATOR": f"gpudl4 {__version__}", "CREATED": now}


def _check_fields(fields):
    """Check that the fields fit into OGIP files; the live time in seconds comes back."""
    import astropy.units as u

    where = f"dataset '{fields.get('name', '')}' cannot be written as OGIP files"
    wanted = ["name", "counts", "acceptance", "exposure"] + (["acceptance_off"] if "counts_off" in fields else [])
    missing = [key for key in wanted if key not in fields]
    if missing:
        raise DatasetError(f"{where}: it has no {', '.join(missing)}")
    for key in ("counts", "counts_off", "acceptance", "acceptance_off", "mask_safe", "exposure"):
        if key in fields:
            geom, axis = fields[key].geom, "energy_true" if key == "exposure" else "energy"
            if not geom.is_region or list(geom.axes.names) != [axis]:
                raise DatasetError(f"{where}: {key} has the axes {list(geom.axes.names)}; a spectrum with the one axis {axis} was wanted")
    livetime = fields["exposure"].meta.get("livetime")
    if livetime is None:
        raise DatasetError(f"{where}: they need the live time: set dataset.exposure.meta['livetime'] = 1800 * u.s")
    seconds = float(u.Quantity(livetime).to_value("s"))
    if not (np.isfinite(seconds) and seconds > 0):
        raise DatasetError(f"{where}: the live time must be positive, got {livetime}")
    return seconds


def _area_hdu(exposure, livetime, format):
    """SPECRESP table; the neighbouring float is taken where it gives the exposure back to the last bit when it is read."""
    import astropy.units as u

    data = np.asarray(exposure.data, dtype=np.float64).ravel()
    area = data / livetime
    for other in (np.nextafter(area, np.inf), np.nextafter(area, -np.inf)):
        area = np.where((area * livetime != data) & (other * livetime == data), other, area)
    columns = area_columns(exposure.geom.axes["energy_true"], area, exposure.unit / u.s, format)
    return ogip_hdu("SPECRESP", columns, ogip_cards("SPECRESP") | _kept_cards(exposure.meta))


def _kept_cards(meta):
    """Cards that tell where data come from, of the metadata of a map."""
    return {key: meta[key] for key in KEPT if key in meta and isinstance(meta[key], str | int | float | bool)}


def _kernel(fields):
    """Energy-dispersion matrix at the region."""
    edisp, axis = fields["edisp"], fields["counts"].geom.axes["energy"]
    return edisp.get_edisp_kernel(energy_axis=axis)


def _counts(fields, counts, acceptance, cards, format):
    data, geom = fields[counts].data.ravel(), fields[counts].geom
    good = fields["mask_safe"].data.ravel() if "mask_safe" in fields else np.ones(data.size, dtype=bool)
    hdus = [spectrum_hdu(data, fields[acceptance].data.ravel(), good, _kept_cards(fields[counts].meta) | cards)]
    axis = geom.axes["energy"]
    hdus.append(ogip_hdu("EBOUNDS", bounds_columns(axis, format), ogip_cards("EBOUNDS", axis.nbin)))
    return hdus if geom.region is None else [*hdus, region_table_hdu(geom, "REGION")]
