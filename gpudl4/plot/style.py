"""Colours and figure settings that all plots share, so that a source has one colour in every picture.

The line colours are those of Okabe and Ito (https://jfly.uni-koeln.de/color), chosen to be told apart with every kind of colour vision.
"""

import contextlib
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib import patheffects, ticker

from ..io.files import atomic_open

__all__ = [
    "COUNTS_CMAP",
    "SIGNIFICANCE_CMAP",
    "SIGNIFICANCE_RANGE",
    "empty_figure",
    "figure_style",
    "outlined",
    "plain_numbers",
    "save",
    "source_colors",
]

SOURCE_COLORS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
BACKGROUND_COLOR = "#B9B9B9"
TOTAL_COLOR = "#000000"
BAND_COLOR = "#DDDDDD"

COUNTS_CMAP = "inferno"
SIGNIFICANCE_CMAP = "RdBu_r"
SIGNIFICANCE_RANGE = 5.0

SETTINGS = {
    "figure.constrained_layout.use": True,
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.labelsize": 11,
    "legend.fontsize": 10,
    "legend.frameon": False,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.major.pad": 5,
    "ytick.major.pad": 5,
    "savefig.dpi": 150,
}


@contextlib.contextmanager
def figure_style():
    """Settings for figures made by gpudl4; the caller's settings are restored at the end."""
    with plt.rc_context(SETTINGS):
        yield


def empty_figure(figsize, **kwargs):
    """The current figure if it is empty, made by the user for this picture; else a new one of this size.

    Parameters
    ----------
    figsize : pair of float
        Width and height in inches of a new one.
    **kwargs
        Further arguments of a new one.
    """
    return plt.gcf() if plt.get_fignums() and not plt.gcf().axes else plt.figure(figsize=figsize, **kwargs)


def source_colors(names):
    """Colour per source name, in the order of the names; they repeat after six.

    Parameters
    ----------
    names : list of str
        Names of the sources.

    Returns
    -------
    dict
        Name to colour.
    """
    return {name: SOURCE_COLORS[index % len(SOURCE_COLORS)] for index, name in enumerate(names)}


def plain_numbers(axis):
    """Write plain numbers along a logarithmic axis: 0.1, 1, 10, and also 2 and 5 where it spans less than two decades.

    Parameters
    ----------
    axis : `matplotlib.axis.Axis`
        ``ax.xaxis`` or ``ax.yaxis``, logarithmic and with its limits set.
    """
    low, high = sorted(axis.get_view_interval())
    short = high < 100 * low
    axis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5) if short else (1,), numticks=20))
    axis.set_minor_locator(ticker.LogLocator(subs=range(1, 10), numticks=200))
    axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(ticker.NullFormatter())


def outlined(color="white", width=2.5):
    """Path effect that keeps lines and text readable on any background."""
    return [patheffects.withStroke(linewidth=width, foreground=color)]


def save(figure, path):
    """Write a figure to a file and close it. The file appears whole or not at all; one that exists is replaced.

    Parameters
    ----------
    figure : `matplotlib.figure.Figure`
        The figure.
    path : path-like
        File name; its ending chooses the format.
    """
    path = Path(path)
    path = path if path.suffix else path.with_suffix(".png")
    try:
        with figure_style(), atomic_open(path, "wb", overwrite=True) as file:
            figure.savefig(file, format=path.suffix.removeprefix("."))
    finally:
        plt.close(figure)
