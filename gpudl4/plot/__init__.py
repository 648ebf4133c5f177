"""Pictures of maps, datasets, models and responses; the only part of gpudl4 that imports matplotlib (``pip install 'gpudl4[plot]'``)."""

from .datasets import (
    peek,
    plot_counts,
    plot_counts_spectrum,
    plot_images,
    plot_npred,
    plot_residual_histogram,
    plot_residual_significance,
    plot_residual_spectrum,
    plot_residuals,
    plot_residuals_spatial,
    plot_residuals_spectral,
    plot_spectrum,
)
from .images import residual_significance
from .irf import plot_containment_radius, plot_edisp_kernel
from .maps import plot_map, plot_map_grid, plot_map_mask, plot_region_map
from .models import plot_source_positions, plot_source_spectra, plot_spatial_model, plot_spectral_model
from .style import figure_style, save

__all__ = [
    "figure_style",
    "peek",
    "plot_containment_radius",
    "plot_counts",
    "plot_counts_spectrum",
    "plot_edisp_kernel",
    "plot_images",
    "plot_map",
    "plot_map_grid",
    "plot_map_mask",
    "plot_npred",
    "plot_region_map",
    "plot_residual_histogram",
    "plot_residual_significance",
    "plot_residual_spectrum",
    "plot_residuals",
    "plot_residuals_spatial",
    "plot_residuals_spectral",
    "plot_source_positions",
    "plot_source_spectra",
    "plot_spatial_model",
    "plot_spectral_model",
    "plot_spectrum",
    "residual_significance",
    "save",
]
