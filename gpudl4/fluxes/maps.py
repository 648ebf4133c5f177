"""`FluxMaps`: estimated fluxes on the pixels of a geometry, as norms of a reference model, in all SED types.

What is stored is the factor by which a reference model has to be multiplied in each energy bin ("norm", the SED type "likelihood" of the
gamma-astro-data-formats), and what is known beside it. Differential, integral and energy fluxes follow from the shape of the model:
``dnde = norm * model(E_ref)``, ``flux = norm * integral``, ``e2dnde = norm * model(E_ref) * E_ref^2``, ``eflux = norm * energy flux``.
https://gamma-astro-data-formats.readthedocs.io/en/latest/spectra/flux_points/
"""

import copy
import warnings
from pathlib import Path

import numpy as np

from ..core.errors import BackendError, DatasetError
from ..maps import Map, Maps, TimeMapAxis
from ..models import SkyModel, SpectralModel
from .quantities import COMMON, REQUIRED_COLUMNS, SUFFIXES, all_quantities, checked_sed_type, stored_name
from .values import FluxValues, along_energy

__all__ = ["FluxMaps"]


class FluxMaps(FluxValues):
    """Fluxes on the pixels of a geometry.

    Parameters
    ----------
    data : dict of str to `~gpudl4.maps.Map`
        ``norm`` and, as far as they are known, ``norm_err, norm_errn, norm_errp, norm_ul, norm_sensitivity, ts, sqrt_ts, stat, stat_null,
        stat_scan, npred, npred_excess, counts, success, is_ul, n_dof, niter, alpha, acceptance_on, acceptance_off``.
    reference_model : `~gpudl4.models.SkyModel` or `~gpudl4.models.SpectralModel`
        Model that the norms multiply.
    meta : dict, optional
        Metadata: ``sed_type_init``, ``n_sigma``, ``n_sigma_ul``, ``sqrt_ts_threshold_ul`` and others.
    gti : `~gpudl4.data.GTI`, optional
        Good time intervals.
    filter_success_nan : bool
        Show norm and its error as NaN where ``success`` is False.

    Raises
    ------
    DatasetError
        If there is no norm, or no energy axis.
    """

    def __init__(self, data, reference_model, meta=None, gti=None, filter_success_nan=True):
        if "norm" not in data:
            raise DatasetError(f"fluxes need a map 'norm'; given: {', '.join(data) or 'nothing'}. Other SED types are read by from_maps()")
        if "energy" not in data["norm"].geom.axes.names:
            raise DatasetError(f"fluxes need an axis 'energy'; the axes are: {data['norm'].geom.axes.names}")
        on_device = [name for name, one in data.items() if one.backend.name != "numpy"]
        if on_device:
            raise BackendError(f"fluxes live on the host, but {', '.join(on_device)} are on a device: call .to_host() on the maps first")
        if isinstance(reference_model, SpectralModel):
            reference_model = SkyModel(reference_model)
        if reference_model is None:
            raise DatasetError("fluxes of SED type 'likelihood' need a reference_model, which their norms multiply")
        self._data = data
        self._reference_model = reference_model
        self.meta = {"sed_type_init": "likelihood", **(meta or {})}
        self.gti = gti
        self.filter_success_nan = filter_success_nan

    # ---- from and to maps ------------------------------------------------------------------------------------------------------------
    @classmethod
    def from_maps(cls, maps, sed_type=None, reference_model=None, gti=None, meta=None):
        """Fluxes from maps of one SED type.

        Parameters
        ----------
        maps : dict of str to `~gpudl4.maps.Map`
            For "dnde": ``dnde``, ``dnde_err`` and so on; for "likelihood" ``norm``, ``norm_err``, ...; and what is common to all.
        sed_type : {"likelihood", "dnde", "e2dnde", "flux", "eflux"}, optional
            SED type; told from the names if there is only one choice.
        reference_model : `~gpudl4.models.SkyModel` or `~gpudl4.models.SpectralModel`, optional
            Model to be used for conversions; by default a power law of index 2, with a warning.
        gti, meta
            As for the class.

        Raises
        ------
        DatasetError
            If the SED type is unknown or cannot be told, its map is missing, or a unit does not convert.
        """
        if sed_type is None:
            found = [one for one in REQUIRED_COLUMNS if stored_name(one) in maps]
            if len(found) != 1:
                raise DatasetError(f"Specifying the SED type is required: it does not follow from the maps {', '.join(maps)}")
            sed_type = found[0]
        name = stored_name(checked_sed_type(sed_type))
        if name not in maps:
            raise DatasetError(f"Missing data / column for SED type '{sed_type}': '{name}'; given: {', '.join(maps) or 'nothing'}")
        meta = {**(meta or {})}
        meta.setdefault("sed_type_init", sed_type)
        if sed_type == "likelihood":
            return cls(maps, reference_model, gti=gti, meta=meta)
        if reference_model is None:
            warnings.warn("no reference_model given: fluxes are converted with a power law of index 2", UserWarning, stacklevel=2)
            reference_model = cls.reference_model_default()
        model = getattr(reference_model, "spectral_model", reference_model)
        axis = maps[name].geom.axes["energy"]
        factor = model.reference_fluxes(axis)[f"ref_{sed_type}"]
        factor = along_energy(factor, maps[name].geom.axes)
        data = {}
        for suffix in SUFFIXES:
            if name + suffix in maps:
                one = maps[name + suffix]
                if not one.unit.is_equivalent(factor.unit):
                    raise DatasetError(
                        f"'{name}{suffix}' has the unit '{one.unit}', but SED type '{sed_type}' needs one like '{factor.unit}': "
                        "set the unit of the column or map"
                    )
                data["norm" + suffix] = one / factor.to(one.unit)
        data.update({key: maps[key] for key in COMMON if key in maps})
        return cls(data, reference_model, gti=gti, meta=meta)

    def to_maps(self, sed_type=None):
        """Maps of one SED type, by default that they were made from.

        Parameters
        ----------
        sed_type : {"likelihood", "dnde", "e2dnde", "flux", "eflux"}, optional

        Returns
        -------
        maps : `~gpudl4.maps.Maps`
        """
        maps = Maps()
        for quantity in all_quantities(self.sed_type_init if sed_type is None else sed_type):
            found = getattr(self, quantity, None)
            if found is not None:
                maps[quantity] = found
        return maps

    def _with(self, data, gti=None):
        return type(self)(
            data,
            self.reference_model,
            meta=dict(self.meta),
            gti=self.gti if gti is None else gti,
            filter_success_nan=self.filter_success_nan,
        )

    @classmethod
    def from_stack(cls, maps, axis, meta=None):
        """One object from several, along a new axis.

        Parameters
        ----------
        maps : list of `FluxMaps`
            Objects with the same quantities; the reference model is that of the first.
        axis : `~gpudl4.maps.MapAxis`, `~gpudl4.maps.TimeMapAxis` or `~gpudl4.maps.LabelMapAxis`
            New axis with one bin for each.
        meta : dict, optional
            Metadata; those of the first if None.
        """
        from ..core.gti import GTI

        first = maps[0]
        data = {name: Map.from_stack([one._data[name] for one in maps], axis=axis) for name in first.available_quantities}
        gtis = [one.gti for one in maps if one.gti is not None]
        meta = dict(first.meta) if meta is None else meta
        return cls(data, first.reference_model, meta=meta, gti=GTI.from_stack(gtis) if gtis else None)

    def iter_by_axis(self, axis_name):
        """Iterator over the bins of an axis; along time, the GTI is cut to the bin."""
        axis = self.geom.axes[axis_name]
        for idx in range(axis.nbin):
            gti = self.gti
            if gti is not None and isinstance(axis, TimeMapAxis):
                gti = gti.select_time([axis.time_min[idx], axis.time_max[idx]])
            yield self._with({name: one.slice_by_idx({axis_name: idx}) for name, one in self._data.items()}, gti=gti)

    def slice_by_idx(self, slices):
        """Part of the bins; see `Map.slice_by_idx`."""
        return self._with({name: one.slice_by_idx(slices) for name, one in self._data.items()})

    def slice_by_coord(self, slices):
        """Part of the bins, by coordinates: those that lie inside.

        Parameters
        ----------
        slices : dict of str to slice
            ``slice(start, stop)`` with quantities, or times for a time axis, by axis name.
        """
        cuts = {}
        for name, cut in slices.items():
            edges = [cut.start, cut.stop]
            axis = self.geom.axes[name]
            groups = axis.group_table(edges if isinstance(axis, TimeMapAxis) else _quantity(edges))
            groups = groups[[kind.startswith("normal") for kind in groups["bin_type"]]]
            if not len(groups):
                raise DatasetError(f"no bin of the axis '{name}' lies between {cut.start} and {cut.stop}")
            cuts[name] = slice(int(groups["idx_min"][0]), int(groups["idx_max"][0]) + 1)
        return self.slice_by_idx(cuts)

    def slice_by_time(self, time_min, time_max):
        """The bins between two times."""
        return self.slice_by_coord({"time": slice(time_min, time_max)})

    def slice_by_energy(self, energy_min, energy_max):
        """The bins between two energies, rounded to edges."""
        return self.slice_by_coord({"energy": slice(energy_min, energy_max)})

    def get_flux_points(self, position=None):
        """Fluxes of the pixel at a position, by default that of the centre, as `FluxPoints`."""
        from .points import FluxPoints

        position = self.geom.center_skydir if position is None else position
        data = {}
        for name, one in self._data.items():
            function = np.any if one.is_mask else np.nansum
            data[name] = one.to_region_nd_map(region=position, method="nearest", func=function)
        return FluxPoints(data, self.reference_model, meta=dict(self.meta), gti=self.gti, filter_success_nan=self.filter_success_nan)

    def copy(self, reference_model=None):
        """Deep copy, with another reference model if one is given, with a warning: that changes all fluxes."""
        new = self._with({name: one.copy() for name, one in self._data.items()}, gti=None if self.gti is None else self.gti.copy())
        new.meta = copy.deepcopy(self.meta)
        new._reference_model = self.reference_model.copy(name=self.reference_model.name)
        if reference_model is not None:
            warnings.warn("Changing the reference model will change the fluxes. Handle with care.", UserWarning, stacklevel=2)
            new._reference_model = (
                SkyModel(reference_model.copy()) if isinstance(reference_model, SpectralModel) else reference_model.copy()
            )
        return new

    # ---- files -----------------------------------------------------------------------------------------------------------------------
    def to_hdulist(self, sed_type=None, hdu_bands=None):
        """FITS HDUs of the maps of one SED type and of the GTI; the reference model is not among them."""
        sed_type = checked_sed_type(self.sed_type_init if sed_type is None else sed_type)
        hdulist = self.to_maps(sed_type).to_hdulist(hdu_bands=hdu_bands)
        hdulist[0].header["SED_TYPE"] = sed_type
        if self.gti is not None:
            hdulist.append(self.gti.to_table_hdu())
        return hdulist

    @classmethod
    def from_hdulist(cls, hdulist, hdu_bands=None, sed_type=None, checksum=False, reference_model=None):
        """Fluxes from FITS HDUs as `to_hdulist` or gammapy make them.

        Parameters
        ----------
        hdulist : `~astropy.io.fits.HDUList`
            HDUs.
        hdu_bands : str, optional
            HDU with the energies; by default that which each map names.
        sed_type : str, optional
            SED type; by default that of the keyword SED_TYPE.
        checksum : bool
            Verify the checksum of the file with the reference model.
        reference_model : `~gpudl4.models.SkyModel` or `~gpudl4.models.SpectralModel`, optional
            By default that of the YAML file which the keyword MODEL names.

        Raises
        ------
        DataFileError
            If that file is missing or damaged.
        """
        from ..core.gti import GTI
        from ..models import Models

        filename = hdulist[0].header.get("MODEL")
        if reference_model is None and filename:
            reference_model = Models.read(filename, checksum=checksum)[0]
        maps = Maps.from_hdulist(hdulist, hdu_bands=hdu_bands)
        sed_type = hdulist[0].header.get("SED_TYPE") if sed_type is None else sed_type
        gti = GTI.from_table_hdu(hdulist["GTI"]) if "GTI" in hdulist else None
        return cls.from_maps(maps, sed_type=sed_type, reference_model=reference_model, gti=gti)

    def write(self, filename, filename_model=None, overwrite=False, sed_type=None, checksum=False):
        """Write the maps to a FITS file, and the reference model to a YAML file whose name the FITS file holds.

        Parameters
        ----------
        filename : str or `~pathlib.Path`
            FITS file.
        filename_model : str or `~pathlib.Path`, optional
            YAML file; by default the name of the FITS file with ``_model.yaml`` behind it, as in gammapy.
        overwrite : bool
            Replace files that exist.
        sed_type : str, optional
            SED type of the maps.
        checksum : bool
            Write checksums.
        """
        from ..io.files import check_output, write_fits
        from ..models import Models

        path = check_output(filename, overwrite)
        model = check_output(f"{path.as_posix()}_model.yaml" if filename_model is None else filename_model, overwrite)
        hdulist = self.to_hdulist(sed_type)
        hdulist[0].header["MODEL"] = model.as_posix()
        Models([self.reference_model]).write(model, overwrite=overwrite, write_covariance=False)
        write_fits(hdulist, path, overwrite=overwrite, checksum=checksum)

    @classmethod
    def read(cls, filename, checksum=False):
        """Read maps and reference model from the files that `write` or gammapy made.

        The file of the model is looked for where the FITS file says, then beside the FITS file.
        """
        from ..io.files import expand_path, open_fits
        from ..models import Models

        with open_fits(filename, checksum=checksum) as hdulist:
            model = hdulist[0].header.get("MODEL")
            if model is not None and not Path(model).is_file():
                beside = expand_path(filename).parent / Path(model).name
                model = beside if beside.is_file() else model
            reference = None if model is None else Models.read(model, checksum=checksum)[0]
            return cls.from_hdulist(hdulist, reference_model=reference)

    def __getitem__(self, name):
        return getattr(self, name)

    def __str__(self):
        rows = {
            "geom": type(self.geom).__name__,
            "axes": self.geom.axes_names,
            "shape": self.geom.data_shape[::-1],
            "quantities": self.available_quantities,
            "ref. model": _tag(self.reference_spectral_model),
            "n_sigma": self.n_sigma,
            "n_sigma_ul": self.n_sigma_ul,
            "sqrt_ts_threshold_ul": self.sqrt_ts_threshold_ul,
            "sed type init": self.sed_type_init,
        }
        title = type(self).__name__
        return "\n".join([title, "-" * len(title), "", *(f"  {label:22} : {text}" for label, text in rows.items()), ""])


def _quantity(edges):
    import astropy.units as u

    return u.Quantity(edges)


def _tag(model):
    return model.tag if isinstance(model.tag, str) else model.tag[-1]
