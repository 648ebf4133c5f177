"""Where models are on the sky: positions, outlines, selection by place, and pictures of them. Part of `gpudl4.models.Models`."""

import numpy as np

from ..core.errors import GeometryError, ModelError

__all__ = ["ModelPlaces", "contributes"]

CUTOUT_MARGIN = 0.1  # deg, around what a model is evaluated on; gammapy's CUTOUT_MARGIN


def contributes(model, mask, margin="0 deg"):
    """Whether the box in which a model is evaluated reaches into a mask.

    Parameters
    ----------
    model : SkyModel
        Model; one without a position contributes everywhere.
    mask : `~gpudl4.maps.Map`
        Mask; pixels count that are True at any energy. Of a region all pixels count, and a point sees every model.
    margin : `~astropy.units.Quantity` or str
        Added to the width of the box, as in gammapy.

    Returns
    -------
    bool
    """
    import astropy.units as u

    if model.position is None or model.evaluation_radius is None:
        return True
    image = mask if mask.geom.is_image else mask.reduce_over_axes(func=np.logical_or)
    if image.geom.is_region:
        if image.geom.region is None or image.geom.is_all_point_sky_regions:
            return True
        image = image.geom.to_wcs_geom().region_mask([image.geom.region])
    width = 2 * model.evaluation_radius + CUTOUT_MARGIN * u.deg + u.Quantity(margin)
    try:
        return bool(image.cutout(position=model.position, width=width).data.any())
    except GeometryError:  # no overlap
        return False


class ModelPlaces:
    """Methods of `Models` that ask where its models are."""

    def _sky_models(self):
        from .sky import SkyModel

        return [model for model in self if isinstance(model, SkyModel)]

    @property
    def positions(self):
        """Positions of the models that have one, a `~astropy.coordinates.SkyCoord` in ICRS."""
        from astropy.coordinates import SkyCoord

        positions = [model.position.icrs for model in self if getattr(model, "position", None) is not None]
        if not positions:
            raise ModelError("none of the models has a position")
        return SkyCoord(positions)

    def to_regions(self, size_factor=None, **kwargs):
        """Regions of the spatial models that have an outline.

        Parameters
        ----------
        size_factor : float, optional
            Size of extended regions, in units of the models' own; see their ``to_region``.
        **kwargs
            Arguments of the regions.
        """
        spatial = [getattr(model, "spatial_model", None) for model in self]
        size = {} if size_factor is None else {"size_factor": size_factor}
        return [one.to_region(**size, **kwargs) for one in spatial if hasattr(one, "to_region")]

    @property
    def wcs_geom(self):
        """Smallest `~gpudl4.maps.WcsGeom` that holds all outlines, with pixels of 0.1 deg."""
        from ..maps import RegionGeom

        regions = self.to_regions()
        if not regions:
            raise ModelError("none of the models has a region")
        return RegionGeom.from_regions(regions).to_wcs_geom()

    def select_region(self, regions, wcs=None):
        """Sky models whose position lies in a region.

        Parameters
        ----------
        regions : str, `~regions.Region` or list of them
            Regions, or DS9 text.
        wcs : `~astropy.wcs.WCS`, optional
            Projection in which the regions are evaluated.
        """
        from ..maps import RegionGeom

        geom = RegionGeom.from_regions(regions, wcs=wcs)
        return type(self)([model for model in self._sky_models() if model.position is not None and np.all(geom.contains(model.position))])

    def select_mask(self, mask, margin="0 deg", use_evaluation_region=True):
        """Sky models that contribute where a mask is True.

        Parameters
        ----------
        mask : `~gpudl4.maps.Map`
            Mask.
        margin : `~astropy.units.Quantity` or str
            Added to the width of the box in which a model is evaluated, as room for the PSF.
        use_evaluation_region : bool
            Models that reach into the mask; False takes those with their position inside.
        """
        mask = mask if mask.geom.is_image else mask.reduce_over_axes(func=np.logical_or)
        models = self._sky_models()
        if use_evaluation_region:
            return type(self)([model for model in models if contributes(model, mask, margin)])
        with_place = [model for model in models if model.position is not None]
        return type(self)([model for model in with_place if bool(np.nan_to_num(mask.get_by_coord(model.position)).all())])

    def select_from_geom(self, geom, **kwargs):
        """Sky models that contribute to a geometry; further arguments are those of `select_mask`."""
        from ..maps import Map

        image = geom.to_image()
        return self.select_mask(Map.from_geom(image, data=np.ones(image.data_shape, dtype=bool)), **kwargs)

    def plot_regions(self, ax=None, kwargs_point=None, path_effect=None, size_factor=None, **kwargs):
        """Draw the outlines of the models on the sky; see `gpudl4.plot.regions.plot_model_regions`."""
        from ..plot.regions import plot_model_regions

        return plot_model_regions(self, ax, kwargs_point, path_effect, size_factor, **kwargs)

    def plot_positions(self, ax=None, **kwargs):
        """Mark the positions of the models on the sky; see `gpudl4.plot.regions.plot_model_positions`."""
        from ..plot.regions import plot_model_positions

        return plot_model_positions(self, ax, **kwargs)
