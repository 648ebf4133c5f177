"""``gpudl4 info``: what a file holds, in a few lines: datasets of every kind, lists of datasets, models, maps, responses, flux points."""

import click
import numpy as np

from .reading import kind_of, read_data, read_datasets

__all__ = ["info"]


def _heading(text):
    click.echo(text)
    click.echo("-" * len(text))


def _rows(pairs):
    width = max(len(key) for key, _ in pairs)
    for key, value in pairs:
        click.echo(f"  {key:<{width}}  {value}")


def _axis_line(axis):
    """One line about an axis."""
    edges = getattr(axis, "edges", None)
    if not hasattr(edges, "unit"):  # labels or times
        return f"{axis.nbin} bins"
    return f"{axis.nbin} bins, {edges[0].value:.4g} to {edges[-1].value:.4g} {axis.unit}".rstrip()


def _geom_rows(geom):
    """Sky grid or region, and axes of a geometry."""
    center = geom.center_skydir
    place = "" if center is None else f", {geom.frame}, centre {center.data.lon.deg:.4f} {center.data.lat.deg:+.4f} deg"
    if geom.is_region:
        where = "no region" if geom.region is None else f"{type(geom.region).__name__}{place}"
    else:
        lat, lon = geom.data_shape[-2:]
        where = f"{lon} x {lat} pixels of {np.mean(geom.pixel_scales.to_value('deg')):.4g} deg, {geom.projection}{place}"
    return [("sky", where), *((axis.name, _axis_line(axis)) for axis in geom.axes)]


def _value_rows(map_):
    """Unit and range of a map's values."""
    values = np.asarray(map_.data)
    finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    if not finite.size:
        return [("values", "none are finite")]
    spread = f"{finite.min():.4g} to {finite.max():.4g} {map_.unit}".rstrip()
    lost = values.size - finite.size
    return [("values", f"{spread}, sum {finite.sum(dtype=float):.6g}" + (f", {lost} not finite" if lost else ""))]


def _field_row(field, value):
    """One line about a field of a dataset."""
    if value is None:
        return field.name, "none"
    if field.kind == "map":
        return field.name, _value_rows(value)[0][1]
    if field.kind == "mask":
        return field.name, f"{int(np.count_nonzero(value.data))} of {value.data.size} bins"
    if field.kind == "gti" and len(value.table):
        return field.name, f"{value.time_sum.to_value('h'):.3f} h in {len(value.table)} intervals"
    return field.name, type(value).__name__


def _dataset_rows(dataset):
    """Content of a dataset with counts."""
    from ..datasets.fields import field_table

    rows = _geom_rows(dataset.counts.geom) if dataset.counts is not None else []
    if dataset.exposure is not None:
        rows += [("energy_true", _axis_line(dataset.exposure.geom.axes["energy_true"]))]
    return rows + [_field_row(field, getattr(dataset, field.name)) for field in field_table(dataset.tag) if field.kind != "table"]


def _flux_rows(dataset):
    """Content of a dataset of flux points."""
    points = dataset.data
    columns = [name for name in points.to_table().colnames if not name.endswith("_scan")]
    return [
        *((axis.name, _axis_line(axis)) for axis in points.geom.axes),
        (
            "points",
            f"{int(np.count_nonzero(dataset.mask_safe))} of {np.size(dataset.mask_safe)} can be fitted, statistic {dataset.stat_type}",
        ),
        ("made as", points.sed_type_init),
        ("columns", ", ".join(columns)),
    ]


def _show_dataset(dataset):
    _heading(f"{type(dataset).__name__} {dataset.name}")
    _rows(_flux_rows(dataset) if dataset.tag == "FluxPointsDataset" else _dataset_rows(dataset))


def _show_datasets(path, datasets):
    click.echo(f"{path}: {len(datasets)} dataset{'' if len(datasets) == 1 else 's'}")
    for dataset in datasets:
        click.echo()
        _show_dataset(dataset)


def _number(value):
    return "" if value is None or np.isnan(value) else f"{value:.6g}"


def _show_models(path):
    from ..models import Models

    models = Models.read(path)
    _heading(f"{len(models)} models, {len(models.parameters.free_unique_parameters)} free parameters")
    header = ("model", "type", "parameter", "value", "error", "unit", "min", "max", "")
    rows, seen = [], set()
    for model in models:
        for parameter in model.parameters:
            note = "linked" if id(parameter) in seen else "frozen" if parameter.frozen else ""
            seen.add(id(parameter))
            numbers = (_number(parameter.value), _number(parameter.error or np.nan))
            limits = (_number(parameter.min), _number(parameter.max))
            rows.append((model.name, type(model).__name__, parameter.name, *numbers, str(parameter.unit), *limits, note))
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    for row in [header, *rows]:
        click.echo("  " + "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def _show_data(path, kind):
    """Maps, responses and what else is in a file of its own."""
    data = read_data(path, kind)
    _heading(f"{type(data).__name__} {path}")
    if kind == "GTI":
        _rows([("observed", f"{data.time_sum.to_value('h'):.3f} h in {len(data.table)} intervals")])
    elif kind == "FluxMaps":
        _rows([*_geom_rows(data.geom), ("quantities", ", ".join(sorted(data.available_quantities)))])
    elif kind == "RMF":
        _rows([(axis.name, _axis_line(axis)) for axis in data.axes])
    else:
        map_ = data if not hasattr(data, "psf_map") and not hasattr(data, "edisp_map") else getattr(data, "psf_map", None) or data.edisp_map
        _rows(_geom_rows(map_.geom) + _value_rows(map_))


@click.command()
@click.argument("file", type=click.Path(), metavar="FILE")
def info(file):
    """Say what a file holds.

    FILE is a dataset of any kind (FITS, a PHA file with those it names, flux points), a map, a response or GTI (FITS), or a list of
    datasets or models (YAML).
    """
    kind = kind_of(file)
    if kind == "datasets":
        _show_datasets(file, read_datasets(file))
    elif kind == "models":
        _show_models(file)
    elif kind.endswith(("Dataset", "DatasetOnOff")):
        _show_dataset(read_datasets(file)[0])
    else:
        _show_data(file, kind)
    return 0
