"""Fit statistics and counts statistics as functions of arrays.

`cash` and `cstat` compare counts with predicted counts, `wstat` counts in an on and an off region with a predicted signal; `chi2`,
`distrib` and `profile` compare flux points with predicted fluxes. `CashCountsStatistic` and `WStatCountsStatistic` give excess,
significance, errors and upper limits. They take NumPy or CuPy arrays and know neither maps nor datasets; the fit itself uses the compiled
likelihood (`gpudl4.likelihood`), which computes the same numbers together with their derivatives.
"""

from .counts_statistic import CashCountsStatistic, CountsStatistic, WStatCountsStatistic
from .fit_statistics import TRUNCATION_VALUE, cash, cash_sum, cstat, cstat_slope, cstat_sum, weighted_cash_sum
from .flux_statistics import (
    Chi2,
    Distrib,
    PointStatistic,
    Profile,
    ProfileInterpolator,
    chi2,
    chi2_slope,
    distrib,
    distrib_slope,
    interpolate_profile,
    profile,
)
from .utils import sigma_to_ts, ts_to_sigma
from .wstat import get_wstat_gof_terms, get_wstat_mu_bkg, wstat, wstat_slope

__all__ = [
    "TRUNCATION_VALUE",
    "CashCountsStatistic",
    "Chi2",
    "CountsStatistic",
    "Distrib",
    "PointStatistic",
    "Profile",
    "ProfileInterpolator",
    "WStatCountsStatistic",
    "cash",
    "cash_sum",
    "chi2",
    "chi2_slope",
    "cstat",
    "cstat_slope",
    "cstat_sum",
    "distrib",
    "distrib_slope",
    "get_wstat_gof_terms",
    "get_wstat_mu_bkg",
    "interpolate_profile",
    "profile",
    "sigma_to_ts",
    "ts_to_sigma",
    "weighted_cash_sum",
    "wstat",
    "wstat_slope",
]
