"""Sources stay on the data: bounds of positions from the maps.

What moves off the data explains nothing any more: its flux may be anything, and a fit that lets it go has no minimum. So the position of
a shape that starts on a map is bounded by the pixel centres of the maps that hold it; one that starts beside the data may come nearer,
and go no farther away. Points are held by their pixel cells (`cells.py`).
"""

import numpy as np

from gpudl4.likelihood.build import models_of

__all__ = ["held_on_data"]

SAMPLES = 9  # along each edge of a map, which may be curved on the sky
WIDEST = 90.0  # degrees; larger maps hold whatever moves


def held_on_data(likelihood, theta):
    """The likelihood with bounds that hold shapes on the maps where they start; from beside them they go no farther away."""
    bounds = likelihood.bounds.copy()
    for (lon, lat), boxes in _boxes(likelihood).items():
        to_degrees = np.array([likelihood.parameters[i].unit.to("deg") for i in (lon, lat)])
        here = theta[[lon, lat]] * to_degrees
        boxes = [_around(box, here) for box in boxes]
        boxes = [box for box in boxes if np.all((box[0] <= here) & (here <= box[1]))] or boxes
        low, high = np.min([here, *(box[0] for box in boxes)], axis=0), np.max([here, *(box[1] for box in boxes)], axis=0)
        for i, a, b in zip((lon, lat), low / to_degrees, high / to_degrees, strict=True):
            bounds[i] = max(bounds[i, 0], a), min(bounds[i, 1], b)
    return likelihood if np.array_equal(bounds, likelihood.bounds) else likelihood.within(bounds)


def _boxes(likelihood):
    """Boxes (longitudes and latitudes in degrees) of the maps that a shape with a free place is in, by the indices of its place."""
    plan, out = likelihood.plan, {}
    by_name = {dataset.name: dataset for dataset in plan.datasets}
    for term in plan.terms:
        for source in term.sources:
            own = {likelihood.names[i].rsplit(".", 1)[-1]: i for i in source.spatial_pack.indices}
            if source.kind != "image" or not {"lon_0", "lat_0"} <= own.keys():
                continue
            dataset = by_name[term.name]
            frame = next(m.spatial_model.frame for m in models_of(dataset, plan.models) if m.name == source.name)
            box = _box(dataset.counts.geom.to_image(), frame)
            out.setdefault((own["lon_0"], own["lat_0"]), []).append(box)
    return {key: boxes for key, boxes in out.items() if all(box is not None for box in boxes)}


def _box(geom, frame):
    """Least and largest longitude and latitude of the outermost pixel centres, array[2, 2] in degrees; None for wide maps."""
    ny, nx = geom.data_shape
    x, y = np.linspace(0, nx - 1, SAMPLES), np.linspace(0, ny - 1, SAMPLES)
    edge_x = np.concatenate([x, x, np.zeros(SAMPLES), np.full(SAMPLES, nx - 1)])
    edge_y = np.concatenate([np.zeros(SAMPLES), np.full(SAMPLES, ny - 1), y, y])
    lon, lat = (np.asarray(value, dtype=float) for value in geom.pix_to_lonlat(edge_x, edge_y, frame))
    lon = lon[0] + (lon - lon[0] + 180.0) % 360.0 - 180.0
    if not np.all(np.isfinite([lon, lat])) or np.ptp(lon) > WIDEST or np.ptp(lat) > WIDEST:
        return None
    return np.array([[lon.min(), lat.min()], [lon.max(), lat.max()]])


def _around(box, here):
    """The box with longitudes within half a turn of a place."""
    turn = 360.0 * np.round((here[0] - box[:, 0].mean()) / 360.0)
    return box + np.array([turn, 0.0])
