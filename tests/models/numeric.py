"""Central differences of fifth order for tests."""

import numpy as np


def derivative(function, point, index, step):
    """Derivative of ``function(array[P])`` with respect to one entry; the step is absolute."""
    values = []
    for factor in (1, -1, 2, -2):
        moved = np.array(point, dtype=float)
        moved[index] += factor * step
        values.append(np.asarray(function(moved)))
    return (8 * (values[0] - values[1]) - (values[2] - values[3])) / (12 * step)


def relative_error(value, reference):
    """Largest difference in units of the largest reference."""
    return np.max(np.abs(np.asarray(value) - reference)) / np.max(np.abs(reference))
