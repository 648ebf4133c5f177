"""The pictures that ``gpudl4 fit`` leaves beside its numbers. matplotlib is optional; without it there are none."""

import importlib.util
import os
import re
import sys
import warnings

from .notices import one_line

__all__ = ["can_plot", "write_pictures"]

LONGEST = 80  # characters of a dataset's name in the name of a file


def can_plot():
    """Whether matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def _file_ends(datasets):
    """How the names of a dataset's files end: in its own name, if there are several; no two alike."""
    if len(datasets) == 1:
        return [".png"]
    ends = []
    for number, dataset in enumerate(datasets, start=1):
        stem = re.sub(r"[^\w.+-]+", "_", dataset.name)[:LONGEST]
        end = f"_{stem}.png"
        ends.append(end if end not in ends else f"_{stem}_{number}.png")
    return ends


def _energy_bounds(datasets):
    """Smallest and largest energy of all datasets."""
    edges = [(d.data if d.tag == "FluxPointsDataset" else d.counts).geom.axes["energy"].edges for d in datasets]
    return min(edge[0] for edge in edges), max(edge[-1] for edge in edges)


def _figures(dataset):
    """Names and makers of the figures of a dataset."""
    from .. import plot

    if dataset.tag == "FluxPointsDataset":
        return {"flux_points": lambda: dataset.plot_fit()[0].figure}
    if dataset.counts.geom.is_region:
        return {"spectrum": lambda: dataset.plot_fit()[0].figure}
    npred = dataset.npred()
    return {
        "counts": lambda: plot.plot_counts(dataset).figure,
        "model": lambda: plot.plot_npred(dataset, npred=npred).figure,
        "residual_significance": lambda: plot.plot_residual_significance(dataset, npred=npred).figure,
        "images": lambda: plot.plot_images(dataset, npred=npred),
        "spectrum": lambda: plot.plot_spectrum(dataset, npred=npred),
        "residual_histogram": lambda: plot.plot_residual_histogram(dataset, npred=npred).figure,
    }


def write_pictures(datasets, models, folder):
    """Write counts, model, residual significance and counts spectrum of each dataset, and the spectra of the sources, as PNG.

    A picture that fails is left out with a warning.

    Parameters
    ----------
    datasets : Datasets
        Fitted datasets.
    models : Models
        Fitted models.
    folder : pathlib.Path
        Where the files go. With one dataset they are ``counts.png``, ``model.png``, ``residual_significance.png``, ``images.png`` (the
        three side by side), ``spectrum.png`` and ``residual_histogram.png``; of a spectrum only ``spectrum.png``, of flux points
        ``flux_points.png``; with several datasets, each name ends in the dataset's name. The spectra are in ``source_spectra.png``.
    """
    if "matplotlib" not in sys.modules:
        os.environ["MPLBACKEND"] = "Agg"  # only files are written: whatever else is chosen would only need a screen
    try:
        from .. import plot
    except Exception as error:  # an installation can be broken in many ways
        warnings.warn(f"no pictures: matplotlib does not work here ({one_line(error)})", stacklevel=2)
        return
    for dataset, end in zip(datasets, _file_ends(datasets), strict=True):
        made = _attempt(lambda dataset=dataset: _figures(dataset), f"of dataset '{dataset.name}'")
        for name, make in (made or {}).items():
            path = folder / f"{name}{end}"
            _attempt(lambda make=make, path=path: plot.save(make(), path), path.name)
    path = folder / "source_spectra.png"
    _attempt(lambda: plot.save(plot.plot_source_spectra(models, _energy_bounds(datasets)).figure, path), path.name)


def _attempt(make, what):
    """What `make` gives; a warning if it fails, because the fit is worth more than its pictures."""
    try:
        return make()
    except Exception as error:
        warnings.warn(f"no picture {what}: {one_line(error)}", stacklevel=3)
        return None
