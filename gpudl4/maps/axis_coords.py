"""Coordinates, pixel coordinates and bin numbers of an axis: the part of `MapAxis` that looks up."""

import numpy as np
from astropy import units as u

from ..core.errors import UnitMismatchError
from .axis_base import AxisBase
from .axis_scales import index_of_value, value_of_index

__all__ = ["AxisCoordinates"]


class AxisCoordinates(AxisBase):
    """Lookups of `~gpudl4.maps.MapAxis`. Bin i covers the pixel coordinates i - 0.5 to i + 0.5."""

    __slots__ = ()

    def _pix_to_value(self, pix):
        index = np.asarray(pix, dtype=float) + (0.5 if self._node_type == "edges" else 0.0)
        return value_of_index(index, self._scaled, self._interp)

    def _value(self, coord):
        """Plain numbers in the unit of the axis; strings and quantities are converted, numbers are taken as they are."""
        if isinstance(coord, np.ndarray) and not isinstance(coord, u.Quantity):
            value = coord
        else:
            try:
                value = u.Quantity(coord, self._unit, copy=None).value
            except u.UnitConversionError as error:
                raise UnitMismatchError(f"coordinate of axis '{self.name}' does not convert to '{self.unit}': {error}") from error
        if self._boundary_type == "periodic":
            low, high = self._edges[0], self._edges[-1]
            value = np.where((value >= high) | (value < low), (value - low) % (high - low) + low, value)
        return np.asarray(value, dtype=float)

    def wrap_coord(self, coord):
        """Coordinate wrapped into the range of a periodic axis.

        Parameters
        ----------
        coord : array-like or `~astropy.units.Quantity`
            Coordinates.

        Returns
        -------
        coord : `~astropy.units.Quantity`
            Coordinates between the first and the last edge.
        """
        low, high = self.edges[0], self.edges[-1]
        coord = u.Quantity(coord, self.unit)
        return np.where((coord >= high) | (coord < low), (coord - low) % (high - low) + low, coord)

    def coord_to_pix(self, coord):
        """Pixel coordinates; bin i has its centre at i. Positions outside the axis are extrapolated.

        Parameters
        ----------
        coord : array-like or `~astropy.units.Quantity`
            Coordinates; numbers are in the unit of the axis.

        Returns
        -------
        pix : `~numpy.ndarray`
            Pixel coordinates, at least one-dimensional.
        """
        pix = index_of_value(self._value(coord), self._scaled, self._interp)
        return np.atleast_1d(pix - (0.5 if self._node_type == "edges" else 0.0))

    def pix_to_coord(self, pix):
        """Coordinates of pixel positions.

        Parameters
        ----------
        pix : array-like
            Pixel coordinates.

        Returns
        -------
        coord : `~astropy.units.Quantity`
            Coordinates.
        """
        return u.Quantity(self._pix_to_value(pix), self._unit, copy=None)

    def coord_to_idx(self, coord, clip=False):
        """Bin number; bins include their lower edge.

        Parameters
        ----------
        coord : array-like or `~astropy.units.Quantity`
            Coordinates.
        clip : bool
            True takes the nearest bin outside the axis, False gives -1.

        Returns
        -------
        idx : `~numpy.ndarray` of int
            Bin numbers, at least one-dimensional; -1 where the coordinate is not finite.
        """
        value = np.atleast_1d(self._value(coord))
        idx = np.digitize(value, self._edges) - 1
        if clip:
            idx = np.clip(idx, 0, self.nbin - 1)
        else:
            idx[idx >= self.nbin] = -1
        idx[~np.isfinite(value)] = -1
        return idx

    def round(self, coord, clip=False):
        """Nearest edges, by pixel distance.

        Parameters
        ----------
        coord : array-like or `~astropy.units.Quantity`
            Coordinates.
        clip : bool
            Whether coordinates outside are moved to the first or last edge.

        Returns
        -------
        coord : `~astropy.units.Quantity`
            Edges.
        """
        pix = self.coord_to_pix(coord)
        if clip:
            pix = np.clip(pix, -0.5, self.nbin - 0.5)
        return self.pix_to_coord(np.round(pix + 0.5) - 0.5)
