"""Types of numbers in which integers never wrap.

Cubes keep the type of their file, and counts are often stored in 8 or 16 bits. Whatever adds or multiplies such numbers first makes them
int64 (64-bit unsigned ones float64, as they have no larger integer); what is no whole number, such as a mean, is float64. Floats keep their
own precision, and masks stay masks.
"""

import numpy as np

__all__ = ["product", "settled", "sum_type", "wide"]


def sum_type(*dtypes):
    """Type in which values of these types can be added up: that of masks or floats if all are, else one that holds 64-bit integers."""
    joined = np.result_type(*dtypes)
    return np.result_type(joined, np.int64) if any(np.dtype(dtype).kind in "iu" for dtype in dtypes) else joined


def wide(data):
    """Data in which integers have 64 bits and a sign; floats and masks as they are."""
    return data.astype(sum_type(data.dtype), copy=False)


def product(data, factors):
    """Data times factors or a mask, both arrays."""
    return data * factors if factors.dtype == bool else wide(data) * wide(factors)


def settled(values, dtype):
    """What was worked out from data of a type: in that type if it is one of floats or of masks; integers do not come back, as it is."""
    return values if np.dtype(dtype).kind in "iu" else values.astype(dtype, copy=False)
