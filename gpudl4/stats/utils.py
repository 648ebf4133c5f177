"""Test statistics as numbers of standard deviations, and back.

A difference of a fit statistic between nested models with `df` parameters more is distributed as chi-square with `df` degrees of freedom
if the simpler one is true and none of these parameters is at a border (Wilks 1938). If the other is true it is so with a non-centrality,
that of the Asimov dataset (Cowan et al. 2011, EPJ C 71, 1554): for estimates of sensitivity.
"""

import numpy as np

__all__ = ["sigma_to_ts", "ts_to_sigma"]


def sigma_to_ts(n_sigma, df=1, n_sigma_asimov=0):
    """Test statistic that is as improbable as a number of standard deviations of one parameter.

    Parameters
    ----------
    n_sigma : float or array
    df : int
        Parameters that the models differ by.
    n_sigma_asimov : float
        Significance in the Asimov dataset; 0: the simpler model is true.

    Returns
    -------
    ts : float or array
    """
    from scipy.stats import ncx2

    shift = np.square(n_sigma_asimov)
    return ncx2.isf(ncx2.sf(np.square(n_sigma), df=1, nc=shift), df=df, nc=shift)


def ts_to_sigma(ts, df=1, ts_asimov=0):
    """Number of standard deviations of one parameter that is as improbable as a test statistic; the inverse of `sigma_to_ts`.

    Parameters
    ----------
    ts : float or array
    df : int
        Parameters that the models differ by.
    ts_asimov : float
        Test statistic of the Asimov dataset; 0: the simpler model is true.

    Returns
    -------
    n_sigma : float or array
    """
    from scipy.stats import ncx2

    return np.sqrt(ncx2.isf(ncx2.sf(ts, df=df, nc=ts_asimov), df=1, nc=ts_asimov))
