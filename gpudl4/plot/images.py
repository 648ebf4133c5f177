"""The numbers behind the pictures: images summed over energy inside the mask, and the significance of their residuals."""

import astropy.units as u
import numpy as np
from scipy import ndimage

from ..core.backend import to_host
from ..core.errors import DatasetError
from ..maps import Map

__all__ = [
    "bins_in_mask",
    "cash_significance",
    "check_counts",
    "correlation_radius",
    "display_energy",
    "mask_image",
    "masked_cube",
    "residual_significance",
    "summed_image",
]

DISK_COUNTS = 10.0
SMALLEST_DISK = 0.1  # deg
LARGEST_DISK = 0.1  # of the width of the map


def check_counts(dataset):
    """Raise a `DatasetError` if the dataset has no counts."""
    if dataset.counts is None:
        raise DatasetError(f"dataset {dataset.name!r} has no counts to plot")


def display_energy(energy):
    """Energies in the largest of TeV, GeV, MeV and keV that keeps the highest one above 1."""
    highest = np.max(energy)
    for unit in (u.TeV, u.GeV, u.MeV):
        if highest >= 1 * unit:
            return energy.to(unit)
    return energy.to(u.keV)


def _pixel_scale(geom):
    """Mean pixel size of a geometry in deg."""
    return float(np.mean(u.Quantity(geom.pixel_scales).to_value("deg")))


def masked_cube(map_, mask=None):
    """Values of a map on the host as float64, zero outside the mask.

    Parameters
    ----------
    map_ : Map
        Map with data of shape (..., energy, lat, lon).
    mask : Map, optional
        Map of booleans of the same shape; None keeps everything.
    """
    values = np.asarray(to_host(map_.data), dtype=np.float64)
    if mask is None:
        return values
    return np.where(to_host(mask.data), values, 0.0)


def bins_in_mask(dataset):
    """Energy bins with at least one pixel inside the mask; bool, shape (energy,)."""
    inside = masked_cube(dataset.mask) > 0 if dataset.mask is not None else np.ones(dataset.counts.geom.data_shape, dtype=bool)
    return inside.any(axis=(-2, -1)).reshape(-1)


def mask_image(dataset):
    """Pixels with at least one energy bin inside the mask of a dataset; bool, shape (lat, lon)."""
    shape = dataset.counts.geom.data_shape[-2:]
    if dataset.mask is None:
        return np.ones(shape, dtype=bool)
    return np.asarray(to_host(dataset.mask.data)).reshape(-1, *shape).any(axis=0)


def summed_image(map_, mask=None):
    """Sum over energy inside the mask; float64, shape (lat, lon)."""
    cube = masked_cube(map_, mask)
    return cube.reshape(-1, *cube.shape[-2:]).sum(axis=0)


def correlation_radius(dataset, radius=None):
    """Radius of the disks that residuals are summed in, in deg.

    Without one given: 0.1 deg or two pixels, and more where counts are sparse, so that a disk holds ten on average and its significance is
    no matter of single counts; but at most a tenth of the map's width.
    """
    if radius is not None:
        return float(u.Quantity(radius).to_value("deg"))
    pixel, inside = _pixel_scale(dataset.counts.geom), mask_image(dataset)
    total = summed_image(dataset.counts, dataset.mask).sum()
    sparse = pixel * np.sqrt(DISK_COUNTS * inside.sum() / (np.pi * total)) if total > 0 else np.inf
    smallest = max(SMALLEST_DISK, 2 * pixel)
    largest = LARGEST_DISK * pixel * min(inside.shape)
    return max(smallest, float(min(round(sparse, 2), largest)))


def _disk_sum(image, radius_in_pixels):
    """Sum of an image in a disk around each pixel; pixels whose centre lies within the radius count."""
    half = int(np.floor(radius_in_pixels))
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    return ndimage.convolve(image, (x**2 + y**2 <= radius_in_pixels**2).astype(float), mode="constant")


def cash_significance(counts, npred):
    """Significance of counts above (positive) or below (negative) a known prediction, in standard deviations.

    ``sign(n - m) sqrt(2 (n ln(n / m) - n + m))``, the square root of the likelihood ratio of Cash 1979, ApJ 228, 939.

    Parameters
    ----------
    counts, npred : array
        Observed and predicted counts, on any backend.

    Returns
    -------
    significance : numpy.ndarray
        NaN where npred is not positive.
    """
    counts, npred = (np.asarray(to_host(values), dtype=float) for values in (counts, npred))
    positive = npred > 0
    n, m = np.where(positive, counts, 1.0), np.where(positive, npred, 1.0)
    ratio = 2 * (n * np.log(np.where(n > 0, n, 1.0) / m) - n + m)
    return np.where(positive, np.sign(n - m) * np.sqrt(np.clip(ratio, 0, None)), np.nan)


def residual_significance(dataset, radius=None, npred=None):
    """Image of the significance of counts minus prediction, in a disk around each pixel, energies summed inside the mask.

    Parameters
    ----------
    dataset : MapDataset
        Dataset with counts, and models or a background.
    radius : Quantity or str, optional
        Radius of the disk, see `correlation_radius`.
    npred : Map, optional
        Predicted counts, if they are known already; computed otherwise.

    Returns
    -------
    Map
        Image in standard deviations, NaN outside the mask.

    Raises
    ------
    DatasetError
        If the dataset has no counts.
    """
    check_counts(dataset)
    npred = dataset.npred() if npred is None else npred
    pixels = correlation_radius(dataset, radius) / _pixel_scale(dataset.counts.geom)
    inside = mask_image(dataset)
    observed = np.rint(_disk_sum(summed_image(dataset.counts, dataset.mask), pixels))
    expected = _disk_sum(summed_image(npred, dataset.mask), pixels)
    values = np.where(inside, cash_significance(observed, expected), np.nan)
    return Map.from_geom(dataset.counts.geom.to_image(), data=values)
