"""The engine's view of a spatial model: where on the map, and how much in each pixel, with derivatives.

Sampling follows gammapy's `SpatialModel.integrate_geom`: a model that asks for bins smaller than a pixel is evaluated on subpixels, within
a square window around its position (grown where the projection distorts it), and is 0 outside; else it is evaluated at all pixel centres
of the map. Subpixels beyond the end of the projection take the values of those of their pixel that are on the sky, as the solid angle of a
pixel is that of its part on the sky. The oversampling factor and the window are fixed when a model is bound.

* `PointBinding`: pixel coordinates of a point and their derivatives;
* `GaussBinding`: Gaussian images by compiled kernels;
* `NumericImageBinding`: a user's model, derivatives by central differences of its own image.
"""

import copy
import functools
from dataclasses import dataclass

import astropy.units as u
import numpy as np

from ...core.errors import ModelError
from ...maps.frames import rotate_lonlat
from ..differences import central_differences

__all__ = ["GaussBinding", "NumericImageBinding", "PointBinding", "Sampling"]

MAX_OVERSAMPLING = 200  # gammapy's limit
POSITION_STEP = 3e-4  # of a bin; step of the differences for positions of users' models
STRIP = 16  # rows of an item of work
PLACES = np.array(sorted(((i / 4, j / 4) for i in range(-2, 3) for j in range(-2, 3)), key=lambda p: (p[0] ** 2 + p[1] ** 2, p))).T
"""Places in a pixel, x and y from its centre, those nearest to it first."""
ARC = 1e-5  # radian; step of the central difference of the map projection, errors of 3e-11 from both sides


@dataclass(frozen=True)
class Sampling:
    """Where a model is evaluated on a map.

    Attributes
    ----------
    factor : int
        Subpixels per pixel and direction.
    rows, columns : slice
        Window of the map; all of it where `factor` is 1.
    """

    factor: int
    rows: slice
    columns: slice

    @classmethod
    def choose(cls, geom, lon, lat, frame, radius, bin_size, factor=None):
        """Sampling by gammapy's rule.

        Parameters
        ----------
        geom : WcsGeom
        lon, lat : float
            Position in degrees, in `frame`.
        frame : str
        radius : float or None
            Evaluation radius in degrees. The window's half width is this, or the larger pixel side if that is more. A window that misses
            the map means factor 1.
        bin_size : float or None
            Bin size the model wants, in degrees. None means factor 1, a size of 0 the largest factor.
        factor : int, optional
            Overrides the rule.
        """
        ny, nx = geom.data_shape[-2:]
        whole = cls(1, slice(0, ny), slice(0, nx))
        pixel = geom.largest_pixel_scale
        rows, columns = whole.rows, whole.columns
        if radius is not None:
            try:
                position = rotate_lonlat(lon, lat, frame, geom.frame)
                slices = geom.cutout_slices(position, 2 * max(radius, pixel))["parent-slices"]
                rows, columns = geom.grown_slices(slices, position, radius)
            except ValueError:  # no overlap, or a position that is not finite
                factor = 1
        if factor is None:
            factor = 1
            if bin_size is not None:
                factor = min(int(np.ceil(pixel / bin_size)), MAX_OVERSAMPLING) if bin_size > 0 else MAX_OVERSAMPLING
        if factor <= 1:
            return whole
        return cls(int(factor), slice(int(rows.start), int(rows.stop)), slice(int(columns.start), int(columns.stop)))

    def covers(self, other):
        """Whether results with this sampling stand for those with the other one.

        They do if the factors agree and the other window reaches out of this one by one pixel at most: windows are whole pixels, so the
        smallest move of a source can shift one by a pixel.
        """
        pairs = ((self.rows, other.rows), (self.columns, other.columns))
        return self.factor == other.factor and all(b.start >= a.start - 1 and b.stop <= a.stop + 1 for a, b in pairs)

    def pixel_positions(self):
        """Pixel coordinates of the subpixel centres, x array[nx * factor] and y array[ny * factor]."""
        f = self.factor
        return tuple((np.arange((s.stop - s.start) * f) + 0.5) / f - 0.5 + s.start for s in (self.columns, self.rows))

    def lonlat(self, geom, frame):
        """Positions of the subpixel centres in degrees, two arrays[ny * factor, nx * factor].

        Where the sky ends in a pixel, those beyond it are at the place of one on the sky, or else of the point of the pixel on the sky that
        is nearest to its centre; NaN for pixels without any sky.
        """
        x, y = self.pixel_positions()
        lon, lat = geom.pix_to_lonlat(x, y[:, np.newaxis], frame)
        return self._on_sky(geom, frame, lon, lat) if np.isnan(lon).any() else (lon, lat)

    def _on_sky(self, geom, frame, lon, lat):
        f, shape = self.factor, lon.shape
        blocks = [part.reshape(shape[0] // f, f, shape[1] // f, f).swapaxes(1, 2).reshape(-1, f * f).copy() for part in (lon, lat)]
        beyond = np.isnan(blocks[0])
        pixels = np.flatnonzero(beyond.any(axis=1))
        rows, columns = np.divmod(pixels, shape[1] // f)
        x, y = columns[:, np.newaxis] + self.columns.start + PLACES[0], rows[:, np.newaxis] + self.rows.start + PLACES[1]
        others = geom.pix_to_lonlat(x, y, frame)
        places = [np.concatenate([block[pixels], other], axis=1) for block, other in zip(blocks, others, strict=True)]
        unknown = np.isnan(places[0])
        order = np.argsort(unknown, axis=1, kind="stable")  # subpixels on the sky come first, then other points
        number = np.maximum((~unknown[:, : f * f]).sum(axis=1), 1)  # another point is taken only where no subpixel is on the sky
        source = np.take_along_axis(order, np.arange(f * f) % number[:, np.newaxis], axis=1)
        for block, place in zip(blocks, places, strict=True):
            block[pixels] = np.where(beyond[pixels], np.take_along_axis(place, source, axis=1), block[pixels])
        return tuple(block.reshape(shape[0] // f, shape[1] // f, f, f).swapaxes(1, 2).reshape(shape) for block in blocks)

    def embed(self, window, shape):
        """Put arrays[..., window] on maps of a shape (ny, nx), zero outside."""
        if window.shape[-2:] == tuple(shape):
            return window
        out = np.zeros((*window.shape[:-2], *shape))
        out[..., self.rows, self.columns] = window
        return out


def pixel_weights(geom, sampling):
    """Solid angle of the coarse pixels in the window, divided by the number of subpixels, sr array[ny, nx]; 0 where the map has no sky."""
    area = geom.to_image().solid_angle().to_value("sr").reshape(geom.data_shape[-2:])[sampling.rows, sampling.columns]
    return np.nan_to_num(area) / sampling.factor**2


def check_values(values, n_par):
    """Float64 array[B, P]."""
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] != n_par:
        raise ModelError(f"values of shape [B, {n_par}] were wanted, got {values.shape}")
    return values


@functools.lru_cache(maxsize=16)
def _rotation(frame, target):
    """Matrix from one frame to another; read only."""
    lon, lat = np.deg2rad(rotate_lonlat(np.array([0.0, 90.0, 0.0]), np.array([0.0, 0.0, 90.0]), frame, target))
    matrix = np.array([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
    matrix.flags.writeable = False
    return matrix


class PointBinding:
    """A point on a map.

    Parameters
    ----------
    geom : WcsGeom
    frame : str
        Frame of the point's coordinates.
    units : pair of units
        Own units of longitude and latitude.
    """

    def __init__(self, geom, frame, units):
        from ... import kernels

        self._kernel = kernels.cpu("position")
        self._geom = geom.to_image()
        self._degrees = np.array([u.Unit(unit).to("deg") for unit in units])
        self._radians = np.array([u.Unit(unit).to("rad") for unit in units])
        self._turn = frame != geom.frame
        self._rotation = _rotation(frame, geom.frame)

    def position(self, values):
        """Pixel coordinates and their derivatives.

        Parameters
        ----------
        values : array[B, 2]
            Longitude and latitude in own units.

        Returns
        -------
        xy : array[B, 2]
            Column and row, 0 at the centre of the first pixel; NaN where the projection has no such place.
        dxy : array[B, 2, 2]
            ``dxy[b, i, j]`` is the derivative of ``xy[b, i]`` with respect to value j. It is the central difference of the projection along
            great circles through the point, so it holds at the poles too.
        """
        lonlat = check_values(values, 2) * self._degrees
        points = np.empty((2, len(lonlat), 5))
        self._kernel.point_steps(lonlat, self._rotation, self._turn, ARC, points)
        x, y = self._geom.lonlat_to_pix(points[0], points[1])
        xy, dxy = np.empty((len(lonlat), 2)), np.empty((len(lonlat), 2, 2))
        self._kernel.point_slopes(np.ascontiguousarray(x), np.ascontiguousarray(y), lonlat, ARC, self._radians, xy, dxy)
        return xy, dxy


class GaussBinding:
    """Images of a Gaussian.

    Parameters
    ----------
    geom : WcsGeom
    frame : str
        Frame of the model.
    units : sequence of units
        Own units of lon_0, lat_0, sigma, e, phi.
    sampling : Sampling

    Attributes
    ----------
    factors : float64 array[5]
        From own units to radian.
    vectors : float64 array[pixels, subpixels, 3]
        Directions of the subpixels of the window, in the model's frame.
    weights : float64 array[pixels]
        Solid angle of a pixel over its number of subpixels.
    window : tuple of int
        First row, first column, rows and columns of the window outside which the image is 0.
    """

    def __init__(self, geom, frame, units, sampling):
        from ... import kernels

        self._kernel = kernels.cpu("gauss")
        self._geom, self._frame, self._units, self.sampling = geom.to_image(), frame, list(units), sampling
        self.factors = np.array([1.0 if i == 3 else u.Unit(unit).to("rad") for i, unit in enumerate(units)])
        self._shape = tuple(geom.data_shape[-2:])
        lon, lat = sampling.lonlat(self._geom, frame)
        weight = pixel_weights(self._geom, sampling)
        ny, nx, f = *weight.shape, sampling.factor
        vectors = _directions(lon, lat).reshape(ny, f, nx, f, 3).transpose(0, 2, 1, 3, 4).reshape(ny * nx, f * f, 3)
        no_sky = np.isnan(vectors[..., 2]).any(axis=1)
        vectors[no_sky] = 0
        self.vectors = np.ascontiguousarray(vectors)
        self.weights = np.where(no_sky, 0.0, weight.ravel())
        self.window = sampling.rows.start, sampling.columns.start, ny, nx

    def is_that_of(self, model, geom):
        """Whether ``model.bind_image(geom)`` would be the same: nothing here depends on the model's values but the sampling."""
        return (
            type(model).__name__ == "GaussianSpatialModel"
            and (model.frame, [p.unit for p in model.parameters]) == (self._frame, self._units)
            and geom.to_image() == self._geom
            and model.sampling(geom) == self.sampling
        )

    def radians(self, values):
        """Values in own units, array[B, 5], as angles in radian and the eccentricity."""
        return check_values(values, 5) * self.factors

    @property
    def _table(self):
        """This Gaussian alone as a table for the kernels."""
        row, column, height, width = self.window
        ny, nx = self._shape
        return np.array([[0, nx, ny, row, column, height, width, self.vectors.shape[1], 0, 0, 0]], dtype=np.int64)

    def _params(self, values):
        """Numbers for the kernels, array[B, 10]."""
        radians = self.radians(values)
        return np.concatenate([radians, np.broadcast_to(self.factors, radians.shape)], axis=1)

    def image(self, values):
        """Integrals over the pixels, array[B, ny, nx], for ``values[B, 5]`` in own units."""
        params, (ny, nx) = self._params(values), self._shape
        out = np.empty((len(params), ny * nx))
        self._kernel.gauss_image(self._table, _strips(ny), self.vectors.ravel(), self.weights, params, out)
        return out.reshape(-1, ny, nx)

    def gradient(self, values, slots=range(5)):
        """Derivatives of `image` with respect to the own-unit values of some parameters, array[B, slots, ny, nx]."""
        params, (ny, nx), n = self._params(values), self._shape, len(slots)
        slopes = np.array([[0, slot, i * ny * nx] for i, slot in enumerate(slots)], dtype=np.int64)
        out = np.empty((len(params), n * ny * nx))
        self._kernel.gauss_gradient(self._table, slopes, _strips(ny, n - 1), self.vectors.ravel(), self.weights, params, out)
        return out.reshape(-1, n, ny, nx)

    def pullback(self, values, a):
        """``sum over pixels of a * gradient``, array[B, 5], for ``a[B, ny, nx]``."""
        params = self._params(values)
        a = np.ascontiguousarray(a, dtype=np.float64).reshape(len(params), -1)
        strips = _strips(self.window[2], summed=True)
        parts = np.empty((len(params), 5 * len(strips)))
        self._kernel.gauss_pullback(self._table, strips, self.vectors.ravel(), self.weights, params, a, parts)
        return parts.reshape(len(params), 5, -1).sum(axis=-1) * self.factors

    def is_valid(self, values):
        """Whether binding at these values would give the same sampling, see `Sampling.covers`; True if it holds for every row."""
        for lon, lat, sigma, _, _ in np.rad2deg(self.radians(values)):
            fresh = Sampling.choose(self._geom, lon, lat, self._frame, 5 * sigma, sigma / 3)
            if not self.sampling.covers(fresh):
                return False
        return True


def _strips(rows, more=0, summed=False):
    """Items of work that cover all rows of an image, and of `more` that follow it in their table, some rows each.

    With `summed` each leaves sums of its own, one beside the other for each parameter.
    """
    begins = range(0, rows, STRIP)
    sums = [(i, len(begins)) for i in range(len(begins))] if summed else [(-1, 1)] * len(begins)
    return np.array([[0, more, y, min(y + STRIP, rows), *s] for y, s in zip(begins, sums, strict=True)], dtype=np.int64).reshape(-1, 6)


def _directions(lon, lat):
    """Unit vectors of positions in degrees, array[y, x, 3]; NaN where there is none."""
    if np.array_equal(lon, np.broadcast_to(lon[:1], lon.shape)) and np.array_equal(lat, np.broadcast_to(lat[:, :1], lat.shape)):
        lon, lat = lon[:1], lat[:, :1]  # meridians and parallels are straight: few sines
    lon, lat = np.deg2rad(lon), np.deg2rad(lat)
    out, cos_lat = np.empty((*np.broadcast_shapes(lon.shape, lat.shape), 3)), np.cos(lat)
    out[..., 0], out[..., 1], out[..., 2] = cos_lat * np.cos(lon), cos_lat * np.sin(lon), np.sin(lat)
    return out


class NumericImageBinding:
    """Images of a user's model, which only has `evaluate` (or its own `evaluate_geom` or `integrate_geom`).

    Parameters
    ----------
    model : SpatialModel
        It is copied.
    geom : WcsGeom
    sampling : Sampling
    """

    def __init__(self, model, geom, sampling):
        self._model, self._geom, self.sampling = copy.deepcopy(model), geom.to_image(), sampling
        self._shape = tuple(geom.data_shape[-2:])
        self._bounds = np.array([[p.min, p.max] for p in model.parameters], dtype=np.float64).reshape(-1, 2)
        # a position varies on the scale of the bins the model wants, whatever its value
        bin_size = geom.largest_pixel_scale / sampling.factor
        named = zip(model.parameters.names, model.parameters, strict=True)
        self._steps = [POSITION_STEP * bin_size * u.deg.to(p.unit) if name in ("lon_0", "lat_0") else np.nan for name, p in named]
        self._own_geom_methods = model._overrides("evaluate_geom", "integrate_geom")
        if not self._own_geom_methods:
            lon, lat = sampling.lonlat(self._geom, model.frame)
            self._sky = np.isfinite(lon)
            self._lonlat = u.Quantity(np.where(self._sky, lon, 0), "deg"), u.Quantity(np.where(self._sky, lat, 0), "deg")
            self._weight = pixel_weights(self._geom, sampling)

    def _with(self, row):
        model = copy.deepcopy(self._model)
        model.parameters.value = row
        return model

    def _row(self, row):
        model = self._with(row)
        if self._own_geom_methods:
            return model.integrate_geom(self._geom, oversampling_factor=self.sampling.factor).quantity.to_value("").reshape(self._shape)
        value = np.broadcast_to(u.Quantity(model(*self._lonlat)).to_value("sr-1"), self._sky.shape)
        ny, nx = self._weight.shape
        blocks = np.where(self._sky, value, 0).reshape(ny, self.sampling.factor, nx, self.sampling.factor)
        return self.sampling.embed(blocks.sum(axis=(1, 3)) * self._weight, self._shape)

    def image(self, values):
        """Integrals over the pixels, array[B, ny, nx], for ``values[B, P]`` in own units."""
        return np.array([self._row(row) for row in check_values(values, len(self._bounds))])

    def gradient(self, values):
        """Derivatives of `image` with respect to the own-unit values, array[B, P, ny, nx]."""
        values = check_values(values, len(self._bounds))
        return np.array([central_differences(self._row, row, self._bounds, self._row(row), self._steps) for row in values])

    def pullback(self, values, a):
        """``sum over pixels of a * gradient``, array[B, P], for ``a[B, ny, nx]``."""
        return np.einsum("bpyx,byx->bp", self.gradient(values), a)

    def is_valid(self, values):
        """Whether binding at these values would give the same sampling, see `Sampling.covers`; True if it holds for every row."""
        rows = check_values(values, len(self._bounds))
        return all(self.sampling.covers(self._with(row).sampling(self._geom)) for row in rows)
