"""Fit statistics and counts statistics as functions of arrays.

`cash` and `cash_sum` compare counts with predicted counts; `CashCountsStatistic` gives excess, significance, errors and upper limits of
counts over a known background. They take NumPy or CuPy arrays and know neither maps nor datasets; the fit itself uses the compiled
likelihood (`gpudl4.likelihood`), which computes the same numbers together with their derivatives.
"""

from .counts_statistic import CashCountsStatistic
from .fit_statistics import TRUNCATION_VALUE, cash, cash_sum, cstat

__all__ = ["TRUNCATION_VALUE", "CashCountsStatistic", "cash", "cash_sum", "cstat"]
