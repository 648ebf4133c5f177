"""Spectral models."""

from ..registries import SPECTRAL_MODEL_REGISTRY
from .base import SpectralModel
from .curved import ConstantSpectralModel, ExpCutoffPowerLawSpectralModel, LogParabolaSpectralModel
from .power_law import BrokenPowerLawSpectralModel, PowerLaw2SpectralModel, PowerLawNormSpectralModel, PowerLawSpectralModel
from .template import TemplateSpectralModel

__all__ = [
    "BrokenPowerLawSpectralModel",
    "ConstantSpectralModel",
    "ExpCutoffPowerLawSpectralModel",
    "LogParabolaSpectralModel",
    "PowerLaw2SpectralModel",
    "PowerLawNormSpectralModel",
    "PowerLawSpectralModel",
    "SpectralModel",
    "TemplateSpectralModel",
]

SPECTRAL_MODEL_REGISTRY.extend(
    [
        ConstantSpectralModel,
        PowerLawSpectralModel,
        PowerLaw2SpectralModel,
        BrokenPowerLawSpectralModel,
        ExpCutoffPowerLawSpectralModel,
        LogParabolaSpectralModel,
        PowerLawNormSpectralModel,
        TemplateSpectralModel,
    ]
)
