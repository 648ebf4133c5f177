"""gammapy's import path for fits and parameters: ``from gpudl4.modeling import Fit, Parameter``.

The names are loaded when they are first used.
"""

import importlib

_HOME = {
    "Covariance": "gpudl4.models",
    "Fit": "gpudl4.fit",
    "FitResult": "gpudl4.fit",
    "Parameter": "gpudl4.models",
    "Parameters": "gpudl4.models",
    "PriorParameter": "gpudl4.models",
    "PriorParameters": "gpudl4.models",
    "models": "gpudl4.modeling.models",
}

__all__ = sorted(_HOME)


def __getattr__(name):
    if name == "models":
        return importlib.import_module("gpudl4.modeling.models")
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'gpudl4.modeling' has no attribute {name!r}")


def __dir__():
    return __all__
