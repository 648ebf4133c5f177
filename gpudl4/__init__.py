"""gpudl4 fits gamma-ray data: DL4 cubes and spectra by binned likelihood, on CPU and GPU.

The names below are loaded when they are first used, so that ``import gpudl4`` stays instant.
"""

import importlib

__version__ = "0.1.0"

_HOME = {
    "Datasets": "gpudl4.datasets",
    "FluxPointsDataset": "gpudl4.datasets",
    "MapDataset": "gpudl4.datasets",
    "MapDatasetOnOff": "gpudl4.datasets",
    "SpectrumDataset": "gpudl4.datasets",
    "SpectrumDatasetOnOff": "gpudl4.datasets",
    "Fit": "gpudl4.fit",
    "FitResult": "gpudl4.fit",
    "compile": "gpudl4.likelihood",
    "assert_gradient": "gpudl4.likelihood",
    "Models": "gpudl4.models",
    "SkyModel": "gpudl4.models",
    "FoVBackgroundModel": "gpudl4.models",
    "from_gammapy": "gpudl4.interchange",
    "get_backend": "gpudl4.core.backend",
    "to_gammapy": "gpudl4.interchange",
}

__all__ = ["__version__", *_HOME]


def __getattr__(name):
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'gpudl4' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
