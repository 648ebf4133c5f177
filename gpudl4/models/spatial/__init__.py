"""Spatial models."""

from ..registries import SPATIAL_MODEL_REGISTRY
from .base import SpatialModel
from .gauss import GaussianSpatialModel
from .point import PointSpatialModel

__all__ = ["GaussianSpatialModel", "PointSpatialModel", "SpatialModel"]

SPATIAL_MODEL_REGISTRY.extend([GaussianSpatialModel, PointSpatialModel])
