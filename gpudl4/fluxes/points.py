"""`FluxPoints`: fluxes of one region in bins of energy, and of time or distance; read from and written to tables."""

import numpy as np

from ..core.errors import DatasetError
from ..core.reading import reading
from .maps import FluxMaps
from .profiles import minimum_of, resampled
from .quantities import checked_sed_type
from .tables import maps_from_table, meta_of_table, table_of, with_format

__all__ = ["FluxPoints"]

N_SIGMA_UL = 2  # of the limits that recompute_ul makes


class FluxPoints(FluxMaps):
    """Flux points; parameters and attributes as of `FluxMaps`.

    Examples
    --------
    >>> from gpudl4.fluxes import FluxPoints
    >>> from gpudl4.models import PowerLawSpectralModel
    >>> import numpy as np, astropy.units as u
    >>> from astropy.table import Table
    >>> model, energy = PowerLawSpectralModel(), np.geomspace(1, 100, 7) * u.TeV
    >>> table = Table({"e_ref": energy, "dnde": model(energy), "dnde_err": 0.1 * model(energy)}, meta={"SED_TYPE": "dnde"})
    >>> points = FluxPoints.from_table(table, reference_model=model)
    >>> float(points.norm.data[0, 0, 0].round(6))
    1.0
    """

    @classmethod
    def from_table(cls, table, sed_type=None, format=None, reference_model=None, gti=None):
        """Flux points from a table.

        Parameters
        ----------
        table : `~astropy.table.Table`
            Table with the columns of its SED type, e.g. ``e_ref, dnde, dnde_err``; see `gpudl4.fluxes.tables`.
        sed_type : {"dnde", "e2dnde", "flux", "eflux", "likelihood"}, optional
            SED type; by default what SED_TYPE in its metadata says, or follows from the columns.
        format : {"gadf-sed", "lightcurve", "profile"}, optional
            Format; by default told from the columns.
        reference_model : `~gpudl4.models.SpectralModel` or `~gpudl4.models.SkyModel`, optional
            Model for conversions. By default the column ``ref_dnde`` for "likelihood", else a power law of index 2.
        gti : `~gpudl4.data.GTI`, optional
            Good time intervals.

        Raises
        ------
        DatasetError
            If the SED type is unknown, or columns are missing, have wrong shapes or units.
        """
        maps, sed_type = maps_from_table(table, sed_type, format)
        if sed_type == "likelihood" and reference_model is None:
            reference_model = _template_of(table, maps["norm"].geom.axes["energy"])
        return cls.from_maps(maps, sed_type=sed_type, reference_model=reference_model, gti=gti, meta=meta_of_table(table, sed_type))

    def to_table(self, sed_type=None, format=None, formatted=False):
        """Table of the flux points.

        Parameters
        ----------
        sed_type : {"dnde", "e2dnde", "flux", "eflux", "likelihood"}, optional
            SED type; by default that they were made from.
        format : {"gadf-sed", "lightcurve", "profile", "binned-time-series"}, optional
            Format; by default it follows from the axes.
        formatted : bool
            Print numbers with three digits.

        Returns
        -------
        table : `~astropy.table.Table`

        Raises
        ------
        DatasetError
            If SED type or format are unknown or do not fit.
        """
        table = table_of(self, self.sed_type_init if sed_type is None else sed_type, self._format() if format is None else format)
        return with_format(table) if formatted else table

    def _format(self):
        names = self.geom.axes.names
        return "lightcurve" if "time" in names else "profile" if "projected-distance" in names else "gadf-sed"

    @classmethod
    def read(cls, filename, sed_type=None, format=None, reference_model=None, checksum=False, table_format="ascii.ecsv", **kwargs):
        """Read from a FITS or a text file.

        Parameters
        ----------
        filename : str or `~pathlib.Path`
            File; environment variables are expanded. In FITS, the table FLUXPOINTS, else the first one, and the GTI if there is any.
        sed_type, format, reference_model
            As for `from_table`.
        checksum : bool
            Verify checksums in a FITS file, with a warning where they do not match.
        table_format : str
            Format of a text file, as `~astropy.table.Table.read` knows it.
        **kwargs
            Further arguments of `~astropy.table.Table.read` for text files.

        Raises
        ------
        DataFileError
            If the file is missing or damaged, or holds no table.
        DatasetError
            If the table does not hold flux points.
        """
        from ..io.files import expand_path
        from ..io.sed import read_table

        table, gti = read_table(filename, checksum=checksum, table_format=table_format, **kwargs)
        with reading(f"'{expand_path(filename)}'"):
            return cls.from_table(table, sed_type=sed_type, format=format, reference_model=reference_model, gti=gti)

    def write(self, filename, sed_type=None, format=None, overwrite=False, checksum=False):
        """Write a FITS file (table FLUXPOINTS, and GTI if known), or an ECSV file if the name does not contain ``.fits``.

        Parameters
        ----------
        filename : str or `~pathlib.Path`
            File; it appears complete or not at all.
        sed_type, format
            As for `to_table`.
        overwrite : bool
            Replace a file that exists.
        checksum : bool
            Write checksums into a FITS file.
        """
        from ..io.sed import write_table

        write_table(self.to_table(sed_type, format), filename, gti=self.gti, overwrite=overwrite, checksum=checksum)

    def plot(self, ax=None, sed_type=None, energy_power=0, time_format="iso", **kwargs):
        """Draw points, errors and upper limits; see `gpudl4.plot.flux_points.plot_flux_points`."""
        from ..plot.flux_points import plot_flux_points

        return plot_flux_points(self, ax, sed_type, energy_power, time_format, **kwargs)

    def plot_ts_profiles(self, ax=None, sed_type=None, add_cbar=True, axis_name=None, **kwargs):
        """Draw the profiles of the fit statistic; see `gpudl4.plot.flux_points.plot_ts_profiles`."""
        from ..plot.flux_points import plot_ts_profiles

        return plot_ts_profiles(self, ax, sed_type, add_cbar, axis_name, **kwargs)

    def recompute_ul(self, n_sigma_ul=N_SIGMA_UL):
        """Flux points with upper limits of another significance, from the profiles of the fit statistic.

        The limit is where the profile, interpolated quadratically, has risen by ``n_sigma_ul ** 2`` above its minimum; NaN where it does
        not rise that far within the scan.

        Parameters
        ----------
        n_sigma_ul : float
            Significance.

        Raises
        ------
        DatasetError
            If there are no profiles.
        """
        if not self.has_stat_profiles:
            raise DatasetError("Stat profiles not present. Upper limit computation is not possible")
        new = self.copy()
        norms = self.stat_scan.geom.axes["norm"].center.value
        scans = np.moveaxis(self.stat_scan.data, self.stat_scan.geom.axes.index_data("norm"), -1).reshape(-1, norms.size)
        limits = np.array([minimum_of(norms, scan, n_sigma_ul**2).limit for scan in scans])
        new._data["norm_ul"] = self._data["norm"].copy(data=limits.reshape(self._data["norm"].data.shape))
        new.meta["n_sigma_ul"] = n_sigma_ul
        return new

    def resample_axis(self, axis_new):
        """Flux points in coarser bins of one axis, from the sums of their profiles; see `gpudl4.fluxes.profiles.resampled`.

        Parameters
        ----------
        axis_new : `~gpudl4.maps.MapAxis` or `~gpudl4.maps.TimeMapAxis`
            Bins, each of which holds at least one of those there are.

        Raises
        ------
        DatasetError
            If there are no profiles, or a bin holds none of the old ones.
        """
        return resampled(self, axis_new)


def _template_of(table, axis):
    """Reference model of a table of SED type "likelihood": its fluxes at the reference energies."""
    from ..models import TemplateSpectralModel
    from .tables import _energies, _unit, _values

    missing = [name for name in ("e_ref", "ref_dnde") if name not in table.colnames]
    if missing:
        raise DatasetError(
            f"flux points of SED type '{checked_sed_type('likelihood')}' need the column {' and '.join(missing)}, or a reference_model"
        )
    values = _values(table, "ref_dnde")
    values = values.reshape(-1, values.shape[-1])[0] if values.ndim > 1 else values
    return TemplateSpectralModel(_energies(table, "e_ref"), values * _unit(table, "ref_dnde"))
