"""Do the errors mean what they say? Simulate, fit, look at pulls and coverage, for every kind of dataset.

::

    python benchmarks/pulls.py                               # 2000 fits of each kind, some minutes
    python benchmarks/pulls.py --cases spectrum wstat --number 500
    python benchmarks/pulls.py --json bench-output/pulls.json

Each case draws datasets from known parameters (`dataset.fake` with a NumPy Generator) and fits them from there with `gpudl4.Fit`. A pull is
(fitted value - truth) / fitted error: its mean should be 0 and its width 1, and 68.3 and 95.4 % of the intervals of 1 and 2 errors should
hold the truth. The numbers behind ± are what so many fits cannot tell apart from that; ``!`` marks what is off by more than three of them.
"""

import argparse
import math
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from tqdm import tqdm

from benchmarks.cases import library
from benchmarks.measure import finish, markdown, new_record, print_machine, quiet

EXPECTED = {1: 0.6827, 2: 0.9545}  # of a normal distribution within so many standard deviations
SURPRISE = 3.0  # standard deviations beyond which a row is marked


@dataclass(frozen=True)
class Case:
    """One kind of dataset.

    Attributes
    ----------
    name, text : str
    build : callable
        ``build(lib)`` gives a dataset with the true models.
    fake : callable
        ``fake(dataset, rng)`` draws its data.
    """

    name: str
    text: str
    build: object
    fake: object


# ---- datasets ------------------------------------------------------------------------------------------------------------------------
def axes(lib, nbin=12):
    """Reconstructed and true energies."""
    reco = lib.MapAxis.from_energy_bounds("0.3 TeV", "30 TeV", nbin=nbin)
    return reco, lib.MapAxis.from_energy_bounds("0.2 TeV", "50 TeV", nbin=2 * nbin, name="energy_true")


def power_law(lib, spatial=None):
    """The source of all cases."""
    spectrum = lib.PowerLawSpectralModel(index=2.3, amplitude="3e-12 cm-2 s-1 TeV-1", reference="1.5 TeV")
    return lib.SkyModel(spectral_model=spectrum, spatial_model=spatial, name="source")


def spectrum(lib, exposure=4e13, background=60.0):
    """A `SpectrumDataset` with some hundred counts of source and background."""
    import astropy.units as u

    reco, true = axes(lib)
    geom = lib.RegionGeom.create("icrs;circle(83.63, 22.01, 0.11)", axes=[reco])
    dataset = lib.SpectrumDataset.create(geom, energy_axis_true=true, name="data")
    dataset.exposure.quantity = np.full(dataset.exposure.data.shape, exposure) * u.Unit("cm2 s")
    dataset.background.data[:] = (background * (reco.center.value / 0.3) ** -1.5)[:, np.newaxis, np.newaxis]
    dataset.mask_safe.data[:] = True
    dataset.models = [power_law(lib)]
    return dataset


def on_off(lib, background=60.0):
    """A `SpectrumDatasetOnOff`; its expected background is kept as an attribute of the case, not of the dataset."""
    dataset = spectrum(lib, background=background)
    out = lib.SpectrumDatasetOnOff.from_spectrum_dataset(dataset=dataset, acceptance=1, acceptance_off=4, name="data")
    out.models = [power_law(lib)]
    return out


def cube(lib, background=0.6, dtype=np.float32):
    """A `MapDataset` of 30 x 30 pixels with a point source at a fixed place, and a free background."""
    import astropy.units as u
    from astropy.coordinates import SkyCoord

    reco, true = axes(lib, nbin=6)
    centre = SkyCoord(83.63, 22.01, unit="deg", frame="icrs")
    geom = lib.WcsGeom.create(npix=(30, 30), binsz=0.05, skydir=centre, frame="icrs", proj="TAN", axes=[reco])
    dataset = lib.MapDataset.create(geom, energy_axis_true=true, name="data", binsz_irf=0.5)
    dataset.exposure.quantity = np.full(dataset.exposure.data.shape, 4e13, dtype=dtype) * u.Unit("cm2 s")
    dataset.psf = lib.PSFMap.from_gauss(true, sigma=0.08 * u.deg)
    level = (background * (reco.center.value / 0.3) ** -1.5)[:, np.newaxis, np.newaxis] * np.ones(dataset.counts.data.shape)
    dataset.background = lib.Map.from_geom(geom, data=level.astype(dtype))
    dataset.mask_safe.data[:] = True
    point = lib.PointSpatialModel(lon_0="83.63 deg", lat_0="22.01 deg", frame="icrs")
    point.lon_0.frozen = point.lat_0.frozen = True
    dataset.models = [power_law(lib, point), lib.FoVBackgroundModel(dataset_name="data")]
    return dataset


def cube_on_off(lib, background=20.0):
    """A `MapDatasetOnOff` of the same sky."""
    dataset = cube(lib, background)
    flat = dataset.counts.copy(data=np.ones(dataset.counts.data.shape, dtype=np.float32))
    out = lib.MapDatasetOnOff.from_map_dataset(dataset, acceptance=flat, acceptance_off=flat * 5, name="data")
    out.models = [dataset.models["source"]]
    return out


def flux_points(lib):
    """A `FluxPointsDataset` with errors of 15 %."""
    import astropy.units as u
    from astropy.table import Table

    from gpudl4.estimators import FluxPoints

    energy = np.geomspace(0.5, 20, 10) * u.TeV
    model = power_law(lib)
    table = Table({"e_ref": energy, "dnde": model.spectral_model(energy)}, meta={"SED_TYPE": "dnde"})
    table["dnde_err"] = 0.15 * table["dnde"].quantity
    return lib.FluxPointsDataset(data=FluxPoints.from_table(table, reference_model=model.spectral_model), models=[model], name="data")


def fake_counts(dataset, rng):
    """Counts around the prediction."""
    dataset.fake(rng)


def fake_with(make):
    """Counts and off counts, with the background of another dataset."""
    level = {}

    def fake(dataset, rng):
        if id(dataset) not in level:
            level[id(dataset)] = make(library("gpudl4")).background
        dataset.fake(level[id(dataset)], rng)

    return fake


def sparse(lib):
    """The background of `on_off` with few off counts."""
    return spectrum(lib, background=SPARSE)


SPARSE = 0.25  # expected background in the first bin, so low that most off counts are zero


CASES = {
    case.name: case
    for case in (
        Case("spectrum", "SpectrumDataset, cash", spectrum, fake_counts),
        Case("wstat", "SpectrumDatasetOnOff, wstat", on_off, fake_with(spectrum)),
        Case(
            "sparse",
            "SpectrumDatasetOnOff, few off counts",
            lambda lib: on_off(lib, SPARSE),
            fake_with(lambda lib: spectrum(lib, background=SPARSE)),
        ),
        Case("cube", "MapDataset, float32, cash", cube, fake_counts),
        Case("cube-wstat", "MapDatasetOnOff, wstat", cube_on_off, fake_with(lambda lib: cube(lib, 20.0))),
        Case("cube-sparse", "MapDatasetOnOff, few off counts", lambda lib: cube_on_off(lib, 0.6), fake_with(cube)),
        Case("fluxes", "FluxPointsDataset, chi2", flux_points, fake_counts),
    )
}


# ---- fits ----------------------------------------------------------------------------------------------------------------------------
def simulate(case, number, seed=0, progress=True):
    """Fit `number` simulated datasets.

    Returns
    -------
    dict
        ``pulls`` {parameter: list}, ``failed`` fits, and ``empty``, the mean share of fitted bins without off counts (None without any).
    """
    lib, rng = library("gpudl4"), np.random.default_rng(seed)
    dataset = case.build(lib)
    free = [(f"{model.name.removeprefix('data-')}.{p.name}", p) for model in dataset.models for p in model.parameters if not p.frozen]
    truth = {name: p.value for name, p in free}
    pulls, failed, empty = {name: [] for name in truth}, 0, []
    for _ in tqdm(range(number), desc=case.name, disable=not (progress and sys.stderr.isatty())):
        for name, parameter in free:
            parameter.value = truth[name]
        case.fake(dataset, rng)
        if (off := getattr(dataset, "counts_off", None)) is not None:
            empty.append(float((off.data == 0).mean()))
        result = lib.Fit(search_radius="0 deg").run([dataset])
        if not result.success:
            failed += 1
            continue
        for name, parameter in free:
            pulls[name].append((parameter.value - truth[name]) / parameter.error)
    return {"pulls": pulls, "failed": failed, "empty": float(np.mean(empty)) if empty else None}


def summary(pulls):
    """Mean, width and coverage of pulls, with the errors that so many independent normal numbers would have."""
    pulls = np.asarray(pulls, dtype=float)
    n = len(pulls)
    out = {"n": n, "mean": (pulls.mean(), 1 / math.sqrt(n)), "width": (pulls.std(ddof=1), 1 / math.sqrt(2 * n))}
    for sigma, share in EXPECTED.items():
        out[f"within {sigma}"] = (float((np.abs(pulls) <= sigma).mean()), math.sqrt(share * (1 - share) / n))
    return out


def surprises(numbers):
    """Names of the entries of a summary that are off by more than `SURPRISE` errors."""
    wanted = {"mean": 0.0, "width": 1.0, **{f"within {sigma}": share for sigma, share in EXPECTED.items()}}
    return [name for name, value in wanted.items() if abs(numbers[name][0] - value) > SURPRISE * numbers[name][1]]


def table(results):
    """All parameters of all cases as a markdown table."""
    rows = []
    for name, result in results.items():
        for parameter, pulls in result["pulls"].items():
            numbers = summary(pulls)
            odd = surprises(numbers)

            def cell(key, scale=1.0, form=".3f", numbers=numbers, odd=odd):
                value, error = numbers[key]
                return f"{value * scale:{form}} ± {error * scale:{form}}{' !' * (key in odd)}"

            rows.append(
                (CASES[name].text, parameter, f"{numbers['n']}", f"{result['failed']}", cell("mean"), cell("width"),
                 cell("within 1", 100, ".1f"), cell("within 2", 100, ".1f"))
            )  # fmt: skip
    return markdown(("dataset", "parameter", "fits", "failed", "mean of pulls", "width", "within 1 error, %", "within 2, %"), rows)


def main(arguments=None):
    """Simulate and fit, print a table."""
    parser = argparse.ArgumentParser(description="Pulls and coverage of fits of simulated datasets.")
    parser.add_argument("--cases", nargs="+", choices=tuple(CASES), default=tuple(CASES), metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--number", type=int, default=2000, help="fits per case (default 2000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="JSON file to write")
    options = parser.parse_args(arguments)
    record = new_record()
    print_machine(record)
    with quiet():
        record["results"] = {name: simulate(CASES[name], options.number, options.seed) for name in options.cases}
    print(f"\nexpected: mean 0, width 1, {100 * EXPECTED[1]:.1f} % and {100 * EXPECTED[2]:.1f} %\n")
    print(table(record["results"]))
    for name, result in record["results"].items():
        if result["empty"] is not None:
            print(f"\n{CASES[name].text}: {100 * result['empty']:.0f} % of the bins have no off counts")
    finish(record, options.json)
    return record


if __name__ == "__main__":
    main()
