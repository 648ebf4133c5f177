"""What models must be to be compiled: values a formula can be evaluated at, and bounds that leave room."""

import astropy.units as u
import numpy as np

from ..core.errors import ModelError

__all__ = ["check_models"]


def check_models(models):
    """Check values, bounds and priors of all parameters before models are compiled.

    Raises
    ------
    ModelError
        Naming model and parameter, with what is wrong and what to do.
    """
    for model in models:
        for part in model._submodels:
            for name, parameter, default in zip(part.parameters.names, part.parameters, part.default_parameters, strict=True):
                fault = _fault(name, parameter, default)
                if fault:
                    raise ModelError(f"parameter '{model.name}.{name}' {fault}")


def _fault(name, p, default):
    """What is wrong with a parameter, None if nothing is."""
    at = f"is {p.value:g}{' ' + str(p.unit) if str(p.unit) else ''}"
    if not np.isfinite(p.value) and (np.isfinite(default.value) or not p.frozen):
        return f"{at}: set a finite value"
    if p.min > p.max:
        return f"has min {p.min} above max {p.max}: exchange or widen them"
    if name == "lat_0" and p.unit.is_equivalent("deg") and abs(p.quantity) > 90 * u.deg:
        return f"{at}: a latitude lies between -90 and 90 deg"
    if default.unit.is_equivalent("TeV") and default.value > 0 and p.value <= 0:
        return f"{at}: an energy above zero is wanted"
    if p.prior is not None:
        problem = p.prior.problem
        if problem:
            return f"has a {type(p.prior).__name__} {problem}"
    return None
