"""Many spectra fitted together, and runs stacked: gpudl4 beside gammapy in one process.

::

    python benchmarks/spectra.py                      # fits and stacking, both packages
    python benchmarks/spectra.py --spectra 100 --repeat 5
    python benchmarks/spectra.py --runs 50 --json bench-output/spectra.json

The spectra are ON-OFF spectra of one point source with 40 true and 20 reconstructed energies each, drawn from a power law; all share its
three free parameters (a log parabola is fitted). Where the real data are found, the ten spectra of joint-crab are fitted as well.
The runs that are stacked are cubes of the size of cta-1dc-gc on a larger field, at five pointings, with parts masked.
Both packages get the same arrays; fits start from the same values; everything that is not the fit or the stacking is left out. The peak of
memory is that of NumPy's arrays above what exists before, in units of one run.
"""

import argparse
import importlib
import statistics
import sys
import time
import tracemalloc
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from benchmarks.cases import data_folder, library
from benchmarks.measure import finish, limit_cores, markdown, new_record, print_machine, quiet

GOAL_FIT, GOAL_EVALUATION, GOAL_STACK = 50, 1.0, 5  # times gammapy, milliseconds, times gammapy
START = {"amplitude": 2.5e-11, "alpha": 2.2, "beta": 0.05}
POINTINGS = ((0, 0), (0, 40), (40, 0), (40, 40), (20, 20))  # rows and columns of the field where a run begins
SHAPE, FIELD = (400, 500), (440, 540)  # pixels of a run and of the field
CRAB = {"fermi": (0.03, 2), "magic": (0.08, 30), "veritas": (0.15, 30), "fact": (0.45, 30), "hess": (0.66, 30)}  # TeV


def main(arguments=None):
    """Measure what was asked for, print two tables."""
    options = parse(arguments)
    limit_cores(2)
    record = new_record()
    print_machine(record)
    with quiet():
        record["fits"] = [fits(f"{options.spectra} spectra", made_up(options.spectra), options.repeat)]
        if (options.data / "joint-crab").exists():
            record["fits"].append(fits("joint-crab", lambda lib: joint_crab(lib, options.data), options.repeat))
        record["stacking"] = stacking(options.runs) if options.runs else None
    print("\n" + fit_table(record["fits"]))
    if options.runs:
        print("\n" + stack_table(record["stacking"]))
    finish(record, options.json)
    return record


def parse(arguments):
    """Options of the command line."""
    parser = argparse.ArgumentParser(description="Joint fits of spectra and stacking of runs, gpudl4 and gammapy.")
    parser.add_argument("--spectra", type=int, default=100, help="number of spectra of one shape (default 100)")
    parser.add_argument("--runs", type=int, default=50, help="number of runs to stack (default 50, 0 for none)")
    parser.add_argument("--repeat", type=int, default=3, help="fits per package (default 3)")
    parser.add_argument("--data", type=Path, default=data_folder(), help="folder of the real data")
    parser.add_argument("--json", type=Path, help="JSON file to write")
    return parser.parse_args(arguments)


# ---- fits ----------------------------------------------------------------------------------------------------------------------------
def made_up(number):
    """Builder of that many ON-OFF spectra; their counts are drawn once, from the prediction of gpudl4."""
    drawn = {}

    def build(lib):
        import astropy.units as u

        reco = lib.MapAxis.from_energy_bounds("0.1 TeV", "100 TeV", nbin=20)
        true = lib.MapAxis.from_energy_bounds("0.05 TeV", "200 TeV", nbin=40, name="energy_true")
        geom = lib.RegionGeom.create("icrs;circle(83.63, 22.01, 0.11)", axes=[reco])
        rng, out = np.random.default_rng(1), []
        areas = rng.uniform(0.5, 1.5, size=number)
        for i in range(number):
            dataset = lib.SpectrumDataset.create(geom, energy_axis_true=true, name=f"run-{i}")
            area = areas[i] * 1e9 * true.center.to_value("TeV") ** 0.5
            dataset.exposure.quantity = area[:, np.newaxis, np.newaxis] * 1800 * u.Unit("cm2 s")
            dataset.mask_safe.data[:] = True
            on_off = lib.SpectrumDatasetOnOff.from_spectrum_dataset(dataset=dataset, acceptance=1, acceptance_off=5)
            on_off = on_off.copy(name=f"run-{i}")
            background = (5 * reco.center.to_value("TeV") ** -1.5)[:, np.newaxis, np.newaxis]
            if i not in drawn:
                on_off.models = source(lib, {"amplitude": 3e-11, "alpha": 2.4, "beta": 0.1})
                signal = on_off.npred_signal().data
                drawn[i] = rng.poisson(signal + background), rng.poisson(5 * background)
                on_off.models = None
            on_off.counts.data = drawn[i][0].astype(np.float32)
            on_off.counts_off = lib.RegionNDMap.from_geom(geom, data=drawn[i][1].astype(np.float32))
            out.append(on_off)
        return lib.Datasets(out)

    return build


def joint_crab(lib, folder):
    """The ten spectra of Nigro et al. 2019 with the fit ranges of the paper."""
    import astropy.units as u

    out = []
    for instrument, (low, high) in CRAB.items():
        for path in sorted((folder / "joint-crab" / instrument).glob("pha_*.fits")):
            dataset = lib.SpectrumDatasetOnOff.read(str(path)).copy(name=f"{instrument}-{path.stem}")
            dataset.mask_fit = dataset.counts.geom.energy_mask(low * u.TeV, high * u.TeV)
            out.append(dataset)
    return lib.Datasets(out)


def source(lib, values):
    """One model with a log parabola at 1 TeV."""
    spectrum = lib.LogParabolaSpectralModel(
        amplitude=f"{values['amplitude']} cm-2 s-1 TeV-1", alpha=values["alpha"], beta=values["beta"], reference="1 TeV"
    )
    return lib.Models([lib.SkyModel(spectral_model=spectrum, name="source")])


def fits(name, build, repeat):
    """Seconds of fits of both packages in turn, the time of an evaluation, and how far the results are from each other."""
    import gpudl4

    libraries = {package: library(package) for package in ("gpudl4", "gammapy")}
    datasets = {package: build(lib) for package, lib in libraries.items()}  # gpudl4 first: it draws the counts
    seconds, results = {package: [] for package in libraries}, {}
    for turn in range(repeat + 1):
        for package, lib in libraries.items():
            if turn == 0 and package == "gammapy":  # nothing to compile
                continue
            models = source(lib, START)
            datasets[package].models = models
            begin = time.perf_counter()
            result = lib.Fit().run(datasets[package])
            if turn:
                seconds[package].append(time.perf_counter() - begin)
            parameters = {p.name: (p.value, p.error) for p in models.parameters if not p.frozen}
            results[package] = {"stat": float(datasets[package].stat_sum()), "success": bool(result.success), "parameters": parameters}
    likelihood = gpudl4.compile(datasets["gpudl4"])
    evaluations = []
    for i in range(200):
        theta = likelihood.theta0 * (1 + 1e-7 * i)
        begin = time.perf_counter()
        likelihood.value_and_gradient(theta)
        evaluations.append(time.perf_counter() - begin)
    ours, theirs = results["gpudl4"]["parameters"], results["gammapy"]["parameters"]
    return {
        "name": name,
        "seconds": {package: statistics.median(times) for package, times in seconds.items()},
        "evaluation": statistics.median(evaluations),
        "results": results,
        "deviation": max(abs(ours[key][0] - theirs[key][0]) / ours[key][1] for key in ours),
    }


def fit_table(fits):
    """Times and results of the fits as a markdown table."""
    rows = []
    for fit in fits:
        ours, theirs = fit["seconds"]["gpudl4"], fit["seconds"]["gammapy"]
        stats = [f"{fit['results'][package]['stat']:.3f}" for package in ("gammapy", "gpudl4")]
        rows.append(
            (fit["name"], f"{theirs:.3g}", f"{ours:.3g}", f"{theirs / ours:.0f}", f"{1e3 * fit['evaluation']:.2f}", *stats,
             f"{fit['deviation']:.4f}")
        )  # fmt: skip
    head = ("fit", "gammapy s", "gpudl4 s", "ratio", "value and gradient ms", "gammapy stat", "gpudl4 stat", "largest deviation, sigma")
    return markdown(head, rows)


# ---- stacking ------------------------------------------------------------------------------------------------------------------------
def field(lib):
    """Empty dataset of the whole field."""
    reco = lib.MapAxis.from_energy_bounds("0.1 TeV", "10 TeV", nbin=10)
    true = lib.MapAxis.from_energy_bounds("0.05 TeV", "20 TeV", nbin=20, name="energy_true")
    geom = lib.WcsGeom.create(npix=FIELD[::-1], binsz=0.02, skydir=(0, 0), frame="galactic", axes=[reco])
    return lib.MapDataset.create(geom, energy_axis_true=true, binsz_irf=0.2, name="stacked")


def run_of(lib, whole, i):
    """Run number i: a cutout of the field with made-up values and a threshold of its own."""
    rng = np.random.default_rng(i)
    row, column = POINTINGS[i % len(POINTINGS)]
    centre = whole.counts.geom.to_image().pix_to_coord((column + (SHAPE[1] - 1) / 2, row + (SHAPE[0] - 1) / 2))
    from astropy.coordinates import SkyCoord

    run = whole.cutout(SkyCoord(*centre, frame="galactic"), width=(SHAPE[0] * 0.02, SHAPE[1] * 0.02), name=f"run-{i}")
    run.counts.data = rng.poisson(0.1, run.counts.data.shape).astype(np.float32)
    run.background.data[:] = 0.1
    run.exposure.data[:] = 1e9 * (1 + i % 3)
    for response in (run.psf, run.edisp):
        response.exposure_map.data[:] = 1e9 * (1 + i % 3)
    run.psf.psf_map.data[:] = 1.0
    run.mask_safe.data[:, 20 * (i % 3) :] = True  # gammapy cannot keep thresholds that differ in energy, see docs/migration.md
    run.gti = gti_of(lib, i)
    return run


def stacking(number):
    """Seconds and peak memory of stacking for both packages, and the largest difference between the stacked maps."""
    out, maps = {"runs": number}, {}
    for package in ("gpudl4", "gammapy"):
        lib = library(package)
        whole = field(lib)
        runs = [run_of(lib, whole, i) for i in range(min(number, 15))]  # 15 kinds of runs; each serves several times
        one = sum(m.data.nbytes for m in _maps(runs[0]).values())
        seconds = []
        for _ in range(2):
            target = field(lib)
            begin = time.perf_counter()
            for i in range(number):
                target.stack(runs[i % len(runs)])
            seconds.append(time.perf_counter() - begin)
        target = field(lib)
        tracemalloc.start()
        for run in runs[:5]:
            target.stack(run)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        target = field(lib)
        for run in runs:
            target.stack(run)
        maps[package] = _maps(target)
        out[package] = {"seconds": min(seconds), "peak in runs": peak / one}
        if package == "gpudl4":
            out["at once"] = {"seconds": min(at_once(lib, runs, number) for _ in range(2))}
    out["deviation"] = {
        name: float(np.max(np.abs(maps["gpudl4"][name].data - other.data)) / np.max(np.abs(other.data)))
        for name, other in maps["gammapy"].items()
    }
    return out


def gti_of(lib, i):
    """Half an hour of its own."""
    import astropy.units as u

    module = importlib.import_module(f"{lib.MapDataset.__module__.split('.')[0]}.data")
    return module.GTI.create([i] * u.h, [i + 0.5] * u.h)


def at_once(lib, runs, number):
    """Seconds for `stack_datasets`, which divides summed responses by their exposure once and not after each run."""
    target = field(lib)
    begin = time.perf_counter()
    lib.stack_datasets([target, *(runs[i % len(runs)] for i in range(number))])
    return time.perf_counter() - begin


def _maps(dataset):
    return {
        "counts": dataset.counts,
        "background": dataset.background,
        "exposure": dataset.exposure,
        "psf": dataset.psf.psf_map,
        "edisp": dataset.edisp.edisp_map,
    }


def stack_table(result):
    """Times and memory of stacking as a markdown table."""
    theirs = result["gammapy"]["seconds"]
    rows = [
        ("gammapy, one by one", f"{theirs:.3g}", "", f"{result['gammapy']['peak in runs']:.2f}", ""),
        ("gpudl4, one by one", f"{result['gpudl4']['seconds']:.3g}", f"{theirs / result['gpudl4']['seconds']:.1f}",
         f"{result['gpudl4']['peak in runs']:.2f}", f"{max(result['deviation'].values()):.1e}"),
        ("gpudl4, stack_datasets", f"{result['at once']['seconds']:.3g}", f"{theirs / result['at once']['seconds']:.1f}", "", ""),
    ]  # fmt: skip
    head = (
        f"{result['runs']} runs",
        "s",
        f"ratio, goal {GOAL_STACK}",
        "peak memory beside the result, runs",
        "largest difference / maximum",
    )
    return markdown(head, rows)


if __name__ == "__main__":
    main()
