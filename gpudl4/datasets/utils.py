"""Small tools around datasets that a script may import from here, as from gammapy's module of this name."""

import numpy as np

from gpudl4.core.backend import array_namespace
from gpudl4.core.errors import GeometryError

from .split import split_dataset

__all__ = ["apply_edisp", "set_and_restore_mask_fit", "split_dataset"]


def apply_edisp(input_map, edisp):
    """Fold a map in true energy with an energy dispersion.

    Parameters
    ----------
    input_map : `~gpudl4.maps.Map`
        Map with an axis "energy_true".
    edisp : `~gpudl4.irf.EDispKernel` or None
        Energy dispersion; None renames the axis only.

    Returns
    -------
    folded : `~gpudl4.maps.Map`
        Map with the axis "energy" in its place, in the same unit.

    Raises
    ------
    GeometryError
        If the map has no true energies, or not as many as the energy dispersion.
    """
    geom = input_map.geom
    if "energy_true" not in geom.axes.names:
        raise GeometryError(f"an energy dispersion needs an axis 'energy_true', the map has: {geom.axes.names}")
    true = geom.axes["energy_true"]
    if edisp is None:
        return input_map.rename_axes(["energy_true"], ["energy"])
    if edisp.axes["energy_true"].nbin != true.nbin:
        raise GeometryError(f"the map has {true.nbin} true energies, the energy dispersion {edisp.axes['energy_true'].nbin}")
    energy = edisp.axes["energy"].copy(name="energy")
    place = len(geom.axes) - 1 - geom.axes.index("energy_true")  # the array has the axes in reverse
    xp = array_namespace(input_map.data)
    data = xp.moveaxis(xp.moveaxis(input_map.data, place, -1) @ xp.asarray(edisp.pdf_matrix), -1, place)
    axes = [energy if axis.name == "energy_true" else axis for axis in geom.axes]
    return type(input_map)(geom.to_image().to_cube(axes), data=data, unit=input_map.unit)


class set_and_restore_mask_fit:
    """Fit masks for the length of a ``with`` block; afterwards datasets have the masks that they had before.

    Parameters
    ----------
    datasets : iterable of datasets
        Datasets on maps or regions.
    mask_fit : `~gpudl4.maps.Map`, optional
        Mask for all of them, taken at the nearest of its pixels.
    energy_min, energy_max : `~astropy.units.Quantity`, optional
        Range in which bins have to lie completely.
    round_to_edge : bool
        Move the limits to the nearest edges first.
    operator : callable or None
        How each new mask is combined with the dataset's own; None replaces it.

    Returns
    -------
    datasets : Datasets
        What the block gets: those datasets that have any bin left.
    """

    def __init__(self, datasets, mask_fit=None, energy_min=None, energy_max=None, round_to_edge=False, operator=np.logical_and):
        self.datasets = list(datasets)
        self.mask_fit, self.operator = mask_fit, operator
        self._limits = (energy_min, energy_max, round_to_edge)
        self._before = [dataset.mask_fit for dataset in self.datasets]

    def __enter__(self):
        from .collection import Datasets

        masks = [self._mask_of(dataset) for dataset in self.datasets]  # all of them before the first is set: one may not fit
        for dataset, mask in zip(self.datasets, masks, strict=True):
            dataset.mask_fit = mask
        return Datasets([dataset for dataset, mask in zip(self.datasets, masks, strict=True) if bool(mask.data.any())])

    def __exit__(self, *error):
        for dataset, before in zip(self.datasets, self._before, strict=True):
            dataset.mask_fit = before

    def _mask_of(self, dataset):
        """The mask that one dataset has inside the block."""
        mask = dataset._geom.energy_mask(*self._limits).to_device(dataset.backend)
        if self.mask_fit is not None:
            mask &= self.mask_fit.to_device(dataset.backend).interp_to_geom(mask.geom, method="nearest")
        if self.operator is not None and dataset.mask_fit is not None:
            mask.data = self.operator(dataset.mask_fit.data, mask.data)
        return mask
