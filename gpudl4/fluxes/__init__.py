"""Fluxes as they were estimated: `FluxPoints` of a region and `FluxMaps` of the sky, with errors, limits, significances and profiles.

They are containers and know nothing of how fluxes are estimated; `gpudl4.estimators` offers them under gammapy's path.
"""

from .maps import FluxMaps
from .points import FluxPoints

__all__ = ["FluxMaps", "FluxPoints"]
