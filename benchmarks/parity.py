"""gammapy's own view of a minimum that gpudl4 found: MIGRAD on gammapy's statistic, started there, with a small tolerance.

From other starts gammapy may end in another local minimum; that says how robust it is, not whether both packages have the same statistic.
"""

import contextlib

import numpy as np

from benchmarks.cases import attach, set_values

__all__ = ["kernel_radii", "refit"]

TOLERANCE = 1e-3
CALLS = 300  # gammapy convolves in float32: its statistic jitters by up to 1e-4, and MIGRAD may never be content


@contextlib.contextmanager
def kernel_radii():
    """Make gammapy cut PSF kernels at the radii of the kernel's own energies.

    gammapy 2.1 takes the containment radii at the energies of the PSF map and pairs them with those of the kernel by index, which is right
    only where both axes are the same: not in the Fermi-LAT files here.
    """
    from gammapy.irf import PSFMap

    get_psf_kernel, containment_radius = PSFMap.get_psf_kernel, PSFMap.containment_radius
    energies = []

    def patched_kernel(self, geom, *args, **kwargs):
        energies.append(geom.axes[self.energy_name].center)
        try:
            return get_psf_kernel(self, geom, *args, **kwargs)
        finally:
            energies.pop()

    def patched_radius(self, fraction, energy_true=None, position=None, **kwargs):
        return containment_radius(self, fraction, energy_true=energies[-1] if energies else energy_true, position=position, **kwargs)

    PSFMap.get_psf_kernel, PSFMap.containment_radius = patched_kernel, patched_radius
    try:
        yield
    finally:
        PSFMap.get_psf_kernel, PSFMap.containment_radius = get_psf_kernel, containment_radius


def refit(case, datasets, folder, result):
    """Values at which gammapy's statistic is lowest around a result of gpudl4.

    MIGRAD works in coordinates that are uncorrelated there, amplitudes as their logarithm: there the statistic is a parabola over the steps
    that differences need.

    Parameters
    ----------
    case : Case
    datasets : gammapy's Datasets
    folder : path
        Of the real data.
    result : FitResult
        Of gpudl4, with covariance.

    Returns
    -------
    array[P]
    """
    from iminuit import Minuit

    scale = np.sqrt(np.diag(result.covariance_matrix))
    directions = scale[:, np.newaxis] * np.linalg.cholesky(result.covariance_matrix / np.outer(scale, scale))
    logarithmic = np.array([name.endswith(".amplitude") for name in result.names]) & (result.values > 0)

    def theta_of(y):
        move = directions @ y
        return np.where(logarithmic, result.values * np.exp(np.where(logarithmic, move / result.values, 0.0)), result.values + move)

    with kernel_radii():
        models = set_values(case.models("gammapy", folder), dict(zip(result.names, result.values, strict=True)))
        attach("gammapy", datasets, models)
        split = [name.rsplit(".", 1) for name in result.names]
        parameters = [models[model].parameters[parameter] for model, parameter in split]

        def stat(y):
            for parameter, value in zip(parameters, theta_of(y), strict=True):
                parameter.value = value
            return datasets.stat_sum()

        minuit = Minuit(stat, np.zeros(len(scale)))
        minuit.errordef, minuit.tol, minuit.strategy = 1, TOLERANCE, 0
        minuit.errors = np.ones(len(scale))
        minuit.migrad(ncall=CALLS)
    return theta_of(np.array(minuit.values))
