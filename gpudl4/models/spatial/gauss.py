"""A Gaussian on the sphere, round or elongated."""

import astropy.units as u
import numpy as np

from ..parameter import Parameter
from .base import SpatialModel
from .binding import GaussBinding

__all__ = ["GaussianSpatialModel"]


def _rad(angle):
    return angle.to_value("rad") if isinstance(angle, u.Quantity) else np.asarray(angle, dtype=np.float64)


class GaussianSpatialModel(SpatialModel):
    """Gaussian, ``N exp(-(1 - cos(separation)) / (2 (1 - cos(sigma_eff))))``.

    Round (e = 0): ``sigma_eff = sigma`` and ``N = 1 / (4 pi a (1 - exp(-1 / a)))`` with ``a = 1 - cos(sigma)``, the norm on the sphere.
    Elongated: ``sigma_eff = sigma sqrt((1 - e^2) / (1 - e^2 cos^2(angle from the major axis)))`` and
    ``N = 1 / (2 pi sigma^2 sqrt(1 - e^2))``, the norm on the plane. Same formulas as gammapy's model.

    Parameters
    ----------
    lon_0, lat_0 : `~astropy.units.Quantity`
        Centre, default 0 deg, 0 deg.
    sigma : `~astropy.units.Quantity`
        Length of the major semi-axis, default 1 deg.
    e : number
        Eccentricity, 0 <= e < 1, default 0, frozen.
    phi : `~astropy.units.Quantity`
        Position angle of the major axis, from north over east, default 0 deg, frozen.
    frame : {"icrs", "galactic"}
        Frame of the centre; north is the frame's.
    """

    tag = ["GaussianSpatialModel", "gauss"]
    lon_0 = Parameter("lon_0", "0 deg")
    lat_0 = Parameter("lat_0", "0 deg", min=-90, max=90)
    sigma = Parameter("sigma", "1 deg", min=0)
    e = Parameter("e", 0, min=0, max=1, frozen=True)
    phi = Parameter("phi", "0 deg", min=-180, max=180, frozen=True)

    @property
    def evaluation_radius(self):
        """5 sigma."""
        return 5 * self.sigma.quantity

    @property
    def evaluation_bin_size_min(self):
        """sigma / 3."""
        return self.sigma.quantity / 3

    @staticmethod
    def evaluate(lon, lat, lon_0, lat_0, sigma, e, phi):
        """Surface brightness in sr-1. Angles are quantities, or numbers in radian."""
        lon, lat, lon_0, lat_0, sigma, phi = (_rad(angle) for angle in (lon, lat, lon_0, lat_0, sigma, phi))
        e = float(e)
        delta = lon - lon_0
        # haversine form: 1 - cos(separation) without loss of digits
        distance = 2 * (np.sin(0.5 * (lat - lat_0)) ** 2 + np.cos(lat) * np.cos(lat_0) * np.sin(0.5 * delta) ** 2)
        if e == 0:
            a = 2 * np.sin(0.5 * sigma) ** 2
            norm = 1 / (4 * np.pi * a * (1 - np.exp(-1 / a)))
        else:
            east = np.cos(lat) * np.sin(delta)
            north = np.sin(lat - lat_0) + 2 * np.cos(lat) * np.sin(lat_0) * np.sin(0.5 * delta) ** 2
            along = np.cos(np.arctan2(east, north) - phi) ** 2
            sigma_eff = sigma * np.sqrt((1 - e**2) / (1 - e**2 * along))
            a = 2 * np.sin(0.5 * sigma_eff) ** 2
            norm = 1 / (2 * np.pi * sigma**2 * np.sqrt(1 - e**2))
        return u.Quantity(norm * np.exp(-0.5 * distance / a), "sr-1")

    def bind_image(self, geom):
        """Snapshot of the pixel integrals on a map, see `SpatialModel.bind_image`; all five derivatives are exact."""
        if type(self).evaluate is not GaussianSpatialModel.evaluate or self._overrides("evaluate_geom", "integrate_geom"):
            return super().bind_image(geom)
        return GaussBinding(geom, self.frame, [p.unit for p in self.parameters], self.sampling(geom))

    def to_region(self, size_factor=1.0, **kwargs):
        """`~regions.EllipseSkyRegion` with semi-axes of `size_factor` sigma.

        Parameters
        ----------
        size_factor : float
        **kwargs
            Arguments of the region.
        """
        from regions import EllipseSkyRegion

        height = 2 * size_factor * self.sigma.quantity
        return EllipseSkyRegion(
            self.position, height=height, width=height * np.sqrt(1 - self.e.value**2), angle=self.phi.quantity, **kwargs
        )

    def region_of_size_error(self, size_factor=1.0):
        """`~regions.EllipseAnnulusSkyRegion` between the smallest and the largest outline within the errors, None if sigma has none.

        Parameters
        ----------
        size_factor : float
            Number of sigma, as for `to_region`.
        """
        from regions import EllipseAnnulusSkyRegion

        sigma, error = self.sigma.value, self.sigma.error
        if not error > 0:
            return None
        e_low, e_high = np.clip([self.e.value - self.e.error, self.e.value + self.e.error], 0, 1)
        inner, outer = (2 * size_factor * size * self.sigma.unit for size in (max(sigma - error, 1e-3 * sigma), sigma + error))
        return EllipseAnnulusSkyRegion(
            self.position,
            inner_height=inner,
            outer_height=outer,
            inner_width=inner * np.sqrt(max(1 - e_high**2, 1e-6)),
            outer_width=outer * np.sqrt(max(1 - e_low**2, 1e-6)),
            angle=self.phi.quantity,
        )

    @property
    def evaluation_region(self):
        """Ellipse of 5 sigma."""
        return self.to_region(size_factor=5)
