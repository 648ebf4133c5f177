"""Fit two ON-OFF spectra together, look at the fit, and compare with flux points. Makes the figure of docs/spectra.md.

::

    python docs/examples/spectra.py docs/images/spectra.png
"""

import sys

import astropy.units as u
import matplotlib.pyplot as plt
import numpy as np
from astropy.table import Table

from gpudl4 import Datasets, Fit
from gpudl4.data import GTI
from gpudl4.datasets import FluxPointsDataset, SpectrumDataset, SpectrumDatasetOnOff
from gpudl4.estimators import FluxPoints
from gpudl4.irf import EDispKernelMap
from gpudl4.maps import Map, MapAxis, RegionGeom
from gpudl4.modeling.models import LogParabolaSpectralModel, SkyModel

reco = MapAxis.from_energy_bounds("0.1 TeV", "50 TeV", nbin=27)
true = MapAxis.from_energy_bounds("0.05 TeV", "100 TeV", nbin=54, name="energy_true")
geom = RegionGeom.create("icrs;circle(83.63, 22.01, 0.11)", axes=[reco])
spectrum = LogParabolaSpectralModel(amplitude="3.8e-11 cm-2 s-1 TeV-1", reference="1 TeV", alpha=2.5, beta=0.1)
model = SkyModel(spectral_model=spectrum, name="crab")


def simulate(name, threshold, area, seed):
    """ON-OFF spectrum of half an hour: energies above a threshold, ten times as much OFF as ON exposure."""
    empty = SpectrumDataset.create(geom, energy_axis_true=true, name=name)
    effective = area * (1 + (threshold / true.center) ** 4) ** -1
    empty.exposure.quantity = (effective * 1800 * u.s).reshape(empty.exposure.data.shape)
    empty.edisp = EDispKernelMap.from_gauss(reco, true, sigma=0.15, bias=0.0, geom=geom.to_image())
    empty.mask_safe = geom.energy_mask(energy_min=threshold)
    empty.gti = GTI.create([0] * u.h, [0.5] * u.h)
    dataset = SpectrumDatasetOnOff.from_spectrum_dataset(empty, acceptance=1, acceptance_off=10, name=name)
    dataset.models = [model]
    background = 60 * (reco.center / u.TeV).to_value("") ** -1.6
    dataset.fake(Map.from_geom(geom, data=np.minimum(background, 60).reshape(geom.data_shape)), random_state=seed)
    return dataset


# Two telescopes with their own thresholds, one model
datasets = Datasets([simulate("east", 0.2 * u.TeV, 1e9 * u.cm**2, 1), simulate("west", 0.5 * u.TeV, 3e9 * u.cm**2, 2)])
datasets.models = [model]
spectrum.alpha.value, spectrum.amplitude.value = 2.2, 2e-11
result = Fit().run(datasets)
print(f"joint fit of {len(datasets)} spectra: alpha {spectrum.alpha.value:.2f}, statistic {result.total_stat:.1f}")
assert result.success

# Points somebody else published; the last one is an upper limit
energy = np.geomspace(0.3, 40, 7) * u.TeV
published = LogParabolaSpectralModel(amplitude="3.8e-11 cm-2 s-1 TeV-1", reference="1 TeV", alpha=2.5, beta=0.1)(energy)
relative = np.array([0.08, 0.06, 0.07, 0.1, 0.15, 0.3, 0.8])
flux = published * (1 + relative * np.random.default_rng(3).normal(size=7))
table = Table({"e_ref": energy, "dnde": flux, "dnde_err": relative * published, "dnde_ul": published * (1 + 2 * relative)})
table["is_ul"] = energy > 30 * u.TeV
table.meta["SED_TYPE"] = "dnde"
points = FluxPointsDataset(models=[model], data=FluxPoints.from_table(table, reference_model=spectrum), name="published")

figure = plt.figure(figsize=(13, 5.6), layout="constrained")
(left, right), (below, below_right) = figure.subplots(2, 2, height_ratios=[5, 2], sharex="col")
datasets["west"].plot_fit(left, below)
left.set_title("west: excess counts and fit")
points.plot_fit(right, below_right)
right.set_title("fit of the counts, published flux points")
for ax in (left, right):
    ax.set_xlabel("")
figure.savefig(sys.argv[1] if len(sys.argv) > 1 else "spectra.png", dpi=110)
