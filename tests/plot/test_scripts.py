"""A script written for gammapy draws its pictures after one word is replaced."""

import io

import matplotlib.pyplot as plt
import pytest

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
