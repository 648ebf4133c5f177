"""The fields of each kind of dataset, as one table; constructors, copies, cutouts, stacking and files loop over it.

To give every dataset a new field, add a row here: what it is called, what it is made of, how it behaves. The checks at the door are here
too: `check_value` looks at one field alone, `check_agreement` at all of them together.
"""

from dataclasses import dataclass

import numpy as np

from gpudl4.core.errors import BackendError, DatasetError, GeometryError
from gpudl4.core.units import conversion_factor

from .numbers import checked_numbers

__all__ = [
    "FLUX_FIELDS",
    "MAP_FIELDS",
    "ON_OFF_FIELDS",
    "Field",
    "check_agreement",
    "check_value",
    "field_table",
    "has_weights",
    "main_map",
]

AXIS_TOLERANCE = 1e-4  # relative; IRF files store energies in single precision


@dataclass(frozen=True)
class Field:
    """One field of a dataset.

    Attributes
    ----------
    name : str
        Attribute and keyword name.
    kind : {"map", "mask", "psf", "edisp", "gti", "table", "fluxes"}
        What it is made of: a `Map`, a boolean `Map`, a `PSFMap` or `RecoPSFMap`, an `EDispMap` or `EDispKernelMap`, a `GTI`, an astropy
        table, `FluxPoints`.
    hdu : str
        HDU it is written to; IRF maps add ``{hdu}_EXPOSURE``, maps add ``{hdu}_BANDS``.
    axes : tuple of tuple of str
        Names of the leading axes, fastest first; one tuple for each choice.
    unit : str or None
        Unit its values must convert to.
    stack : {"sum", "or", "exposure-weighted", "union", "columns", "ratio"}
        How two fields become one. "ratio": from the other fields, so that alpha times the off counts is conserved.
    weights : str or None
        Which view of the other dataset's mask_safe weights it in stacking: an attribute of the dataset.
    downsample : {"keep", "sum", "mean", "any", "bins", "ratio"}
        What happens when pixels, or bins of an axis that it has, are merged: nothing; the sum inside mask_safe; the mean; a mask is True
        where any part is; a response keeps its pixels and merges its bins by its own rules; "ratio" as in stacking.
    resample : {"keep", "sum", "any", "bins", "ratio"}
        The same when reconstructed energies are grouped.
    region : {"keep", "sum", "mean", "safe mean", "any", "centre", "ratio"}
        The same when all pixels in a region become one; "safe mean" leaves out what is not in mask_safe, "centre" takes the value at the
        centre of the region.
    padded : bool
        Whether it gets more pixels when the dataset does.
    numbers : {"in mask", "exposure", "response", "mask", "ordered", "any"}
        Which numbers it may hold, and who looks: see `gpudl4.datasets.numbers.RULES`.
    """

    name: str
    kind: str
    hdu: str
    axes: tuple = ()
    unit: str | None = None
    stack: str = "sum"
    weights: str | None = None
    downsample: str = "keep"
    resample: str = "keep"
    region: str = "keep"
    padded: bool = False
    numbers: str = "in mask"

    @property
    def on_counts_geometry(self):
        """Whether its geometry is that of the counts."""
        return self.kind in ("map", "mask") and self.axes == _RECO


_RECO = (("energy",),)
_TRUE = (("energy_true",),)

_COUNTS = {"downsample": "sum", "resample": "sum", "region": "sum", "padded": True}
_MASK = {"downsample": "any", "resample": "any", "region": "any", "padded": True, "numbers": "mask"}
_BINS = {"downsample": "bins", "resample": "bins"}
_MEAN = {"downsample": "mean", "region": "mean"}
_RATIO = {"downsample": "ratio", "resample": "ratio", "region": "ratio", "padded": True}
_PSF = (("rad", "energy_true"), ("rad", "energy"))
_EDISP = (("migra", "energy_true"), ("energy", "energy_true"))

MAP_FIELDS = (
    Field("counts", "map", "COUNTS", _RECO, "", "sum", "mask_safe", **_COUNTS),
    Field("exposure", "map", "EXPOSURE", _TRUE, "cm2 s", "sum", "mask_safe_image", **_MEAN, padded=True, numbers="exposure"),
    Field("background", "map", "BACKGROUND", _RECO, "", "sum", "mask_safe", **_COUNTS),
    Field("psf", "psf", "PSF", _PSF, "sr-1", "exposure-weighted", "mask_safe_psf", downsample="bins", region="centre", numbers="response"),
    Field("edisp", "edisp", "EDISP", _EDISP, None, "exposure-weighted", "mask_safe_edisp", **_BINS, region="centre", numbers="response"),
    Field("mask_safe", "mask", "MASK_SAFE", _RECO, None, "or", **_MASK),
    Field("mask_fit", "mask", "MASK_FIT", _RECO, None, "or", **_MASK),
    Field("gti", "gti", "GTI", stack="union", numbers="ordered"),
    Field("meta_table", "table", "META_TABLE", stack="columns", numbers="any"),
)
"""Fields of a `MapDataset` and of a `SpectrumDataset`, in the order in which checks name them."""

ON_OFF_FIELDS = (
    MAP_FIELDS[0],
    Field("counts_off", "map", "COUNTS_OFF", _RECO, "", "sum", "mask_safe", **_COUNTS),
    Field(
        "acceptance", "map", "ACCEPTANCE", _RECO, "", "sum", "mask_safe", downsample="mean", resample="sum", region="safe mean", padded=True
    ),
    Field("acceptance_off", "map", "ACCEPTANCE_OFF", _RECO, "", "ratio", "mask_safe", **_RATIO),
    *(field for field in MAP_FIELDS[1:] if field.name != "background"),
)
"""Fields of a `MapDatasetOnOff` and of a `SpectrumDatasetOnOff`: the background follows from off counts and acceptances."""

FLUX_FIELDS = (
    Field("data", "fluxes", "TABLE"),
    Field("mask_safe", "mask", "mask_safe", _RECO, None, "or", numbers="mask"),
    Field("mask_fit", "mask", "mask_fit", _RECO, None, "or", numbers="mask"),
    Field("meta_table", "table", "META_TABLE", stack="columns", numbers="any"),
)
"""Fields of a `FluxPointsDataset`; its masks are columns of its table. It is neither cut out nor stacked."""

TABLES = {
    "MapDataset": MAP_FIELDS,
    "MapDatasetOnOff": ON_OFF_FIELDS,
    "SpectrumDataset": MAP_FIELDS,
    "SpectrumDatasetOnOff": ON_OFF_FIELDS,
    "FluxPointsDataset": FLUX_FIELDS,
}


def field_table(tag):
    """Rows of the table for the kind of dataset with this tag."""
    return TABLES[tag]


def _classes(kind):
    if kind in ("map", "mask"):
        from gpudl4.maps import Map

        return (Map,)
    if kind == "psf":
        from gpudl4.irf import PSFMap

        return (PSFMap,)  # RecoPSFMap is one
    if kind == "edisp":
        from gpudl4.irf import EDispKernelMap, EDispMap

        return (EDispMap, EDispKernelMap)
    if kind == "gti":
        from gpudl4.core.gti import GTI

        return (GTI,)
    if kind == "fluxes":
        from gpudl4.fluxes import FluxMaps

        return (FluxMaps,)
    from astropy.table import Table

    return (Table,)


def main_map(field, value):
    """The map that holds the values of a field: the field itself, or the map inside an IRF map; None for fields without one."""
    if value is None or field.kind in ("gti", "table", "fluxes"):
        return None
    return getattr(value, f"{field.kind}_map") if field.kind in ("psf", "edisp") else value


def check_value(field, value, dataset_name):
    """Check one value at the door of a dataset and return it; masks become boolean.

    Raises
    ------
    DatasetError
        If it is of the wrong class, numbers as a mask of safe data, or holds numbers that the rule of the field does not allow.
    GeometryError
        If its axes are not those of the field.
    UnitMismatchError
        If its unit does not convert to the field's.
    """
    if value is None:
        return None
    where = f"dataset '{dataset_name}', field {field.name}"
    classes = _classes(field.kind)
    if not isinstance(value, classes):
        wanted = " or ".join(cls.__name__ for cls in classes)
        hint = ""
        if isinstance(value, np.ndarray):
            hint = "; wrap the array: Map.from_geom(geom, data=array)"
        elif type(value).__name__ in ("PSFKernel", "EDispKernel"):
            hint = f"; {type(value).__name__} belongs to one position, a dataset needs the responses over its field of view"
        raise DatasetError(f"{where}: {wanted} was wanted, got {type(value).__name__}{hint}")
    data_map = main_map(field, value)
    if data_map is None:
        return value
    names = tuple(data_map.geom.axes.names)
    if not any(names[: len(choice)] == choice for choice in field.axes):
        wanted = " or ".join(str(list(choice)) for choice in field.axes)
        raise GeometryError(f"{where}: axes {list(names)} were given, {wanted} were wanted (fastest first)")
    if field.unit is not None:
        conversion_factor(data_map.unit, field.unit, where)
    value = checked_numbers(field.numbers, value, data_map, where)
    if field.kind == "mask" and data_map.data.dtype != bool:
        if not has_weights(value):
            return value.copy(data=data_map.data.astype(bool))
        if field.name != "mask_fit":
            raise DatasetError(f"{where}: a mask was wanted, got numbers other than 0 and 1; weights belong into mask_fit")
    return value


def has_weights(mask):
    """Whether a mask holds weights, numbers other than 0 and 1 (statistic "cash_weighted")."""
    if mask is None or mask.data.dtype.kind != "f":
        return False
    return bool(((mask.data != 0) & (mask.data != 1)).any())


def check_agreement(values, dataset_name, fields=MAP_FIELDS):
    """Check that the fields of one dataset describe the same sky and energies, and live on one device.

    Counts, background and masks need one geometry; the exposure has the same pixels, or contains them; an energy dispersion has the
    exposure's true energies, and, as a kernel, the reconstructed energies of the counts; so has a PSF in reconstructed energy. A PSF in
    true energy is interpolated and may have its own.

    Parameters
    ----------
    values : dict
        Field name to value or None.
    dataset_name : str
        For messages.

    Raises
    ------
    GeometryError, BackendError
        Names dataset and field, what was given and what was wanted.
    """
    _check_device(values, dataset_name, fields)
    by_name = {field.name: field for field in fields}
    where = f"dataset '{dataset_name}'"
    reference = None
    for name in (field.name for field in fields if field.on_counts_geometry):
        value = values.get(name)
        if value is None:
            continue
        if reference is None:
            reference = name, value.geom
        elif not _same_geom(value.geom, reference[1]):
            raise GeometryError(f"{where}: {_difference(name, value.geom, *reference)}")
    exposure, edisp, psf = (values.get(name) for name in ("exposure", "edisp", "psf"))
    if exposure is not None and reference is not None and not _contains(exposure.geom.to_image(), reference[1].to_image()):
        raise GeometryError(f"{where}: {_difference('exposure', exposure.geom.to_image(), reference[0], reference[1].to_image())}")
    for name, irf in (("edisp", edisp), ("psf", psf)):
        if irf is None:
            continue
        axes = main_map(by_name[name], irf).geom.axes
        if "energy" in axes.names and reference is not None:
            _check_axis(where, name, axes["energy"], reference[0], reference[1].axes["energy"])
        if name == "edisp" and exposure is not None:
            _check_axis(where, name, axes["energy_true"], "exposure", exposure.geom.axes["energy_true"])


def _check_device(values, dataset_name, fields):
    homes = {}
    for field in fields:
        data_map = main_map(field, values.get(field.name))
        if data_map is not None:
            homes.setdefault(data_map.backend.device, field.name)
    if len(homes) > 1:
        where = ", ".join(f"{name} on {home}" for home, name in homes.items())
        raise BackendError(
            f"dataset '{dataset_name}': all fields must live on one device, got {where}: move the new field by its own to_device() or "
            "to_host(), or the whole dataset by dataset.to_device()"
        )


def _same_geom(geom, other):
    return geom.is_region == other.is_region and geom == other


def _contains(outer, geom):
    """Whether the pixels of an image geometry are among those of another."""
    if outer.is_region or geom.is_region:
        return _same_geom(outer, geom)
    if tuple(outer.data_shape) == tuple(geom.data_shape):
        return outer == geom
    from gpudl4.likelihood.wide import offset_within

    return offset_within(geom, outer) is not None


def _difference(name, geom, other_name, other):
    """Sentence that says where two geometries differ first."""
    if geom.is_region != other.is_region:
        kinds = ("a region" if g.is_region else "a map of the sky" for g in (geom, other))
        return f"{name} is on {next(kinds)}, but {other_name} is on {next(kinds)}; both must have one geometry"
    if tuple(geom.data_shape) != tuple(other.data_shape):
        return f"{name} has shape {tuple(geom.data_shape)}, but {other_name} has {tuple(other.data_shape)}; both must have one geometry"
    for axis, other_axis in zip(geom.axes, other.axes, strict=False):
        if axis.name != other_axis.name or not _same_axis(axis, other_axis):
            return f"{name} has {_describe(axis)}, but {other_name} has {_describe(other_axis)}; both must have one geometry"
    return f"{name} and {other_name} have the same shape but lie differently on the sky ({_centre(geom)} and {_centre(other)})"


def _centre(geom):
    return f"{geom.frame} {geom.center_skydir.to_string(precision=4)}"


def _same_axis(axis, other):
    if axis.nbin != other.nbin:
        return False
    nodes = "edges" if axis.node_type == other.node_type else "center"
    try:
        given = getattr(axis, nodes).to_value(other.unit)
    except ValueError:  # units that do not convert
        return False
    return np.allclose(given, getattr(other, nodes).value, rtol=AXIS_TOLERANCE, atol=0)


def _describe(axis):
    edges = axis.edges
    return f"{axis.nbin} bins in {axis.name} from {edges[0]:.4g} to {edges[-1]:.4g}"


def _check_axis(where, name, axis, other_name, other):
    if not _same_axis(axis, other):
        raise GeometryError(f"{where}: {name} has {_describe(axis)}, but {other_name} has {_describe(other)}; they must be the same")
