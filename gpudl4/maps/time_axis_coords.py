"""Times, pixel coordinates and bin numbers of a time axis: the part of `TimeMapAxis` that looks up."""

import numpy as np
from astropy import units as u
from astropy.time import Time, TimeDelta

from ..core.errors import UnitMismatchError
from ..core.instants import ranks, replace_where
from .axis_base import AxisBase

__all__ = ["TimeAxisCoordinates", "durations"]


def durations(values, what):
    """Durations as a quantity of at least one dimension; UnitMismatchError if they are none."""
    values = u.Quantity(values.to("s") if isinstance(values, TimeDelta) else values, ndmin=1)
    if not values.unit.is_equivalent("s"):
        raise UnitMismatchError(f"{what} of a time axis must be durations since its reference time, got the unit '{values.unit}'")
    return values


class TimeAxisCoordinates(AxisBase):
    """Lookups of `~gpudl4.maps.TimeMapAxis`; the middle of bin i has the pixel coordinate i."""

    def _time(self, coord):
        return coord if isinstance(coord, Time) else self._reference_time + durations(coord, "coordinates").reshape(np.shape(coord))

    def coord_to_idx(self, coord, clip=False):
        """Bin number of each time; -1 in a gap or outside, also where `clip` is True, as in gammapy.

        Parameters
        ----------
        coord : `~astropy.time.Time` or `~astropy.units.Quantity`
            Times, or durations since the reference time.
        clip : bool
            Without effect; for the signature of `MapAxis.coord_to_idx`.

        Returns
        -------
        idx : `~numpy.ndarray` of int
            Of the shape of `coord`.
        """
        time = self._time(coord)
        start = self.time_min
        time = getattr(time, start.scale)
        rank, low, high = ranks(time.reshape(-1), start, self.time_max)
        idx = np.searchsorted(low, rank, side="left") - 1
        inside = (idx >= 0) & (rank <= high[np.maximum(idx, 0)])
        return np.where(inside, idx, -1).reshape(time.shape)

    def coord_to_pix(self, coord):
        """Pixel coordinates; bin i has its middle at i. NaN in gaps and outside. At least one-dimensional."""
        time = self._time(coord)
        time = time.reshape(1) if time.shape == () else time
        idx = self.coord_to_idx(time)
        since = (time - self._reference_time).to_value(self.unit)
        low, high = self._edges_min.value[idx], self._edges_max.to_value(self.unit)[idx]
        return np.where(idx < 0, np.nan, idx + (since - low) / (high - low) - 0.5)

    def pix_to_coord(self, pix):
        """Times of pixel coordinates counted from the start of the first bin, `~astropy.time.Time`; MJD 0 outside, as in gammapy."""
        pix = np.asarray(pix, dtype=float)
        idx = np.trunc(pix).astype(int)
        inside = (idx >= 0) & (idx < self.nbin) & (pix >= 0)
        idx = np.where(inside, idx, 0)
        since = self._edges_min[idx] + (pix - idx) * (self._edges_max - self._edges_min)[idx]
        time = self._reference_time + since
        return replace_where(~inside, Time([0.0], format="mjd", scale=time.scale), time)

    def group_table(self, interval_edges):
        """Which bins lie inside coarser intervals.

        Parameters
        ----------
        interval_edges : list of `~astropy.time.Time` or `~astropy.units.Quantity`
            Start, stop, start, stop, ...; durations count from the reference time.

        Returns
        -------
        groups : `~astropy.table.Table`
            Columns idx_min, idx_max (inclusive; -1 without a bin), time_min, time_max (MJD), and bin_type: "normal   " with three blanks,
            "underflow", "overflow" or "outflow".
        """
        from astropy.table import Table

        edges = [edge if isinstance(edge, Time) else self._reference_time + edge for edge in interval_edges]
        start, stop, rows = self.time_min, self.time_max, []
        for low, high in zip(edges[::2], edges[1::2], strict=True):
            later, earlier = start >= low, stop <= high
            inside = np.flatnonzero(later & earlier)
            if inside.size:
                first, last, kind = int(inside[0]), int(inside[-1]), "normal   "
            else:
                first = last = -1
                kind = "overflow" if later.any() else "underflow" if earlier.any() else "outflow"
            rows.append((first, last, start[first].mjd, stop[last].mjd, kind))
        names = ("idx_min", "idx_max", "time_min", "time_max", "bin_type")
        return Table(rows=rows, names=names) if rows else Table(names=names, dtype=("i8", "i8", "f8", "f8", "U10"))
