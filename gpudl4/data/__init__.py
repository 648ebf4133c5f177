"""Data besides maps: good time intervals, under gammapy's import path (``from gpudl4.data import GTI``)."""

from gpudl4.core.gti import GTI

__all__ = ["GTI"]
