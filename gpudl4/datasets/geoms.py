"""The geometries of a new dataset: from the wanted counts cube to those of exposure, PSF and energy dispersion."""

__all__ = ["BINSZ_IRF_DEFAULT", "RAD_MAX", "create_map_dataset_geoms"]

RAD_MAX = 0.66
"""Outer edge of the default PSF axis in deg, in 66 bins (gammapy's default)."""

BINSZ_IRF_DEFAULT = 0.2
"""Pixel size of response maps in deg (gammapy's default)."""


def create_map_dataset_geoms(geom, energy_axis_true=None, migra_axis=None, rad_axis=None, binsz_irf=BINSZ_IRF_DEFAULT, reco_psf=False):
    """Geometries of all maps of a `MapDataset`.

    Parameters
    ----------
    geom : WcsGeom or RegionGeom
        Geometry of counts and background, with an axis ``energy``; further axes are given to all maps. Responses of a region are those of
        the region.
    energy_axis_true : MapAxis, optional
        Axis ``energy_true`` of exposure and responses; a copy of the reconstructed axis if None.
    migra_axis : MapAxis, optional
        If given, the energy dispersion is an `EDispMap` over this axis, else an `EDispKernelMap`.
    rad_axis : MapAxis, optional
        Offsets of the PSF, 66 bins from 0 to 0.66 deg if None.
    binsz_irf : float or Quantity
        Pixel size of the response maps, in deg.
    reco_psf : bool
        PSF in reconstructed instead of true energy.

    Returns
    -------
    geoms : dict
        ``geom``, ``geom_exposure``, ``geom_psf``, ``geom_edisp``.

    Raises
    ------
    GeometryError
        If the true-energy axis is not called ``energy_true``.
    """
    from gpudl4.core.errors import GeometryError
    from gpudl4.maps import MapAxis

    if "energy" not in geom.axes.names:
        raise GeometryError(f"the geometry of a dataset needs an axis 'energy', got axes {geom.axes.names}")
    if energy_axis_true is None:
        energy_axis_true = geom.axes["energy"].copy(name="energy_true")
    elif energy_axis_true.name != "energy_true":
        raise GeometryError(
            f"energy_axis_true must be named 'energy_true', got '{energy_axis_true.name}': use axis.copy(name='energy_true')"
        )
    if rad_axis is None:
        rad_axis = MapAxis.from_bounds(0, RAD_MAX, nbin=66, node_type="edges", name="rad", unit="deg")
    image = geom.to_image()
    image_irf = image if geom.is_region else image.to_binsz(binsz=binsz_irf)
    further = [axis for axis in geom.axes if axis.name != "energy"]
    energy = geom.axes["energy"]
    return {
        "geom": geom,
        "geom_exposure": image.to_cube([energy_axis_true, *further]),
        "geom_psf": image_irf.to_cube([rad_axis, energy if reco_psf else energy_axis_true, *further]),
        "geom_edisp": image_irf.to_cube([migra_axis if migra_axis is not None else energy, energy_axis_true, *further]),
    }
