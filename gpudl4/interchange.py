"""Datasets of gammapy as datasets of gpudl4 and back, in memory: `from_gammapy` and `to_gammapy`.

Reduce data with gammapy, fit here, and hand results back without files. gammapy is imported only when one of the two is called. Classes
and attributes have the same names in both libraries, so one conversion goes either way: it takes a value apart by its public attributes
and builds it again with the classes of the other library.
"""

import copy
import importlib
import inspect
from types import SimpleNamespace

import numpy as np

from gpudl4.core.errors import DatasetError, GPUDL4Error, MissingLibraryError

__all__ = ["from_gammapy", "to_gammapy"]

MODULES = {
    "gammapy": {
        "datasets": "gammapy.datasets",
        "data": "gammapy.data",
        "irf": "gammapy.irf",
        "maps": "gammapy.maps",
        "models": "gammapy.modeling.models",
        "fluxes": "gammapy.estimators",
    },
    "gpudl4": {
        "datasets": "gpudl4.datasets",
        "data": "gpudl4.core.gti",
        "irf": "gpudl4.irf",
        "maps": "gpudl4.maps",
        "models": "gpudl4.models",
        "fluxes": "gpudl4.fluxes",
    },
}
IRF_MAPS = {"PSFMap": "psf_map", "RecoPSFMap": "psf_map", "EDispMap": "edisp_map", "EDispKernelMap": "edisp_map"}
SEPARATE = ("models", "name", "meta", "stat_type", "stat_kwargs")  # arguments of a dataset that are not among its fields


def from_gammapy(datasets, models=True):
    """Datasets of gpudl4 with the content of datasets of gammapy.

    Parameters
    ----------
    datasets : gammapy ``Dataset``, ``Datasets`` or list of ``Dataset``
        Any kind that gpudl4 has too. Lazily read fields are read.
    models : bool
        Take the models with their parameters, links and covariance along.

    Returns
    -------
    datasets : `gpudl4.datasets.Dataset` or `gpudl4.datasets.Datasets`
        A single dataset for a single one. Arrays are copies in host memory; names stay.

    Raises
    ------
    MissingLibraryError
        If gammapy is not installed.
    DatasetError
        If something else is given, or a dataset of a kind, geometry or axis that gpudl4 does not have. The message names dataset and field.
    ModelError
        If a model has no counterpart.
    """
    return _convert(datasets, "gammapy", "gpudl4", models)


def to_gammapy(datasets, models=True):
    """Datasets of gammapy with the content of datasets of gpudl4; the reverse of `from_gammapy`.

    Parameters
    ----------
    datasets : `gpudl4.datasets.Dataset`, `gpudl4.datasets.Datasets` or list of datasets
        Arrays on a device are copied to the host.
    models : bool
        Take the models with their parameters, links and covariance along.

    Returns
    -------
    datasets : gammapy ``Dataset`` or ``Datasets``

    Raises
    ------
    MissingLibraryError
        If gammapy is not installed.
    DatasetError
        If something else is given.
    """
    return _convert(datasets, "gpudl4", "gammapy", models)


def _libraries():
    """Both libraries; gammapy must be installed."""
    try:
        import gammapy  # noqa: F401
    except ImportError as error:
        raise MissingLibraryError(
            f"gammapy is needed to convert its datasets and cannot be imported ({error}); install it (pip install gammapy), "
            "or exchange files: both libraries read what the other writes"
        ) from error
    return {name: SimpleNamespace(name=name, modules=modules) for name, modules in MODULES.items()}


def _cls(library, role, name, what):
    """Class of a library by its name; DatasetError if there is none."""
    try:
        return getattr(importlib.import_module(library.modules[role]), name)
    except (AttributeError, ModuleNotFoundError) as error:
        raise DatasetError(f"{what}: {library.name} has no {name}") from error


def _convert(datasets, source, target, with_models):
    libraries = _libraries()
    source, target = libraries[source], libraries[target]
    kinds = {name: _cls(source, "datasets", name, "conversion") for name in ("Dataset", "Datasets")}
    single = isinstance(datasets, kinds["Dataset"])
    if not single and not isinstance(datasets, kinds["Datasets"]) and not _is_list_of(datasets, kinds["Dataset"]):
        raise DatasetError(
            f"a dataset, Datasets or a list of datasets of {source.name} was wanted, "
            f"got {type(datasets).__module__}.{type(datasets).__name__}"
        )
    converted = [_dataset(dataset, target) for dataset in ([datasets] if single else datasets)]
    out = converted[0] if single else _cls(target, "datasets", "Datasets", "conversion")(converted)
    if with_models:
        holder = datasets if single or isinstance(datasets, kinds["Datasets"]) else kinds["Datasets"](list(datasets))
        if holder.models is not None and len(holder.models):
            out.models = _models(holder.models, target)
    return out


def _is_list_of(values, cls):
    return isinstance(values, list | tuple) and len(values) > 0 and all(isinstance(value, cls) for value in values)


# ------------------------------------------------------------------------------------------------------------------------------- datasets


def _dataset(dataset, target):
    where = f"dataset '{dataset.name}'"
    cls = _cls(target, "datasets", type(dataset).__name__, where)
    accepted = inspect.signature(cls).parameters
    options = {"name": dataset.name}
    for name, parameter in accepted.items():
        if name in SEPARATE or parameter.kind is parameter.VAR_KEYWORD:
            continue
        value = getattr(dataset, name, None)
        if value is not None:
            options[name] = _value(value, target, f"{where}, field {name}")
    for name in ("stat_type", "stat_kwargs"):
        if name in accepted and getattr(dataset, name, None):
            options[name] = copy.deepcopy(getattr(dataset, name))
    if "meta" in accepted and getattr(dataset, "meta", None) is not None:
        options["meta"] = _cls(target, "datasets", "MapDatasetMetaData", where).from_header(dataset.meta.to_header())
    return cls(**options)


def _value(value, target, where):
    """Value of a field with the classes of the other library."""
    from astropy.table import Table

    name = type(value).__name__
    if name in IRF_MAPS:
        exposure = None if value.exposure_map is None else _map(value.exposure_map, target, where)
        return _cls(target, "irf", name, where)(_map(getattr(value, IRF_MAPS[name]), target, where), exposure)
    if name == "GTI":
        return _gti(value, target, where)
    if name in ("FluxPoints", "FluxMaps"):
        return _fluxes(value, target, where)
    if isinstance(value, Table):
        return value.copy()
    if hasattr(value, "geom") and hasattr(value, "unit"):
        return _map(value, target, where)
    if isinstance(value, np.ndarray | np.generic | str | int | float):
        return copy.deepcopy(value)
    raise DatasetError(f"{where}: a {type(value).__name__} cannot be converted")


def _gti(gti, target, where):
    import astropy.units as u

    cls = _cls(target, "data", "GTI", where)
    if len(gti.table) == 0:  # gammapy cannot write a table without rows
        return cls.create([] * u.s, [] * u.s, gti.time_ref)
    return cls.from_table_hdu(gti.to_table_hdu())


def _fluxes(fluxes, target, where):
    """Flux points or maps of fluxes: the stored maps of norms and the model that they multiply."""
    data = {name: _map(map_, target, f"{where}, {name}") for name, map_ in fluxes._data.items()}  # public attributes hide failed fits
    gti = None if fluxes.gti is None else _value(fluxes.gti, target, where)
    model = _native_reference(fluxes.reference_model)
    model = _cls(target, "models", type(model).__name__, where).from_dict(model.to_dict(full_output=True))
    return _cls(target, "fluxes", type(fluxes).__name__, where)(data, model, meta=copy.deepcopy(fluxes.meta), gti=gti)


def _native_reference(model):
    """Reference model; a table of a spectrum read from FITS in native byte order, without which gammapy cannot make a dict of it."""
    spectral = getattr(model, "spectral_model", None)
    table = [getattr(spectral, name, None) for name in ("energy", "values")]
    if any(column is None or getattr(column, "dtype", None) is None for column in table) or all(c.dtype.isnative for c in table):
        return model
    native = [column.astype(column.dtype.newbyteorder("=")) for column in table]
    return type(model)(spectral_model=type(spectral)(*native), name=model.name)


# ----------------------------------------------------------------------------------------------------------------------------------- maps


def _map(map_, target, where):
    if hasattr(map_, "to_host"):
        map_ = map_.to_host()
    geom = _geom(map_.geom, target, where)
    data = np.array(map_.data, dtype=map_.data.dtype.newbyteorder("="))
    meta = copy.deepcopy(dict(map_.meta)) if map_.meta else {}
    return _cls(target, "maps", "Map", where).from_geom(geom, data=data, unit=map_.unit, meta=meta, dtype=data.dtype)


def _geom(geom, target, where):
    axes = [_axis(axis, target, where) for axis in geom.axes]
    if geom.is_region:
        return _cls(target, "maps", "RegionGeom", where)(geom.region, axes=axes, wcs=copy.deepcopy(geom.wcs))
    if type(geom).__name__ != "WcsGeom":
        raise DatasetError(f"{where}: maps with a {type(geom).__name__} cannot be converted; a WcsGeom or RegionGeom was wanted")
    if not getattr(geom, "is_regular", True):
        raise DatasetError(f"{where}: the map has another pixel size at each energy, which cannot be converted")
    shape = geom.data_shape[-2:]
    return _cls(target, "maps", "WcsGeom", where)(copy.deepcopy(geom.wcs), npix=shape[::-1], axes=axes)


def _axis(axis, target, where):
    kind = type(axis).__name__
    cls = _cls(target, "maps", kind, f"{where}, axis {axis.name}")
    if kind == "LabelMapAxis":
        return cls(labels=list(axis.center), name=axis.name)
    if kind == "TimeMapAxis":
        return cls(axis.edges_min, axis.edges_max, reference_time=axis.reference_time, name=axis.name, interp=axis.interp)
    nodes = axis.edges if axis.node_type == "edges" else axis.center
    return cls(nodes.value, interp=axis.interp, name=axis.name, node_type=axis.node_type, unit=axis.unit)


# --------------------------------------------------------------------------------------------------------------------------------- models


def _models(models, target):
    """Models through the dict that models files hold, with the covariance of their parameters."""
    try:
        out = _cls(target, "models", "Models", "models").from_dict({"components": models.to_dict(full_output=True)["components"]})
    except GPUDL4Error as error:
        raise type(error)(
            f"the models of the datasets cannot be converted: {error}. Pass models=False to convert the data alone"
        ) from error
    out.covariance = np.array(models.covariance.data)
    return out
