"""Base class of spatial models: surface brightness on the sky, with integral 1.

A user's model declares its parameters (``lon_0`` and ``lat_0`` if it has a position) and `evaluate`; everything else follows::

    class MySpatialModel(SpatialModel):
        tag = "my-spatial-model"
        lon_0 = Parameter("lon_0", "0 deg")
        lat_0 = Parameter("lat_0", "0 deg", min=-90, max=90)
        radius = Parameter("radius", "1 deg", min=0)

        @staticmethod
        def evaluate(lon, lat, lon_0, lat_0, radius):
            ...  # a Quantity in sr-1

        @property
        def evaluation_radius(self):
            return self.radius.quantity
"""

import inspect

import astropy.units as u
import numpy as np

from ...core.errors import ModelError, UnitMismatchError
from ..base import ModelBase
from .binding import NumericImageBinding, Sampling

__all__ = ["SpatialModel"]

POSITION_CONTAINMENT = 0.95  # of `position_error`, gammapy's


class SpatialModel(ModelBase):
    """Base class of spatial models.

    Parameters
    ----------
    frame : {"icrs", "galactic"}
        Frame of the coordinates.
    **kwargs
        Values of parameters.
    """

    _type = "spatial"
    _frames = ("icrs", "galactic")

    def __init__(self, frame="icrs", **kwargs):
        if frame not in self._frames:
            raise ModelError(f"unknown frame {frame!r} of {type(self).__name__}: choose one of {', '.join(self._frames)}")
        super().__init__(**kwargs)
        self.frame = frame

    def __call__(self, lon, lat, energy=None):
        """Surface brightness in sr-1 at sky coordinates in the model's frame.

        Parameters
        ----------
        lon, lat : `~astropy.units.Quantity`
        energy : `~astropy.units.Quantity`, optional
            Needed by models that depend on energy.
        """
        kwargs = {name: p.quantity for name, p in zip(self.default_parameters.names, self.parameters, strict=True)}
        if self.is_energy_dependent:
            if energy is None:
                raise ModelError(f"{type(self).__name__} depends on energy: pass `energy`")
            kwargs["energy"] = energy
        return self.evaluate(lon, lat, **kwargs)

    @property
    def is_energy_dependent(self):
        """Whether `evaluate` takes an energy."""
        return "energy" in inspect.signature(self.evaluate).parameters

    def _overrides(self, *names):
        return any(getattr(type(self), name) is not getattr(SpatialModel, name) for name in names)

    # position and extent

    @classmethod
    def from_position(cls, position, **kwargs):
        """Model at a `~astropy.coordinates.SkyCoord`, in its frame.

        Parameters
        ----------
        position : `~astropy.coordinates.SkyCoord`
        **kwargs
            Other parameters.
        """
        lon, lat = position.data.lon.to("deg"), position.data.lat.to("deg")
        return cls(lon_0=lon, lat_0=lat, frame=position.frame.name, **kwargs)

    @property
    def position(self):
        """Centre, a `~astropy.coordinates.SkyCoord`. It can be set, from any frame."""
        from astropy.coordinates import SkyCoord

        return SkyCoord(self.lon_0.quantity, self.lat_0.quantity, frame=self.frame)

    @position.setter
    def position(self, skycoord):
        coord = skycoord.transform_to(self.frame)
        self.lon_0.quantity = coord.data.lon.to(self.lon_0.unit)
        self.lat_0.quantity = coord.data.lat.to(self.lat_0.unit)

    @property
    def position_lonlat(self):
        """Centre (lon, lat) as floats in radian, in the model's frame."""
        return self.lon_0.quantity.to_value("rad"), self.lat_0.quantity.to_value("rad")

    @property
    def position_error(self):
        """Ellipse that holds the true position with a probability of 95 %, a `~regions.EllipseSkyRegion`; None without errors.

        From the covariance of longitude and latitude, the former times cos(latitude). The longer axis is the height of the region.
        """
        from regions import EllipseSkyRegion

        covariance = self.covariance.get_subcovariance([self.lon_0, self.lat_0]).data
        units = np.array([self.lon_0.unit.to("deg") * np.cos(self.position_lonlat[1]), self.lat_0.unit.to("deg")])
        variances, directions = np.linalg.eigh(covariance * np.outer(units, units))
        if not variances[1] > 0:
            return None
        east, north = directions[:, 1]
        width, height = 2 * np.sqrt(-2 * np.log(1 - POSITION_CONTAINMENT) * np.clip(variances, variances[1] * 1e-12, None)) * u.deg
        return EllipseSkyRegion(self.position, width=width, height=height, angle=np.rad2deg(np.arctan2(east, north)) * u.deg)

    @property
    def evaluation_radius(self):
        """Radius outside which the model need not be evaluated, a `~astropy.units.Quantity`; None for all the sky."""
        return None

    @property
    def evaluation_bin_size_min(self):
        """Largest bins that still resolve the model, a `~astropy.units.Quantity`; None if pixels will do."""
        return None

    @property
    def evaluation_region(self):
        """Sky region of the evaluation radius, or None."""
        if hasattr(self, "to_region"):
            return self.to_region()
        if self.evaluation_radius is None:
            return None
        from regions import CircleSkyRegion

        return CircleSkyRegion(self.position, self.evaluation_radius)

    # maps

    def sampling(self, geom, oversampling_factor=None):
        """How the model is sampled on a map, by gammapy's rule.

        Parameters
        ----------
        geom : WcsGeom
        oversampling_factor : int, optional
            Overrides the rule.

        Returns
        -------
        sampling : Sampling
        """
        radius, bin_size = self.evaluation_radius, self.evaluation_bin_size_min
        lon, lat = np.rad2deg(self.position_lonlat) if radius is not None else (None, None)
        return Sampling.choose(
            geom,
            lon,
            lat,
            self.frame,
            None if radius is None else u.Quantity(radius).to_value("deg"),
            None if bin_size is None else u.Quantity(bin_size).to_value("deg"),
            oversampling_factor,
        )

    def evaluate_geom(self, geom):
        """Surface brightness at the pixel centres.

        Parameters
        ----------
        geom : `~gpudl4.maps.WcsGeom`

        Returns
        -------
        value : `~astropy.units.Quantity`
            Shape (ny, nx), or with the energy axis for models that depend on energy.
        """
        ny, nx = geom.data_shape[-2:]
        return self._evaluate_at(
            geom, *geom.pix_to_lonlat(np.arange(nx, dtype=float), np.arange(ny, dtype=float)[:, np.newaxis], self.frame)
        )

    def _evaluate_at(self, geom, lon, lat):
        """Surface brightness at positions in degrees, arrays[y, x], with the energies of a geometry if it depends on energy."""
        lon, lat = u.Quantity(lon, "deg"), u.Quantity(lat, "deg")
        if self.is_energy_dependent:
            return self(lon, lat, energy=geom.axes["energy_true"].center[:, np.newaxis, np.newaxis])
        return self(lon, lat)

    def integrate_geom(self, geom, oversampling_factor=None):
        """Integral over the pixels.

        The value at a pixel's centre times its solid angle. Where the model asks for bins smaller than a pixel, the mean over its
        subpixels, on a window of twice the evaluation radius around the position, and 0 outside.

        Parameters
        ----------
        geom : `~gpudl4.maps.WcsGeom`
        oversampling_factor : int, optional
            Subpixels per pixel and direction. Default: from the model's own bin size.

        Returns
        -------
        map : `~gpudl4.maps.WcsNDMap`
            Float64; an image broadcast over the other axes of `geom`.
        """
        from ...maps import Map

        image = geom.to_image()
        sampling = self.sampling(image, oversampling_factor)
        factor, rows, columns = sampling.factor, sampling.rows, sampling.columns
        window = (geom if self.is_energy_dependent else image).part(rows, columns)
        if self._overrides("evaluate_geom"):
            fine = self.evaluate_geom(window.upsample(factor) if factor > 1 else window)
        else:
            fine = self._evaluate_at(window, *sampling.lonlat(image, self.frame))
        ny, nx = window.data_shape[-2:]
        blocks = np.nansum(fine.value.reshape(*fine.shape[:-2], ny, factor, nx, factor), axis=(-3, -1)) / factor**2
        value = u.Quantity(sampling.embed(blocks, image.data_shape[-2:]), fine.unit) * image.solid_angle()
        if not value.unit.is_equivalent(u.dimensionless_unscaled):
            raise UnitMismatchError(f"{type(self).__name__}: the value has unit '{value.unit / u.sr}', a spatial model must give sr-1")
        data = np.broadcast_to(value.to_value(""), geom.data_shape).astype(np.float64)
        return Map.from_geom(geom, data=data, unit="")

    # the engine's view

    def bind_image(self, geom):
        """Snapshot of the model's pixel integrals on a map, for the engine.

        The oversampling factor and the evaluation window are fixed from the values the model has now.

        Parameters
        ----------
        geom : `~gpudl4.maps.WcsGeom`

        Returns
        -------
        bound : object
            ``image(values[B, P]) -> s[B, ny, nx]``, ``gradient(values) -> ds[B, P, ny, nx]``, ``pullback(values, a[B, ny, nx]) -> [B, P]``
            (the sum over pixels of a * ds) and ``is_valid(values) -> bool``, where values are those of all parameters in their own units.

        Raises
        ------
        ModelError
            If the model depends on energy.
        """
        if self.is_energy_dependent:
            raise ModelError(f"{type(self).__name__} depends on energy, which fits do not support yet: use one model per energy range")
        return NumericImageBinding(self, geom, self.sampling(geom))

    # dict

    def to_dict(self, full_output=False, links=None):
        """Dict as models files hold it, under the key ``spatial``."""
        data = super().to_dict(full_output=full_output, links=links)["spatial"]
        return {"spatial": {"type": data["type"], "frame": self.frame, "parameters": data["parameters"]}}

    @classmethod
    def from_dict(cls, data, **kwargs):
        """Model from its dict, with or without the key ``spatial`` around it; without ``frame`` it is in ICRS."""
        data = data.get("spatial", data)
        if "frame" in data:
            kwargs["frame"] = data["frame"]
        return super().from_dict(data, **kwargs)

    def __repr__(self):
        return super().__repr__()[:-1] + f", frame={self.frame!r})"

    def plot(self, ax=None, geom=None, **kwargs):
        """Plot the share of the flux per pixel, see `gpudl4.plot.models.plot_spatial_model`."""
        from ...plot.models import plot_spatial_model

        return plot_spatial_model(self, ax=ax, geom=geom, **kwargs)

    def plot_position_error(self, ax=None, **kwargs):
        """Mark the position with the ellipse of its error, see `gpudl4.plot.regions.plot_position_error`."""
        from ...plot.regions import plot_position_error

        return plot_position_error(self, ax, **kwargs)

    def plot_error(self, ax=None, which="position", size_factor=1.0, kwargs_position=None, kwargs_extension=None):
        """Draw errors of position and size, see `gpudl4.plot.regions.plot_spatial_error`."""
        from ...plot.regions import plot_spatial_error

        return plot_spatial_error(self, ax, which, size_factor, kwargs_position, kwargs_extension)
