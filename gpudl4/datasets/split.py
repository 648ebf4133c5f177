"""`split_dataset`: a large field of view as several smaller ones that can be fitted in parallel."""

import math

import numpy as np

from gpudl4.core.backend import to_device
from gpudl4.core.errors import DatasetError

__all__ = ["split_dataset"]


def split_dataset(dataset, width, margin, split_template_models=True):
    """Cut a dataset into pieces whose fit masks do not overlap and together cover it.

    Parameters
    ----------
    dataset : MapDataset or MapDatasetOnOff
        Dataset to split.
    width : Angle or str
        Size of each piece, square.
    margin : Angle or str
        Border around each piece that is kept in its maps but not fitted, so that sources outside of it still reach in. Less than half of
        `width`.
    split_template_models : bool
        Accepted so that scripts for gammapy run; templates are shared by all pieces and not copied.

    Returns
    -------
    datasets : Datasets
        Pieces with the models of the dataset, as far as these are not tied to its name.

    Raises
    ------
    DatasetError
        If the margin is too large, or the dataset has no pixels.
    """
    from astropy.coordinates import Angle, SkyCoord

    from gpudl4.maps import Map

    from .collection import Datasets

    width, margin = (Angle(value, "deg") for value in (width, margin))
    if margin >= width / 2:
        raise DatasetError(f"the margin must be less than half of the width, got a margin of {margin} and a width of {width}")
    geom = dataset._geom.to_image()
    if geom.is_region:
        raise DatasetError(f"dataset '{dataset.name}' has no pixels to split")
    ny, nx = geom.data_shape
    step_x, step_y = (int(n) for n in np.ceil(np.round((width / geom.pixel_scales).to_value(""), 6)))
    pieces = Datasets()
    columns_of_pieces, rows_of_pieces = _centres(nx, step_x), _centres(ny, step_y)
    for x in columns_of_pieces:
        for y in rows_of_pieces:
            lon, lat = geom.pix_to_lonlat(x, y)
            centre = SkyCoord(lon, lat, unit="deg", frame=geom.frame)
            piece = dataset.cutout(centre, width + 2 * margin)
            part = piece._geom
            offset = np.round(geom.wcs.wcs.crpix - part.wcs.wcs.crpix).astype(int)
            rows, columns = (np.arange(n) + first for n, first in zip(part.data_shape[-2:], offset[::-1], strict=True))
            inside = np.outer(
                _near(rows, y, step_y, is_last=y == rows_of_pieces[-1]),
                _near(columns, x, step_x, is_last=x == columns_of_pieces[-1]),
            )
            data = np.broadcast_to(inside, part.data_shape).copy()
            mask = Map.from_geom(part, data=to_device(data, piece.backend))
            piece.mask_fit = mask if piece.mask_fit is None else mask & piece.mask_fit
            piece.models = dataset.models
            pieces.append(piece)
    return pieces


def _centres(size, step):
    """Pixels around which pieces lie; the last may lie beyond the border, so that no pixel is left out (gammapy leaves some out)."""
    return [step * number for number in range(max(0, math.ceil((size - 1 - step / 2) / step)) + 1)]


def _near(pixels, centre, step, is_last):
    """Pixels that belong to the piece around one; the last piece has both of its borders."""
    upper = pixels <= centre + step / 2 if is_last else pixels < centre + step / 2
    return (pixels >= centre - step / 2) & upper
