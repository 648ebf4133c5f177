"""Masks of a dataset on the coarse pixels of its responses, as stacking weights them. The rules are gammapy's."""

import numpy as np

from gpudl4.core.backend import to_device

__all__ = ["any_energy", "mask_on_edisp", "mask_on_psf"]

SNAP = 1e-9  # pixels; a response pixel that is closer to the centre of a map pixel than this lies on it


def any_energy(mask):
    """Pixels with any energy in a mask, an image; None for None."""
    return None if mask is None else mask.reduce_over_axes(func=np.logical_or)


def mask_on_psf(mask, psf):
    """Image of a mask on the pixels of a PSF (nearest pixel, False outside), with axes of one bin."""
    geom = psf.psf_map.geom.squash(psf.energy_name).squash("rad")
    image = any_energy(mask)
    if geom.is_region:
        return _one_bin(image, geom)
    return image.interp_to_geom(geom.to_image()).to_cube(geom.axes)


def mask_on_edisp(mask, edisp):
    """A mask on the pixels of an energy dispersion.

    With reconstructed energies for a kernel map; of a map over migra only the image is left. A pixel counts as soon as the mask,
    interpolated linearly to its centre (and extrapolated from the border), is not zero. It is never interpolated in energy.
    """
    geom = edisp.edisp_map.geom.squash("energy_true")
    if "migra" in geom.axes.names:
        geom, mask = geom.squash("migra"), any_energy(mask)
        if geom.is_region:
            return _one_bin(mask, geom)
        return _touched(mask, geom.to_image()).to_cube(geom.axes)
    if geom.is_region:
        return _one_bin(mask, geom)
    touched = _touched(mask, geom.to_image())
    return touched.to_cube([geom.axes["energy_true"]])


def _one_bin(image, geom):
    """The same data on a geometry with axes of one bin more."""
    from gpudl4.maps import Map

    return Map.from_geom(geom, data=image.data.reshape(geom.data_shape))


def _touched(mask, image):
    """Mask on the pixels of an image: True where bilinear interpolation, or extrapolation, is not 0."""
    from gpudl4.maps import Map

    pix = mask.geom.to_image().coord_to_pix(image.get_coord(sparse=True))
    lower, weights = [], []
    for position, size in zip(pix[::-1], mask.data.shape[-2:], strict=True):
        position = np.where(np.isfinite(position), position, -1e9)
        nearest = np.rint(position)
        position = np.where(np.abs(position - nearest) < SNAP, nearest, position)
        low = np.clip(np.floor(position), 0, max(size - 2, 0)).astype(int)
        weight = position - low if size > 1 else np.zeros(position.shape)
        lower.append(low)
        weights.append((1 - weight, weight))
    shape = image.data_shape
    total = 0.0
    for row in (0, 1):
        for column in (0, 1):
            weight = np.broadcast_to(weights[0][row] * weights[1][column], shape)
            if not weight.any():
                continue
            y, x = np.broadcast_to(lower[0] + row, shape), np.broadcast_to(lower[1] + column, shape)
            y, x = np.minimum(y, mask.data.shape[-2] - 1), np.minimum(x, mask.data.shape[-1] - 1)
            values = mask.data[..., to_device(y.copy(), mask.backend), to_device(x.copy(), mask.backend)]
            total = total + values * to_device(weight.copy(), mask.backend)
    geom = image.to_cube(mask.geom.axes)
    return Map.from_geom(geom, data=(total != 0).reshape(geom.data_shape))
