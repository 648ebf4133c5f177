"""A script written for gammapy draws its pictures after one word is replaced."""

import io

import matplotlib.pyplot as plt
import pytest
from astropy.visualization.wcsaxes import WCSAxes

from tests.paths import shared_data

SCRIPT = """
import astropy.units as u
import matplotlib.pyplot as plt
from LIBRARY.datasets import Datasets, FluxPointsDataset, SpectrumDatasetOnOff
from LIBRARY.estimators import FluxPoints
from LIBRARY.maps import MapAxis
from LIBRARY.modeling import Fit
from LIBRARY.modeling.models import PowerLawSpectralModel, SkyModel

datasets = Datasets([SpectrumDatasetOnOff.read(path) for path in SPECTRA])
spectral_model = PowerLawSpectralModel(index=2.6, amplitude=4e-11 * u.Unit("cm-2 s-1 TeV-1"), reference=1 * u.TeV)
model = SkyModel(spectral_model=spectral_model, name="crab")
datasets.models = [model]
Fit().run(datasets)

ax_spectrum, ax_residuals = datasets[0].plot_fit()
ax_spectrum.set_ylim(0.1, 40)
datasets[0].plot_masks(ax=ax_spectrum)

plt.figure()
datasets[1].plot_fit(
    kwargs_spectrum={"kwargs_excess": {"color": "blue", "marker": "s"}, "kwargs_npred_signal": {"color": "black", "ls": "--"}},
    kwargs_residuals={"color": "blue", "markersize": 4, "marker": "s", "method": "diff/sqrt(model)"},
)

plt.figure()
ax = datasets[0].plot_counts(lw=2)
datasets[0].plot_masks(ax=ax, kwargs_fit={"color": "pink", "alpha": 0.2}, kwargs_safe={"color": "green", "alpha": 0.2})

fig, axes = plt.subplots(1, 2, figsize=(12, 4))
for ax, dataset in zip(axes, datasets):
    dataset.plot_excess(ax=ax)
    dataset.counts.plot_hist(ax=ax, color="gray")

datasets[0].peek()

flux_points = FluxPoints.read(POINTS)
fig, ax = plt.subplots()
ax.yaxis.set_units(u.Unit("TeV cm-2 s-1"))
flux_points.plot(ax=ax, sed_type="e2dnde", color="darkorange")
flux_points.plot_ts_profiles(ax=ax, sed_type="e2dnde", add_cbar=False)
spectral_model.plot(ax=ax, energy_bounds=[0.5, 30] * u.TeV, sed_type="e2dnde", color="k")
spectral_model.plot_error(ax=ax, energy_bounds=[0.5, 30] * u.TeV, sed_type="e2dnde")
ax.set_xlim(0.5, 40)

plt.figure()
flux_points.plot(label="points", sed_type="dnde", energy_power=2)
spectral_model.plot(MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=20), sed_type="dnde", energy_power=2, label="fit")
plt.legend()

dataset = FluxPointsDataset(data=flux_points, models=[model], name="points")
dataset.plot_fit(kwargs_spectrum={"kwargs_model": {"color": "red", "ls": "--"}, "kwargs_fp": {"color": "green", "marker": "o"}})
plt.figure()
dataset.plot_residuals(method="diff/model")

lightcurve = FluxPoints.read(LIGHTCURVE, format="lightcurve")
plt.figure(figsize=(8, 6))
ax = lightcurve.plot(axis_name="time", sed_type="flux", time_format="mjd")
ax.set_yscale("linear")
fig, ax = plt.subplots()
lightcurve.plot(ax=ax, axis_name="time", sed_type="flux", marker="o", label="run")
"""


def drawn(library):
    """Containers of error bars of each figure."""
    plt.close("all")
    names = {
        "SPECTRA": [shared_data("joint-crab", "hess", f"pha_obs{number}.fits") for number in (23523, 23526)],
        "POINTS": shared_data("flux-points", "crab_hess_fp.fits"),
        "LIGHTCURVE": shared_data("flux-points", "pks2155_hess_lc_3bins.fits"),
    }
    exec(compile(SCRIPT.replace("LIBRARY", library), f"<script for {library}>", "exec"), names)
    found = []
    for number in plt.get_fignums():
        figure = plt.figure(number)
        figure.savefig(io.BytesIO(), format="png")
        found.append(sum(hasattr(container, "has_yerr") for ax in figure.axes for container in ax.containers))
    return found


@pytest.mark.filterwarnings("ignore")
def test_the_same_script_draws_the_same_figures():
    pytest.importorskip("gammapy")
    assert drawn("gpudl4") == drawn("gammapy")


MAP_SCRIPT = """
import astropy.units as u
import matplotlib.pyplot as plt
from astropy.coordinates import SkyCoord
from regions import CircleSkyRegion
from LIBRARY.datasets import MapDataset
from LIBRARY.maps import RegionGeom
from LIBRARY.modeling.models import GaussianSpatialModel, Models, PointSpatialModel, PowerLawSpectralModel, SkyModel

dataset = MapDataset.read(FILE)
dataset.peek()
dataset.psf.peek()
dataset.edisp.peek()
plt.figure()
dataset.plot_residuals(kwargs_spatial={"smooth_radius": 0.2 * u.deg})

center = SkyCoord(0, 0, unit="deg", frame="galactic")
region = RegionGeom.create(CircleSkyRegion(center, 0.5 * u.deg))
position = dict(lon_0=0.2 * u.deg, lat_0=0.5 * u.deg, frame="galactic")
models = Models([
    SkyModel(PowerLawSpectralModel(), PointSpatialModel(**position), name="point"),
    SkyModel(PowerLawSpectralModel(), GaussianSpatialModel(sigma=0.3 * u.deg, **position), name="gauss"),
])
plt.figure(figsize=(8, 5))
ax = dataset.counts.sum_over_axes().smooth("0.1 deg").plot(
    cmap="viridis", add_cbar=True, stretch="sqrt", vmax=6, kwargs_colorbar={"label": "Counts"}, zorder=0
)
region.plot_region(ax=ax, color="w", linewidth=2)
models.plot_regions(ax=ax, color="red", kwargs_point={"marker": "o"})
models.plot_positions(ax=ax, color="k", marker="x")
dataset.mask_safe_image.plot_mask(ax=ax, hatches=["///"], colors="w")

models["gauss"].parameters["sigma"].error = 0.02
models["gauss"].parameters["lon_0"].error = 0.01
models["gauss"].parameters["lat_0"].error = 0.01
models["gauss"].spatial_model.plot_error(ax=ax, which="all")
models.covariance.plot_correlation()

dataset.counts.slice_by_idx({"energy": slice(0, 4)}).plot_grid(ncols=2, add_cbar=True)

spectrum = dataset.counts.get_spectrum(CircleSkyRegion(center, 1 * u.deg))
fig, axes = plt.subplots(1, 2)
spectrum.plot(ax=axes[0])
spectrum.plot_hist(ax=axes[1])
plt.figure()
spectrum.plot_region()
"""


@pytest.mark.filterwarnings("ignore")
def test_a_script_with_maps_draws_the_same_figures():
    pytest.importorskip("gammapy")
    path, found = shared_data("cta-1dc-gc", "cta-gc-stacked.fits.gz"), []
    for library in ("gpudl4", "gammapy"):
        plt.close("all")
        exec(compile(MAP_SCRIPT.replace("LIBRARY", library), f"<maps for {library}>", "exec"), {"FILE": path})
        figures = [plt.figure(number) for number in plt.get_fignums()]
        for figure in figures:
            figure.savefig(io.BytesIO(), format="png")
        sky = [[ax for ax in figure.axes if isinstance(ax, WCSAxes)] for figure in figures]
        images = [sum(bool(ax.images) for ax in axes) for axes in sky[:-1]]  # the last has an empty image in gammapy
        found.append((images, [sum(len(ax.patches) for ax in axes) for axes in sky]))
    assert found[0] == found[1]
