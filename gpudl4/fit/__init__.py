"""Fitting: `Fit` minimises the statistic of datasets, `FitResult` says what came out and why it stopped."""

from .fit import Fit
from .result import FitResult

__all__ = ["Fit", "FitResult"]
