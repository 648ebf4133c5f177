"""Check a likelihood's gradient against differences of its value: for tests, and for users who bring their own models."""

import numpy as np

__all__ = ["assert_gradient"]


def assert_gradient(likelihood, theta, rtol=1e-6, steps=None):
    """Assert that the gradient agrees with central differences inside the pixel cells of theta.

    The differences are Richardson-extrapolated from two step sizes, so their own error is far below `rtol`. Parameters are
    compared in units of their error, so that the norm of the gradient means something.

    Parameters
    ----------
    likelihood : Likelihood
    theta : array[P]
    rtol : float
        Largest deviation allowed, relative to the norm of the scaled gradient.
    steps : array[P], optional
        Step per parameter; by default a twentieth of its error, at most a tenth of its value.

    Returns
    -------
    float
        The largest deviation found, relative to the norm.

    Raises
    ------
    AssertionError
        With the name of the worst parameter and both derivatives.
    """
    theta = np.asarray(theta, dtype=np.float64)
    cells = likelihood.cells(theta)
    diagonal = np.diag(likelihood.fisher(theta, cells))
    scale = np.where(diagonal > 0, np.sqrt(2.0 / np.where(diagonal > 0, diagonal, 1.0)), np.maximum(np.abs(theta), 1e-3) * 1e-3)
    if steps is None:  # an error may be far larger than the range of a parameter
        steps = np.minimum(0.05 * scale, np.maximum(0.1 * np.abs(theta), 1e-6))
    _, gradient = likelihood.value_and_gradient(theta, cells)

    def difference(i, step):
        up, down = theta.copy(), theta.copy()
        up[i] += step
        down[i] -= step
        return (likelihood.value(up, cells) - likelihood.value(down, cells)) / (up[i] - down[i])

    numeric = np.array([(4 * difference(i, step / 2) - difference(i, step)) / 3 for i, step in enumerate(steps)])
    deviation = np.abs(gradient - numeric) * scale / np.linalg.norm(gradient * scale)
    worst = int(np.argmax(deviation))
    if not deviation[worst] <= rtol:
        raise AssertionError(
            f"gradient of '{likelihood.names[worst]}' is {gradient[worst]:.10g}, differences give {numeric[worst]:.10g}: "
            f"deviation {deviation[worst]:.2g} of the norm, allowed {rtol:.2g}"
        )
    return float(deviation[worst])
