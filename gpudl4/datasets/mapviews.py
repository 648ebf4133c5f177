"""What can be read off a `MapDataset` without changing it: geometries, masks, excess, energy ranges and the summary."""

import numpy as np

from gpudl4.core.backend import array_namespace, to_device
from gpudl4.core.errors import DatasetError

from .fields import field_table
from .masks import any_energy, mask_on_edisp, mask_on_psf

__all__ = ["MapViews"]


class MapViews:
    """Read-only views of a map dataset, mixed into `MapDataset`."""

    @property
    def _geom(self):
        """Geometry of counts, background or masks, whichever exists."""
        names = [field.name for field in field_table(self.tag) if field.on_counts_geometry]
        for name in names:
            value = self._values.get(name)
            if value is not None:
                return value.geom
        known = f"{', '.join(names[:-1])} or {names[-1]}"
        raise DatasetError(f"dataset '{self.name}' has no {known}, so it has no geometry: set one of them")

    @property
    def geoms(self):
        """Geometries by name: geom, geom_exposure, geom_psf, geom_edisp, as far as they exist."""
        geoms = {"geom": self._geom}
        if self.exposure is not None:
            geoms["geom_exposure"] = self.exposure.geom
        if self.psf is not None:
            geoms["geom_psf"] = self.psf.psf_map.geom
        if self.edisp is not None:
            geoms["geom_edisp"] = self.edisp.edisp_map.geom
        return geoms

    @property
    def data_shape(self):
        """Shape of the counts array."""
        return self._geom.data_shape

    @property
    def background_model(self):
        """The background model of this dataset, or None."""
        from gpudl4.models import FoVBackgroundModel

        for model in self.models or ():
            if isinstance(model, FoVBackgroundModel) and self.name in (model.datasets_names or ()):
                return model
        return None

    @property
    def excess(self):
        """Counts minus background map."""
        if self.counts is None or self.background is None:
            raise DatasetError(f"dataset '{self.name}': the excess needs counts and background")
        return self.counts - self.background

    # masks

    @property
    def mask_safe_image(self):
        """Pixels with any energy in mask_safe, a map without energies; None without mask_safe."""
        return any_energy(self.mask_safe)

    @property
    def mask_fit_image(self):
        """Pixels with any energy in mask_fit; None without mask_fit."""
        return any_energy(self.mask_fit)

    @property
    def mask_image(self):
        """Pixels with any energy in `mask`; all pixels without a mask."""
        mask = self.mask
        if mask is not None:
            return any_energy(mask)
        from gpudl4.maps import Map

        image = self._geom.to_image()
        return Map.from_geom(image, data=self.backend.xp.ones(image.data_shape, dtype=bool))

    @property
    def mask_safe_psf(self):
        """mask_safe on the pixels of the PSF map (nearest pixel, False outside), axes of one bin; None without mask_safe or PSF."""
        return None if self.mask_safe is None or self.psf is None else mask_on_psf(self.mask_safe, self.psf)

    @property
    def mask_safe_edisp(self):
        """mask_safe on the pixels of the energy dispersion map; None without mask_safe or energy dispersion.

        For a kernel map it keeps the reconstructed energies: a pixel counts as soon as mask_safe, interpolated linearly to it, is not zero.
        For a migration map only the image is left.
        """
        return None if self.mask_safe is None or self.edisp is None else mask_on_edisp(self.mask_safe, self.edisp)

    # energy ranges

    def _energy_range(self, mask):
        from gpudl4.maps import Map

        geom = self._geom
        axis = geom.axes.names.index("energy")
        edges = geom.axes["energy"].edges
        where = len(geom.axes) - 1 - axis
        rest = geom.drop("energy")
        if mask is None:
            full = self.backend.xp.full
            low, high = full(rest.data_shape, float(edges.value[0])), full(rest.data_shape, float(edges.value[-1]))
        else:
            xp = array_namespace(mask.data)
            values = to_device(edges.value, mask.backend)
            empty = ~mask.data.any(axis=where)
            low = xp.where(empty, np.nan, values[mask.data.argmax(axis=where)])
            high = xp.where(empty, np.nan, values[::-1][xp.flip(mask.data, where).argmax(axis=where)])
        return Map.from_geom(rest, data=low, unit=edges.unit), Map.from_geom(rest, data=high, unit=edges.unit)

    @property
    def energy_range(self):
        """Lowest and highest energy in `mask` for every pixel: two maps, NaN where nothing is left."""
        return self._energy_range(self.mask)

    @property
    def energy_range_safe(self):
        """As `energy_range`, for mask_safe alone."""
        return self._energy_range(self.mask_safe)

    @property
    def energy_range_fit(self):
        """As `energy_range`, for mask_fit alone."""
        return self._energy_range(self.mask_fit)

    @property
    def energy_range_total(self):
        """Lowest and highest energy of all pixels in `mask`, two quantities; NaN if the mask is empty."""
        low, high = self.energy_range
        xp = array_namespace(low.data)
        if bool(xp.isnan(low.data).all()):
            return np.nan * low.unit, np.nan * high.unit
        return float(xp.nanmin(low.data)) * low.unit, float(xp.nanmax(high.data)) * high.unit

    # summary

    def info_dict(self, in_safe_data_range=True):
        """Summary of the dataset, summed over energy.

        Parameters
        ----------
        in_safe_data_range : bool
            Sum counts and predictions in mask_safe only.

        Returns
        -------
        info : dict
            name, counts, excess (counts minus predicted background), sqrt_ts (significance of the excess over that background),
            background, npred, npred_background, npred_signal, exposure_min, exposure_max (over pixels in mask_safe with exposure),
            livetime, ontime, counts_rate, background_rate, excess_rate, n_bins, n_fit_bins, stat_type, stat_sum. NaN where something is
            missing; stat_sum and npred_signal need models. With off counts also counts_off, acceptance, acceptance_off and alpha.
        """
        import astropy.units as u

        from .summary import exposure_range, on_off_sums, predicted_sums

        info = {"name": self.name}
        select = slice(None)
        if in_safe_data_range and self.mask_safe is not None:
            select = self.mask_safe.data
        info |= predicted_sums(self, select)
        if "counts_off" in self._fields:
            info |= on_off_sums(self, select)
        info["exposure_min"], info["exposure_max"] = exposure_range(self)
        livetime = np.nan * u.s
        if self.exposure is not None:
            livetime = u.Quantity((self.exposure.meta or {}).get("livetime", livetime))
        info["livetime"] = livetime
        info["ontime"] = self.gti.time_sum if self.gti is not None else np.nan * u.s
        for name in ("counts", "background", "excess"):
            info[f"{name}_rate"] = info[name] / livetime
        mask = self.mask
        info["n_bins"] = 0 if self.counts is None else int(self.counts.data.size)
        info["n_fit_bins"] = 0 if mask is None else int(mask.data.sum())
        info["stat_type"] = self.stat_type
        complete = self.counts is not None and (self.models is not None or info.get("counts_off") is not None)
        info["stat_sum"] = self.stat_sum() if complete else np.nan
        return info

    def __str__(self):
        from .summary import as_text

        return as_text(self)

    def _repr_html_(self):
        from .summary import as_html

        return as_html(self)
