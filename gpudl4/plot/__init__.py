"""Pictures of maps, datasets, models and responses; the only part of gpudl4 that imports matplotlib (``pip install 'gpudl4[plot]'``)."""

from .datasets import (
    peek,
    plot_counts,
    plot_counts_spectrum,
    plot_images,
    plot_npred,
    plot_overview,
    plot_residual_histogram,
    plot_residual_significance,
    plot_residual_spectrum,
    plot_residuals,
    plot_residuals_spatial,
    plot_residuals_spectral,
    plot_spectrum,
)
from .flux_datasets import plot_flux_fit, plot_flux_residuals, plot_flux_spectrum
from .flux_points import plot_flux_points, plot_ts_profiles
from .images import residual_significance
from .irf import (
    peek_edisp_kernel,
    peek_psf,
    peek_psf_kernel,
    plot_containment_radius,
    plot_edisp_bias,
    plot_edisp_kernel,
    plot_psf_kernel,
    plot_psf_profile,
)
from .maps import plot_map, plot_map_grid, plot_map_mask
from .models import (
    plot_correlation,
    plot_source_positions,
    plot_source_spectra,
    plot_spatial_model,
    plot_spectral_error,
    plot_spectral_model,
)
from .region_datasets import peek_region, plot_masks, plot_region_counts, plot_region_excess, plot_region_fit
from .region_maps import plot_region_hist, plot_region_map, plot_region_mask
from .regions import plot_model_positions, plot_model_regions, plot_position_error, plot_region, plot_spatial_error
from .style import figure_style, save

__all__ = [
    "figure_style",
    "peek",
    "peek_edisp_kernel",
    "peek_psf",
    "peek_psf_kernel",
    "peek_region",
    "plot_containment_radius",
    "plot_correlation",
    "plot_counts",
    "plot_counts_spectrum",
    "plot_edisp_bias",
    "plot_edisp_kernel",
    "plot_flux_fit",
    "plot_flux_points",
    "plot_flux_residuals",
    "plot_flux_spectrum",
    "plot_images",
    "plot_map",
    "plot_map_grid",
    "plot_map_mask",
    "plot_masks",
    "plot_model_positions",
    "plot_model_regions",
    "plot_npred",
    "plot_overview",
    "plot_position_error",
    "plot_psf_kernel",
    "plot_psf_profile",
    "plot_region",
    "plot_region_counts",
    "plot_region_excess",
    "plot_region_fit",
    "plot_region_hist",
    "plot_region_map",
    "plot_region_mask",
    "plot_residual_histogram",
    "plot_residual_significance",
    "plot_residual_spectrum",
    "plot_residuals",
    "plot_residuals_spatial",
    "plot_residuals_spectral",
    "plot_source_positions",
    "plot_source_spectra",
    "plot_spatial_error",
    "plot_spatial_model",
    "plot_spectral_error",
    "plot_spectral_model",
    "plot_spectrum",
    "plot_ts_profiles",
    "residual_significance",
    "save",
]
