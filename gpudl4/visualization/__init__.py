"""The plotting functions under gammapy's import path: ``from gpudl4.visualization import ...`` gives what `gpudl4.plot` offers.

matplotlib is imported when a name is first used, not when this module is.
"""

import importlib


def _plot():
    return importlib.import_module("gpudl4.plot")


def __getattr__(name):
    if not name.startswith("_") and name in getattr(_plot(), "__all__", ()):
        return getattr(_plot(), name)
    raise AttributeError(f"module 'gpudl4.visualization' has no attribute {name!r}")


def __dir__():
    return sorted(getattr(_plot(), "__all__", ()))
