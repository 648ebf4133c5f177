"""Estimators, and what they return: ``from gpudl4.estimators import FluxPoints, FluxMaps`` as in gammapy."""

from gpudl4.fluxes import FluxMaps, FluxPoints

__all__ = ["FluxMaps", "FluxPoints"]
