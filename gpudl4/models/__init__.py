"""Models: parameters, spectra, shapes, and the collections a fit works on."""

from .background import FoVBackgroundModel
from .base import Model, ModelBase
from .collection import DatasetModels, Models
from .covariance import Covariance
from .naming import make_name
from .parameter import Parameter
from .parameters import Parameters, PriorParameters
from .prior import GaussianPrior, Prior, PriorParameter, UniformPrior
from .registries import MODEL_REGISTRY, PRIOR_REGISTRY, SPATIAL_MODEL_REGISTRY, SPECTRAL_MODEL_REGISTRY, TEMPORAL_MODEL_REGISTRY
from .sky import SkyModel
from .spatial import GaussianSpatialModel, PointSpatialModel, SpatialModel
from .spectral import (
    BrokenPowerLawSpectralModel,
    ConstantSpectralModel,
    ExpCutoffPowerLawSpectralModel,
    LogParabolaSpectralModel,
    PowerLaw2SpectralModel,
    PowerLawNormSpectralModel,
    PowerLawSpectralModel,
    SpectralModel,
    TemplateSpectralModel,
)

__all__ = [
    "MODEL_REGISTRY",
    "PRIOR_REGISTRY",
    "SPATIAL_MODEL_REGISTRY",
    "SPECTRAL_MODEL_REGISTRY",
    "TEMPORAL_MODEL_REGISTRY",
    "BrokenPowerLawSpectralModel",
    "ConstantSpectralModel",
    "Covariance",
    "DatasetModels",
    "ExpCutoffPowerLawSpectralModel",
    "FoVBackgroundModel",
    "GaussianPrior",
    "GaussianSpatialModel",
    "LogParabolaSpectralModel",
    "Model",
    "ModelBase",
    "Models",
    "Parameter",
    "Parameters",
    "PointSpatialModel",
    "PowerLaw2SpectralModel",
    "PowerLawNormSpectralModel",
    "PowerLawSpectralModel",
    "Prior",
    "PriorParameter",
    "PriorParameters",
    "SkyModel",
    "SpatialModel",
    "SpectralModel",
    "TemplateSpectralModel",
    "UniformPrior",
    "make_name",
]
