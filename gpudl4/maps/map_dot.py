"""The product of a map with a matrix along one axis, such as a spectrum with an energy dispersion."""

from ..core.backend import array_namespace
from ..core.errors import GeometryError
from .promotion import wide

__all__ = ["dot_maps"]


def dot_maps(map_, other):
    """Sum over the one axis that a map and a region map share.

    Parameters
    ----------
    map_ : `~gpudl4.maps.Map`
        Map.
    other : `~gpudl4.maps.RegionNDMap`
        Map whose other axes take the place of the common one, in their order; on the same backend.

    Returns
    -------
    map : `~gpudl4.maps.Map`
        Map of the kind of `map_`; its unit is the product of both.

    Raises
    ------
    GeometryError
        If the maps share no axis or several, or the bins of the common axis differ.
    TypeError
        If `other` is no region map.
    """
    if not getattr(getattr(other, "geom", None), "is_region", False):
        raise TypeError(f"the dot product is taken with a RegionNDMap, got: {type(other).__name__}")
    axes, other_axes = map_.geom.axes, other.geom.axes
    common = [name for name in axes.names if name in other_axes.names]
    if len(common) != 1:
        raise GeometryError(f"the maps must have one axis in common, the axes are: {axes.names} and {other_axes.names}")
    name = common[0]
    if axes[name] != other_axes[name]:
        raise GeometryError(f"the bins of axis '{name}' differ:\n{axes[name]}\n{other_axes[name]}")
    xp = array_namespace(map_.data, other.data)
    dim, place = axes.index_data(name), axes.index(name)
    data = xp.tensordot(wide(map_.data), wide(other.data[..., 0, 0]), axes=(dim, other_axes.index_data(name)))
    inserted = list(other_axes.drop(name))
    data = xp.moveaxis(data, list(range(-len(inserted), 0)), list(range(dim, dim + len(inserted))))
    kept = list(axes.drop(name))
    geom = map_.geom.to_image().to_cube([*kept[:place], *inserted, *kept[place:]])
    return map_._with(geom=geom, data=data, unit=map_.unit * other.unit)
