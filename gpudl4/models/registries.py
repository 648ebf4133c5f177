"""The lists of known model classes, by which models files and `Model.create` find a class by its tag.

A user's class joins by ``SPECTRAL_MODEL_REGISTRY.append(MyModel)``.
"""

from ..core.registry import Registry

__all__ = ["MODEL_REGISTRY", "PRIOR_REGISTRY", "SPATIAL_MODEL_REGISTRY", "SPECTRAL_MODEL_REGISTRY", "TEMPORAL_MODEL_REGISTRY"]

SPECTRAL_MODEL_REGISTRY = Registry(kind="spectral model")
SPATIAL_MODEL_REGISTRY = Registry(kind="spatial model")
TEMPORAL_MODEL_REGISTRY = Registry(kind="temporal model")
PRIOR_REGISTRY = Registry(kind="prior")
MODEL_REGISTRY = Registry(kind="model type")
