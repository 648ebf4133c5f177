"""Stack four runs with different energy thresholds: predicted counts are conserved. Makes the figure of docs/stacking.md.

::

    python docs/examples/stacking.py docs/images/stacking.png
"""

import sys

import astropy.units as u
import matplotlib.pyplot as plt
import numpy as np

from gpudl4 import Datasets, Fit
from gpudl4.data import GTI
from gpudl4.datasets import SpectrumDataset
from gpudl4.irf import EDispKernelMap
from gpudl4.maps import MapAxis, RegionGeom
from gpudl4.modeling.models import PowerLawSpectralModel, SkyModel

THRESHOLDS = [0.1, 0.2, 0.4, 0.8] * u.TeV

reco = MapAxis.from_energy_bounds("0.1 TeV", "30 TeV", nbin=24)
true = MapAxis.from_energy_bounds("0.05 TeV", "60 TeV", nbin=48, name="energy_true")
geom = RegionGeom.create("icrs;circle(83.63, 22.01, 0.11)", axes=[reco])
model = SkyModel(spectral_model=PowerLawSpectralModel(index=2.5, amplitude="3.5e-11 cm-2 s-1 TeV-1", reference="1 TeV"), name="source")

# Runs with an energy resolution of 20 %, each to be trusted above its own threshold
runs = Datasets()
for i, threshold in enumerate(THRESHOLDS):
    run = SpectrumDataset.create(geom, energy_axis_true=true, name=f"run-{i}")
    run.exposure.quantity = np.full(run.exposure.data.shape, 1e9 * (1 + 0.3 * i)) * u.cm**2 * 1800 * u.s
    run.edisp = EDispKernelMap.from_gauss(reco, true, sigma=0.2, bias=0.0, geom=geom.to_image())
    run.edisp.exposure_map.quantity = run.exposure.quantity.reshape(run.edisp.exposure_map.data.shape)
    run.mask_safe.data[:] = geom.energy_mask(energy_min=threshold).data
    run.gti = GTI.create([i] * u.h, [i + 0.5] * u.h)
    run.models = [model]
    runs.append(run)

stacked = runs.stack_reduce(name="stacked")
stacked.models = [model]

# The stacked response sees of each true energy what the runs saw inside their masks: predictions add up, thresholds included
summed = sum(run.npred_signal().data * run.mask_safe.data for run in runs)
difference = np.abs(stacked.npred_signal().data - summed).max() / summed.max()
print(f"largest difference between the stacked prediction and the sum of the runs: {difference:.1e} of the maximum")
assert difference < 1e-5

# Many runs: group those of similar conditions, stack each group, fit the groups together
groups = runs.group_by(lambda run: "low" if run.mask_safe.data[3, 0, 0] else "high").stack_reduce()
groups.models = [model]
for group in groups:
    group.fake(random_state=1)
result = Fit().run(groups)
print(f"{len(groups)} groups of runs fitted together: index {model.spectral_model.index.value:.2f}")
assert result.success
assert len(groups) == 2

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
kernel = stacked.edisp.get_edisp_kernel().pdf_matrix
image = left.pcolormesh(true.edges.value, reco.edges.value, kernel.T, cmap="viridis", shading="flat")
left.set(xscale="log", yscale="log", xlabel="true energy [TeV]", ylabel="reconstructed energy [TeV]", title="stacked energy dispersion")
left.hlines(THRESHOLDS.value, *true.edges.value[[0, -1]], colors="white", linestyles=":", linewidth=0.8)
figure.colorbar(image, ax=left, label="probability per bin")
model.spectral_model.index.value, model.spectral_model.amplitude.value = 2.5, 3.5e-11
for run, threshold in zip(runs, THRESHOLDS, strict=True):
    values = (run.npred_signal().data * run.mask_safe.data).ravel()
    right.stairs(values, reco.edges.value, label=f"{run.name}, above {threshold.value:g} TeV", linewidth=1)
right.stairs(summed.ravel(), reco.edges.value, label="sum of the runs", linewidth=4, color="0.8")
right.stairs(stacked.npred_signal().data.ravel(), reco.edges.value, label="stacked", color="black", linewidth=1.2, linestyle="--")
right.set(xscale="log", yscale="log", xlabel="reconstructed energy [TeV]", ylabel="predicted counts per bin", title="predicted counts")
right.set_ylim(bottom=0.3)
right.legend(fontsize="small")
figure.savefig(sys.argv[1] if len(sys.argv) > 1 else "stacking.png", dpi=110)
