"""What numbers a field of a dataset may hold, by the rule that the table of fields names.

A rule looks at one value at the door of the dataset, or names the check that a fit makes where a number counts in the mask alone: outside
of it files hold anything. Arrays on a device were looked at on the host, where they came from; looking at them there would wait for them.
"""

import warnings

import numpy as np

from gpudl4.core.errors import DatasetError

__all__ = ["RULES", "checked_numbers"]

ROUNDING = 1e-6
"""Negative values up to this part of the largest one come from interpolation, and count as zero where they are used."""

LARGEST = 1e30
"""What is larger counts as infinite: no response or exposure is, in whatever unit, and sums of it would overflow."""


def checked_numbers(rule, value, data_map, where):
    """A value of a field, after the rule of the field has looked at its numbers.

    Parameters
    ----------
    rule : str
        Key of `RULES`.
    value : Map or IRFMap
        Value of the field.
    data_map : Map
        The map that holds its numbers.
    where : str
        Dataset and field, for messages.

    Returns
    -------
    value
        The same, or a new one in which unknown numbers are zero; a warning says how many.

    Raises
    ------
    DatasetError
        If it holds numbers that cannot be meant.
    """
    check = RULES[rule]
    is_on_host = data_map is not None and isinstance(data_map.data, np.ndarray)
    return check(value, data_map, where) if check is not None and is_on_host else value


def _is_regular(data):
    """Whether all values are finite and not negative; one minimum and one maximum, through which NaN passes."""
    return bool(data.min() >= 0) and bool(data.max() < LARGEST) if data.size else True


def _is_finite(data):
    return np.abs(data) < LARGEST


def _response(value, data_map, where):
    """A response is finite and not negative. It may be NaN where there is no exposure, and in pixels where nothing of it is known."""
    value = _with_regular_exposure(value, where)
    data = data_map.data
    if data.dtype.kind != "f" or _is_regular(data):
        return value
    finite = _is_finite(data)
    largest = np.where(finite, data, 0).max()
    bad = ~finite | (data < -ROUNDING * largest)
    unknown = np.isnan(data).all(axis=(0, 1)) | _unexposed(value, data)
    if wrong := int((bad & ~unknown).sum()):
        raise DatasetError(
            f"{where}: {wrong} of {data.size} values are NaN, infinite or negative where there is exposure; the response is damaged: "
            "make it anew, or leave it out"
        )
    if number := int(bad.sum()):
        warnings.warn(
            f"{where}: {number} values that are not finite, where there is no exposure, are taken as 0", UserWarning, stacklevel=5
        )
        good = data_map.copy(data=np.where(bad, 0, data).astype(data.dtype))
        return type(value)(good, value.exposure_map)
    return value


def _unexposed(value, data):
    """Where the exposure of a response is zero; nowhere if it has none, or one of zeros alone, as Fermi files have it."""
    exposure = value.exposure_map
    if exposure is None or exposure.data.shape != (len(data), 1, *data.shape[2:]) or not bool(exposure.data.any()):
        return False
    return exposure.data == 0


def _with_regular_exposure(value, where):
    """A response with the NaN of its exposure replaced by 0, which gives it no weight in stacking."""
    exposure = value.exposure_map
    if exposure is None or exposure.data.dtype.kind != "f" or _is_regular(exposure.data):
        return value
    data = exposure.data
    unknown = np.isnan(data)
    if wrong := int((~unknown & ~((data >= 0) & _is_finite(data))).sum()):
        raise DatasetError(f"{where}: {wrong} of {data.size} values of its exposure are infinite or negative; it is damaged: make it anew")
    warnings.warn(f"{where}: {int(unknown.sum())} values of its exposure are NaN and are taken as 0", UserWarning, stacklevel=6)
    good = exposure.copy(data=np.where(unknown, 0, data).astype(data.dtype))
    return type(value)(getattr(value, "psf_map", None) or value.edisp_map, good)


def _exposure(value, data_map, where):
    """An exposure is looked at by a fit inside its mask; infinite ones are refused anywhere, as a PSF applied later would spread them."""
    data = data_map.data
    if data.dtype.kind == "f" and data.size and not data.max() < LARGEST and (number := int((np.abs(data) >= LARGEST).sum())):
        raise DatasetError(f"{where}: {number} of {data.size} values are above {LARGEST:g}, larger than any exposure; the map is damaged")
    return value


def _mask(value, data_map, where):
    """Masks and weights are finite and not negative."""
    if data_map.data.dtype.kind == "f" and not _is_regular(data_map.data):
        raise DatasetError(f"{where}: a mask holds True and False, or weights that are finite and not negative; some numbers are neither")
    return value


RULES = {"in mask": None, "ordered": None, "any": None, "exposure": _exposure, "response": _response, "mask": _mask}
"""Rules by name.

"in mask": a fit refuses what is not finite, or negative where it must not be, inside the mask (`gpudl4.likelihood`).
"ordered": intervals do not stop before they start (`gpudl4.data.GTI`).
"any": not looked at.
"exposure", "response": see above.
"mask": see above.
"""
