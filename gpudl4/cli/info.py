"""``gpudl4 info``: what a file holds, in a few lines. Datasets, lists of datasets, models and plain maps."""

import click
import numpy as np

from ..core.errors import DataFileError
from ..io.files import expand_path, open_fits, read_yaml
from .notices import collected_warnings

__all__ = ["info"]

DATASET_HDUS = {"COUNTS", "EXPOSURE", "BACKGROUND"}


def _heading(text):
    click.echo(text)
    click.echo("-" * len(text))


def _rows(pairs):
    width = max(len(key) for key, _ in pairs)
    for key, value in pairs:
        click.echo(f"  {key:<{width}}  {value}")


def _axis_line(axis):
    """One line about an axis."""
    edges = axis.edges
    return f"{axis.nbin} bins, {edges[0].value:.4g} to {edges[-1].value:.4g} {axis.unit}".rstrip()


def _geom_rows(geom):
    """Sky grid and axes of a geometry."""
    lat, lon = geom.data_shape[-2:]
    scale = np.mean(geom.pixel_scales.to_value("deg"))
    center = geom.center_skydir
    lon_0, lat_0 = center.data.lon.deg, center.data.lat.deg
    rows = [("sky", f"{lon} x {lat} pixels of {scale:.4g} deg, {geom.projection}, {geom.frame}, centre {lon_0:.4f} {lat_0:+.4f} deg")]
    return rows + [(axis.name, _axis_line(axis)) for axis in geom.axes]


def _value_rows(map_):
    """Unit and range of a map's values."""
    values = np.asarray(map_.data)
    finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    if not finite.size:
        return [("values", "none are finite")]
    spread = f"{finite.min():.4g} to {finite.max():.4g} {map_.unit}".rstrip()
    lost = values.size - finite.size
    return [("values", f"{spread}, sum {finite.sum(dtype=float):.6g}" + (f", {lost} not finite" if lost else ""))]


def _dataset_rows(dataset):
    """Content of a map dataset."""
    rows = _geom_rows(dataset.counts.geom) if dataset.counts is not None else []
    if dataset.exposure is not None:
        axis = dataset.exposure.geom.axes["energy_true"]
        rows += [("energy_true", _axis_line(axis))]
    for name in ("counts", "background", "exposure"):
        map_ = getattr(dataset, name)
        rows += [(name, _value_rows(map_)[0][1] if map_ is not None else "none")]
    for name in ("psf", "edisp", "gti"):
        value = getattr(dataset, name)
        rows += [(name, "none" if value is None else type(value).__name__)]
    if dataset.gti is not None and len(dataset.gti.table):
        rows += [("observed", f"{dataset.gti.time_sum.to_value('h'):.3f} h in {len(dataset.gti.table)} intervals")]
    for name in ("mask_safe", "mask_fit"):
        mask = getattr(dataset, name)
        share = "none" if mask is None else f"{int(np.count_nonzero(mask.data))} of {mask.data.size} bins"
        rows += [(name, share)]
    return rows


def _show_dataset(dataset):
    _heading(f"{type(dataset).__name__} {dataset.name}")
    _rows(_dataset_rows(dataset))


def _show_datasets(path):
    from ..datasets import Datasets

    datasets = Datasets.read(path)
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


def _show_fits(path):
    with open_fits(path) as hdus:
        names = {hdu.name for hdu in hdus}
    if names & DATASET_HDUS:
        from ..datasets import MapDataset

        _show_dataset(MapDataset.read(path))
        return
    from ..maps import Map

    map_ = Map.read(path)
    _heading(f"{type(map_).__name__} {path}")
    _rows(_geom_rows(map_.geom) + _value_rows(map_))


def _show_yaml(path):
    keys = read_yaml(path, checksum=False)
    if "datasets" in keys:
        _show_datasets(path)
    elif "components" in keys:
        _show_models(path)
    else:
        raise DataFileError(f"'{path}' is neither a list of datasets (key 'datasets') nor of models (key 'components')")


@click.command()
@click.argument("file", type=click.Path(), metavar="FILE")
def info(file):
    """Say what a file holds.

    FILE is a dataset or a map (FITS), or a list of datasets or models (YAML).
    """
    path = expand_path(file)
    with collected_warnings():
        if path.suffix.lower() in (".yaml", ".yml"):
            _show_yaml(path)
        else:
            _show_fits(path)
    return 0
