"""From one dataset to another: cut out, padded, merged bins, part of the energies, masked, reduced to a region.

Every verb loops over the table of fields, whose columns say what becomes of a field; `merge` holds the rules. Counts and background
outside mask_safe are lost where bins or pixels are merged. New datasets have no models: set them, they are often tied to a name.
"""

import numpy as np

from gpudl4.core.backend import to_device, to_host
from gpudl4.core.errors import DatasetError, GeometryError

from .base import make_name
from .fields import main_map
from .merge import merge_along_axis, merge_bins, merge_region, with_ratio

__all__ = ["MapTransforms"]


class MapTransforms:
    """Verbs that give a new dataset or add to one, mixed into all datasets of counts."""

    def _changed(self, change, name, kind=None):
        """New dataset: ``change(field, value)`` of each field that is not None, without models."""
        values = {}
        for field in self._fields.values():
            value = self._values[field.name]
            if value is not None:
                values[field.name] = value.copy() if field.kind in ("gti", "table") else change(field, value)
        return (kind or type(self))(**values, name=make_name(name), stat_type=self.stat_type)

    def _axes_names(self):
        """Names of the axes that any field has, sorted."""
        maps = (main_map(field, self._values[field.name]) for field in self._fields.values())
        return sorted({axis for data_map in maps if data_map is not None for axis in data_map.geom.axes.names})

    def cutout(self, position, width, mode="trim", name=None):
        """Part of the field of view, without models.

        Parameters
        ----------
        position : SkyCoord
            Centre.
        width : Angle, float (deg) or pair of them
            Size along longitude and latitude.
        mode : {"trim", "partial", "strict"}
            What to do at the border of the map.
        name : str, optional
            A random one if None.
        """
        return self._changed(lambda field, value: value.cutout(position=position, width=width, mode=mode), name)

    def pad(self, pad_width, mode="constant", name=None):
        """Dataset with more pixels at its border; responses stay as they are.

        Parameters
        ----------
        pad_width : int or tuple of int
            Number of pixels on each side, the same or (lon, lat).
        mode : {"constant", "edge", "interp"}
            How new pixels are filled: by zeros, also in the exposure (as gammapy does, whatever its docstring says), by the nearest pixel,
            or by extrapolation. Masks are always filled with False when the mode is "constant".
        name : str, optional
            A random one if None.
        """
        return self._changed(lambda field, value: value.pad(pad_width, mode=mode) if field.padded else value.copy(), name)

    def downsample(self, factor, axis_name=None, name=None):
        """Dataset with merged pixels, or merged bins of an axis.

        Counts and background inside mask_safe are summed, the exposure is averaged, a pixel of a mask is True where any was. Each field
        changes only along an axis that it has: of "energy_true" these are exposure and responses, which are averaged weighted by exposure
        (see `gpudl4.irf.PSFMap.downsample`), so that predicted counts stay as they are for spectra with equal fluxes in the merged bins.

        Parameters
        ----------
        factor : int
            Number of pixels, along longitude and latitude, or of bins.
        axis_name : str, optional
            Axis whose bins are merged, instead of pixels.
        name : str, optional
            A random one if None.

        Raises
        ------
        GeometryError
            If no field has the axis, or a PSF in reconstructed energy would have to follow.
        """
        known = self._axes_names()
        if axis_name is not None and axis_name not in known:
            raise GeometryError(f"dataset '{self.name}' has no axis {axis_name!r} to downsample; it has {', '.join(known)}")
        if axis_name is not None and axis_name not in self._geom.axes.names:
            return self._changed(lambda field, value: merge_bins(self, field, factor, axis_name), name)
        fields = [field for field in self._fields.values() if self._values[field.name] is not None]
        values = {field.name: merge_bins(self, field, factor, axis_name) for field in fields}
        return self._merged(values, lambda data_map: data_map.downsample(factor, axis_name=axis_name, weights=self.mask_safe), name)

    def resample_energy_axis(self, energy_axis, name=None):
        """Dataset with grouped reconstructed energies; counts and background inside mask_safe are summed.

        Parameters
        ----------
        energy_axis : MapAxis
            Wanted bins; their edges are rounded to those of the dataset.
        name : str, optional
            A random one if None.

        Raises
        ------
        GeometryError
            If the PSF is in reconstructed energy: what it becomes depends on the spectrum.
        """
        if getattr(self.psf, "energy_name", None) == "energy":
            raise GeometryError(
                f"dataset '{self.name}': the PSF in reconstructed energy cannot follow when energies are grouped, as its mean depends "
                "on the spectrum of the source: set dataset.psf = None on a copy to group the rest"
            )
        fields = [field for field in self._fields.values() if self._values[field.name] is not None]
        values = {field.name: merge_along_axis(self, field, energy_axis) for field in fields}
        return self._merged(values, lambda data_map: data_map.resample_axis(energy_axis, weights=self.mask_safe), name)

    def _merged(self, values, merge_sum, name, kind=None):
        """New dataset from merged fields; the fields that follow from others (an off acceptance) are worked out last."""
        values = with_ratio(self, values, merge_sum)
        return (kind or type(self))(**values, name=make_name(name), stat_type=self.stat_type)

    def to_image(self, name=None):
        """Dataset with a single bin of reconstructed energy; see `resample_energy_axis`."""
        return self.resample_energy_axis(self._geom.axes["energy"].squash(), name=name)

    def slice_by_idx(self, slices, name=None):
        """Part of the bins.

        Parameters
        ----------
        slices : dict
            Slice by name of axis; each field is cut along the axes that it has.
        name : str, optional
            A random one if None.

        Raises
        ------
        GeometryError
            If no field has the axis, or an integer is given, which would take an axis away from a dataset that needs it.
        """
        known = self._axes_names()
        for axis, cut in slices.items():
            if axis not in known:
                raise GeometryError(f"dataset '{self.name}' has no axis {axis!r}; it has {', '.join(known)}")
            if not isinstance(cut, slice):
                raise GeometryError(f"a dataset keeps all its axes: give slice({cut}, {cut} + 1) instead of {cut} for '{axis}'")

        def change(field, value):
            own = {axis: cut for axis, cut in slices.items() if axis in main_map(field, value).geom.axes.names}
            return (value.slice_by_idx(own) if own else value).copy()

        return self._changed(change, name)

    def slice_by_energy(self, energy_min=None, energy_max=None, name=None):
        """Part of the reconstructed energies.

        Parameters
        ----------
        energy_min, energy_max : Quantity or str, optional
            Limits, which are rounded to edges of the energy axis; the ends of the axis if None.
        name : str, optional
            A random one if None.

        Raises
        ------
        GeometryError
            If no bin is left.
        """
        import astropy.units as u

        axis = self._geom.axes["energy"]
        edges = u.Quantity(
            [
                axis.edges[0] if energy_min is None else u.Quantity(energy_min),
                axis.edges[-1] if energy_max is None else u.Quantity(energy_max),
            ]
        )
        group = axis.group_table(edges)
        group = group[[str(kind).strip() == "normal" for kind in group["bin_type"]]]
        if len(group) == 0:
            raise GeometryError(
                f"dataset '{self.name}' has no energy bin from {edges[0]:.4g} to {edges[1]:.4g}; its energies go from {axis.edges[0]:.4g} "
                f"to {axis.edges[-1]:.4g}"
            )
        return self.slice_by_idx({"energy": slice(int(group["idx_min"][0]), int(group["idx_max"][0]) + 1)}, name=name)

    def to_edisp_kernels(self, name=None, models=None):
        """Dataset whose energy dispersion over migra is turned into kernels for its reconstructed energies.

        Do it before stacking: a map over migra cannot keep the energy thresholds of each dataset, a kernel map does.

        Parameters
        ----------
        name : str, optional
            A random one if None.
        models : Models, optional
            Models of the new dataset.

        Returns
        -------
        dataset : dataset of the same kind
            It shares all other arrays with this one.
        """
        values = dict(self._values)
        if self.edisp is not None and "migra" in self.edisp.edisp_map.geom.axes.names:
            values["edisp"] = self.edisp.to_edisp_kernel_map(self._geom.axes["energy"])
        return type(self)(**values, name=make_name(name), stat_type=self.stat_type, models=models)

    def to_masked(self, name=None, nan_to_num=True):
        """Dataset in which everything outside mask_safe is zero, as stacking needs it; without models.

        Parameters
        ----------
        name : str, optional
            A random one if None.
        nan_to_num : bool
            Replace values that are not finite by zero.
        """
        from .stack import stack_datasets

        return stack_datasets([self], name=name, nan_to_num=nan_to_num)

    def stack(self, other, nan_to_num=True):
        """Add another dataset to this one in place, weighted by the other's mask_safe; see `gpudl4.datasets.stack`."""
        from .stack import stack_in_place

        stack_in_place(self, other, nan_to_num)

    # ---------------------------------------------------------------------------------------------------------------------- regions

    def to_region_map_dataset(self, region, name=None):
        """The dataset of one region: counts and background inside mask_safe are summed, the exposure is averaged over its pixels.

        Responses are taken at the centre of the region, from the nearest pixel.

        Parameters
        ----------
        region : `~regions.SkyRegion` or None
            Region inside the map; None for a dataset that is on a region already.
        name : str, optional
            A random one if None.

        Raises
        ------
        GeometryError
            If the region is not inside the map, or the mask differs between pixels of the region at some energy.
        """
        return self._in_region(region, name, None, None)

    def to_spectrum_dataset(self, on_region, containment_correction=False, name=None):
        """Spectrum of a region; see `to_region_map_dataset`. It has no PSF.

        Parameters
        ----------
        on_region : `~regions.SkyRegion`
            Region.
        containment_correction : bool
            Multiply the exposure by the fraction of a point source's events that fall into the region, a circle around it.
        name : str, optional
            A random one if None.

        Returns
        -------
        dataset : SpectrumDataset or SpectrumDatasetOnOff

        Raises
        ------
        DatasetError
            If a containment correction is not possible: the region is no circle, or there is no PSF in true energy.
        """
        from .spectrum import SPECTRUM_KINDS

        containment = None
        if containment_correction:
            from regions import CircleSkyRegion

            if not isinstance(on_region, CircleSkyRegion):
                raise DatasetError(f"a containment correction needs a CircleSkyRegion, got a {type(on_region).__name__}")
            if self.psf is None or self.psf.energy_name != "energy_true":
                raise DatasetError(f"dataset '{self.name}' has no PSF in true energy, which a containment correction needs")
            if self.exposure is None:
                raise DatasetError(f"dataset '{self.name}' has no exposure that a containment correction could be applied to")
            energies = self.exposure.geom.axes["energy_true"].center
            containment = self.psf.containment(rad=on_region.radius, energy_true=energies, position=on_region.center)
        return self._in_region(on_region, name, SPECTRUM_KINDS[self.tag], containment)

    def _in_region(self, region, name, kind, containment):
        check_region(self, region)
        names = [name for name in self._fields if self._values[name] is not None and not (kind is not None and name == "psf")]
        values = {name: merge_region(self, self._fields[name], region) for name in names}
        if containment is not None:
            exposure = values["exposure"]
            factors = to_device(np.asarray(to_host(getattr(containment, "value", containment))), exposure.backend)
            values["exposure"] = exposure.copy(data=exposure.data * factors.reshape(exposure.data.shape))

        def merge_sum(data_map):
            return data_map.to_region_nd_map(region, func=np.sum, weights=self.mask_safe)

        return self._merged(values, merge_sum, name, kind)


def check_region(dataset, region):
    """Refuse a region that leaves the map, or in which the mask is not uniform."""
    geom = dataset._geom
    if geom.is_region:
        return
    if region is None:
        raise GeometryError(f"dataset '{dataset.name}' is on a map of the sky: name a region")
    padded = geom.to_image().pad((1, 1)).region_mask(region).data
    if padded[0].any() or padded[-1].any() or padded[:, 0].any() or padded[:, -1].any():
        raise GeometryError(f"the region is not inside the map of dataset '{dataset.name}': {region}")
    if dataset.mask is None:
        return
    inside = padded[1:-1, 1:-1]
    values = to_host(dataset.mask.data)[..., inside]
    if values.size and (values.any(axis=-1) != values.all(axis=-1)).any():
        raise GeometryError(
            f"the mask of dataset '{dataset.name}' differs between pixels of the region: the spectrum of it would mix exposures; choose a "
            "region in which mask_safe and mask_fit are uniform at each energy"
        )
