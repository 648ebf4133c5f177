"""Compile datasets and models into a likelihood: a pure function of one float64 vector, with exact gradients.

Use it directly for anything that needs many evaluations at one set of IRFs (samplers, scans, own minimisers)::

    likelihood = gpudl4.compile(datasets)
    stat, gradient = likelihood.value_and_gradient(likelihood.theta0)

`gpudl4.Fit` is built on it. A likelihood never looks at the models again, nor, unless it may borrow their arrays, at the datasets: editing
them has no effect until the next compile.
"""

from collections.abc import Iterable

import numpy as np

from gpudl4.core.backend import device_memory
from gpudl4.core.errors import DatasetError, ModelError

from .bindings import Bindings
from .build import build_term, models_of
from .coarse import drafted, original
from .flux_term import FluxTerm, has_fluxes
from .fluxes import Fluxes
from .likelihood import Likelihood
from .memory import check_limit
from .pack import Pack, frozen_priors
from .plan import Plan
from .sketch import estimate
from .terms import PriorTerm
from .where import WORTH_A_GPU, checked
from .wide import widened

__all__ = ["WORTH_A_GPU", "compile", "compile_again", "estimate_memory"]


def _unique(models):
    found = {}
    for model in models:
        found.setdefault(id(model), model)
    return list(found.values())


def _checked_models(models, datasets):
    """The models given, once all that act on the datasets are found to be fit for it; None stays."""
    from gpudl4.models.composite import CompositeModel
    from gpudl4.models.door import check_models
    from gpudl4.models.usage import warn_of_unused

    if isinstance(models, CompositeModel):
        models = [models]
    if models is not None:
        if not isinstance(models, Iterable) or not all(isinstance(model, CompositeModel) for model in models):
            raise ModelError(f"models must be a model, a list of models or Models, got {models!r}")
        warn_of_unused(models, datasets)
    check_models(_unique(model for dataset in datasets for model in models_of(dataset, models)))
    return models


def compile(
    datasets,
    models=None,
    backend="auto",
    dtype="float64",
    irf_positions=None,
    priors=True,
    draft=False,
    memory_limit=None,
    borrow=False,
):
    """Compile datasets with their models.

    Parameters
    ----------
    datasets : dataset, list of datasets or Datasets
    models : Models, optional
        Used instead of the datasets' own models.
    backend : {"auto", "numpy", "cupy"}
        Where to run. "auto" is the device the datasets are on; datasets on the host go to a usable GPU if they have at least
        `WORTH_A_GPU` bins and the GPU has room, else they stay. A warning says so if it is for lack of memory.
    dtype : {"float64", "float32"}
        Precision of predicted counts, templates and transforms. Sums are double in any case.
    irf_positions : dict, optional
        Model name -> `~astropy.coordinates.SkyCoord` where its PSF and energy dispersion are taken, instead of its own position.
    priors : bool
        Whether the priors of the parameters are part of the statistic.
    draft : bool
        Merge pixels where a shape that can change is large (`likelihood/coarse.py`). Much cheaper and not exact: for the first steps of a
        fit only.
    memory_limit : int or str, optional
        Bytes, or a text such as ``"2 GB"``, that the likelihood may take beside the datasets, second derivatives included, in the
        memory of the device where it runs. It is checked again when the likelihood is compiled anew; a draft is checked as the exact
        likelihood that follows it.
    borrow : bool
        Use the datasets' arrays as they are where sources reach the whole map, instead of copies. For those who do not edit the datasets
        while they use the likelihood.

    Returns
    -------
    Likelihood

    Raises
    ------
    BackendError
        If the backend is unknown or cannot be used, or the datasets live on different devices.
    DatasetError
        If a dataset lacks what its models need, holds NaN or negative values inside its mask, or no dataset has a bin to fit.
    DeviceMemoryError
        If the device's memory does not suffice.
    MemoryLimitError
        If it would take more than `memory_limit`; the message lists what takes how much. Nothing large has been allocated then.
    ModelError
        If no model contributes to any dataset, a value is NaN, a latitude beyond a pole, an energy not above zero, or bounds leave no room.
    """
    datasets, where = checked(datasets, backend, dtype, lambda some, there: _estimate(some, models, there, dtype, irf_positions))
    models = _checked_models(models, datasets)
    with where.entered():
        datasets = [widened(dataset) for dataset in datasets]
    options = {"irf_positions": irf_positions, "priors": priors, "draft": draft, "borrow": borrow, "memory_limit": memory_limit}
    return compile_again(datasets, models, where, None, dtype=dtype, **options)


def estimate_memory(datasets, models=None, backend="auto", dtype="float64", irf_positions=None, draft=False):
    """Memory that a likelihood would take, without compiling it; the parameters are those of `compile`.

    Returns
    -------
    Memory
        Bytes by item, as in `Likelihood.memory`; printed, it is a table.
    """
    datasets, where = checked(datasets, backend, dtype, lambda some, there: _estimate(some, models, there, dtype, irf_positions))
    return _estimate(datasets, models, where, dtype, irf_positions, draft)


def _estimate(datasets, models, where, dtype, irf_positions, draft=False):
    """`estimate` of datasets that may have to be widened."""
    with where.entered():
        return estimate([widened(dataset) for dataset in datasets], models, where, dtype, irf_positions, draft)


def compile_again(datasets, models, where, previous, *, dtype, buffers=None, **options):
    """`compile` for checked options; what the plan `previous` of the same datasets has made may be used again, and so may its buffers."""
    with where.entered():
        if options["memory_limit"] is not None:
            exact = [original(dataset) for dataset in datasets]
            check_limit(estimate(exact, models, where, dtype, options["irf_positions"]), options["memory_limit"], dtype)
        return _compiled(datasets, models, where, previous, dtype, buffers, options)


def _compiled(datasets, models, where, previous, dtype, buffers, options):
    irf_positions, priors, draft, borrow = (options[name] for name in ("irf_positions", "priors", "draft", "borrow"))
    datasets = [drafted(d, models_of(original(d), models)) if draft else original(d) for d in datasets]
    before = {} if previous is None else previous.by_dataset
    per_dataset = [models_of(d, models) for d in datasets]
    unique = _unique(m for ms in per_dataset for m in ms)
    pack = Pack(unique)
    constant = frozen_priors(unique) if priors else 0.0
    if previous is not None and previous.serves(datasets, pack, options):
        return Likelihood(previous.at(pack, options), constant, buffers)
    terms, fluxes, contributing, by_dataset, bindings = [], [], set(), {}, Bindings()
    with device_memory("the likelihood"):
        for number, (dataset, own) in enumerate(zip(datasets, per_dataset, strict=True)):
            if has_fluxes(dataset):
                fluxes.append(FluxTerm(dataset, own))
                contributing.update(model.name for model in fluxes[-1].models)
                continue
            earlier = before.get(id(dataset))
            term, names = build_term(dataset, own, pack, irf_positions, np.dtype(dtype), earlier, bindings, borrow, number, where)
            if term is not None:
                terms.append(term)
                by_dataset[id(dataset)] = term
                contributing.update(names)
        if not any(term.n_bins for term in [*terms, *fluxes]):
            names = ", ".join(f"'{d.name}'" for d in datasets)
            raise DatasetError(f"no bin to fit in {names}: mask_safe and mask_fit exclude everything")
        if unique and not contributing and pack.names:
            raise ModelError(f"no model contributes to any dataset: {', '.join(repr(m.name) for m in unique)} lie outside every fit mask")
        fluxes, earlier = Fluxes(fluxes, pack), getattr(previous, "evaluation", None)
        what = datasets, models, pack, terms, fluxes, PriorTerm(pack.priors if priors else ())
        plan = Plan(*what, where, dtype, options, by_dataset, earlier)
        return Likelihood(plan, constant, buffers)
