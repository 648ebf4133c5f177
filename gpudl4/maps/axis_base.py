"""`AxisBase`: what axes of numbers, of times and of labels have in common, which is a name and a number of bins."""

import numpy as np

from ..core.errors import GeometryError
from .axis_verbs import AxisPlotVerbs

__all__ = ["AxisBase"]


class AxisBase(AxisPlotVerbs):
    """Base class of `~gpudl4.maps.MapAxis`, `~gpudl4.maps.TimeMapAxis` and `~gpudl4.maps.LabelMapAxis`.

    Subclasses give ``_name``, ``nbin`` and ``copy``.
    """

    __slots__ = ()

    @property
    def name(self):
        """Name."""
        return self._name

    def rename(self, new_name):
        """Axis with another name."""
        return self.copy(name=new_name)

    def assert_name(self, required_name):
        """Raise GeometryError unless the axis has the given name."""
        if self._name != required_name:
            raise GeometryError(f"an axis named '{required_name}' is needed, got: '{self._name}'")

    def pix_to_idx(self, pix, clip=False):
        """Bin number of integer pixel coordinates.

        Parameters
        ----------
        pix : array-like of int
            Pixel numbers.
        clip : bool
            True takes the nearest bin outside the axis, False gives -1.

        Returns
        -------
        idx : `~numpy.ndarray`
            Bin numbers.
        """
        pix = np.asarray(pix)
        return np.clip(pix, 0, self.nbin - 1) if clip else np.where((pix < 0) | (pix >= self.nbin), -1, pix)

    def _selected_bins(self, idx):
        """Numbers of the bins that a slice or a number selects; GeometryError if there are none."""
        bins = np.arange(self.nbin)[idx if isinstance(idx, slice) else slice(idx, idx + 1 or None)]
        if bins.size == 0:
            raise GeometryError(f"slice {idx} selects none of the {self.nbin} bins of axis '{self.name}'")
        return bins
