"""The pictures that ``gpudl4 fit`` leaves beside its numbers. matplotlib is optional; without it there are none."""

import importlib.util
import os
import re

__all__ = ["can_plot", "write_pictures"]


def can_plot():
    """Whether matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def _file_stem(name):
    """A dataset's name as part of a file name."""
    return re.sub(r"[^\w.+-]+", "_", name)


def _energy_bounds(datasets):
    """Smallest and largest energy of all datasets."""
    edges = [dataset.counts.geom.axes["energy"].edges for dataset in datasets]
    return min(edge[0] for edge in edges), max(edge[-1] for edge in edges)


def write_pictures(datasets, models, folder):
    """Write counts, model, residual significance and counts spectrum of each dataset, and the spectra of the sources, as PNG.

    Parameters
    ----------
    datasets : Datasets
        Fitted datasets.
    models : Models
        Fitted models.
    folder : pathlib.Path
        Where the files go. With one dataset they are ``counts.png``, ``model.png``, ``residual_significance.png``, ``images.png`` (the
        three side by side), ``spectrum.png`` and ``residual_histogram.png``; with several, each name ends in the dataset's name. The
        spectra are in ``source_spectra.png``.
    """
    os.environ.setdefault("MPLBACKEND", "Agg")
    from .. import plot

    for dataset in datasets:
        end = f"_{_file_stem(dataset.name)}.png" if len(datasets) > 1 else ".png"
        npred = dataset.npred()
        plot.save(plot.plot_counts(dataset).figure, folder / f"counts{end}")
        plot.save(plot.plot_npred(dataset, npred=npred).figure, folder / f"model{end}")
        plot.save(plot.plot_residual_significance(dataset, npred=npred).figure, folder / f"residual_significance{end}")
        plot.save(plot.plot_images(dataset, npred=npred), folder / f"images{end}")
        plot.save(plot.plot_spectrum(dataset, npred=npred), folder / f"spectrum{end}")
        plot.save(plot.plot_residual_histogram(dataset, npred=npred).figure, folder / f"residual_histogram{end}")
    plot.save(plot.plot_source_spectra(models, _energy_bounds(datasets)).figure, folder / "source_spectra.png")
