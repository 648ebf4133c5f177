"""``gpudl4 demo``: simulate a field, write it as files, fit it with ``gpudl4 fit``, and compare the result with the truth."""

import json
import subprocess
import sys
import time
from pathlib import Path

import click
import numpy as np

from ..core.errors import OutputError
from ..io.files import expand_path
from .output import staged_folder

__all__ = ["compare", "demo", "write_field"]

FAILED = 1
MAX_PULL = 3.0
DATASETS_FILE, START_FILE, TRUTH_FILE, FIT_FOLDER = "datasets.yaml", "models-start.yaml", "models-truth.yaml", "fit"


def write_field(folder, seed, n_pixels=250):
    """Simulate the field of `gpudl4.cli.field` and write dataset, start models and true models.

    Parameters
    ----------
    folder : pathlib.Path
        Folder that exists.
    seed : int
        Seed of the Poisson noise.
    n_pixels : int
        Width of the map in pixels of 0.02 deg.

    Returns
    -------
    dataset : MapDataset
        What was written, with the true models.
    """
    from ..datasets import Datasets
    from .field import simulate_field, start_models, true_models

    dataset = simulate_field(seed, n_pixels)
    Datasets([dataset]).write(folder / DATASETS_FILE)
    start_models().write(folder / START_FILE, write_covariance=False)
    true_models().write(folder / TRUTH_FILE, write_covariance=False)
    return dataset


def compare(truth, fitted):
    """True and fitted values of the free parameters.

    Parameters
    ----------
    truth : Models
        The simulated models.
    fitted : list of dict
        Entry ``parameters`` of ``result.json``.

    Returns
    -------
    list of tuple
        Name, true value, fitted value, error, pull (fitted minus true in units of the error) and unit.
    """
    true = {f"{model.name}.{parameter.name}": parameter.value for model in truth for parameter in model.parameters}
    rows = []
    for row in fitted:
        error = row["error"] if row["error"] else float("nan")
        rows.append((row["name"], true[row["name"]], row["value"], error, (row["value"] - true[row["name"]]) / error, row["unit"]))
    return rows


def _digits(value, error):
    """The value with two digits of its error."""
    if not (np.isfinite(value) and error > 0 and value):
        return f"{value:.6g}"
    return f"{value:.{max(2, int(np.floor(np.log10(abs(value))) - np.floor(np.log10(error))) + 2)}g}"


def _print_table(rows):
    click.echo(f"{'parameter':<29}{'simulated':>12}{'fitted':>13}{'error':>11}{'pull':>7}  unit")
    for name, true, value, error, pull, unit in rows:
        click.echo(f"{name:<29}{true:>12.6g}{_digits(value, error):>13}{error:>11.2g}{pull:>+7.2f}  {unit}".rstrip())


def _run_fit(folder, overwrite):
    """Run the real command line on the files; returns its exit code."""
    words = ["fit", str(folder / DATASETS_FILE), str(folder / START_FILE), "--output", str(folder / FIT_FOLDER)]
    words += ["--overwrite"] * overwrite
    click.echo(f"\n$ gpudl4 {' '.join(words)}")
    return subprocess.run([sys.executable, "-m", "gpudl4", *words], check=False).returncode


@click.command()
@click.option("-o", "--output", default="demo-output", show_default=True, type=click.Path(), metavar="OUT", help="Folder for all files.")
@click.option("--overwrite", is_flag=True, help="Let OUT exist; files of an earlier demo in it are replaced.")
@click.option("--seed", default=42, show_default=True, help="Seed of the simulated noise.")
def demo(output, overwrite, seed):
    """Simulate two sources near the Galactic centre and fit them.

    An invented Cherenkov telescope array looks at a point source and an extended one for 50 hours: 250 x 250 pixels, 10 energies,
    700 000 events. The observation is written as DL4 FITS and YAML, fitted by `gpudl4 fit` from start values well off the truth, and the
    result is compared with what was simulated. Exit code 0 means that every parameter lies within three standard deviations.
    """
    begun = time.perf_counter()
    folder = expand_path(output)
    click.echo(f"Simulating two sources near the Galactic centre, 50 h (seed {seed}) ...")
    with staged_folder(folder, overwrite, (DATASETS_FILE, START_FILE, TRUTH_FILE)) as stage:
        dataset = write_field(stage, seed)
        events, truth = int(dataset.counts.data.sum()), dataset.models
    click.echo(f"Wrote {folder}: {events} events in {dataset.counts.data.size} bins")
    code = _run_fit(folder, overwrite)
    if code:
        click.echo(f"The fit ended with exit code {code}.", err=True)
        return FAILED
    return _verdict(folder, truth, time.perf_counter() - begun)


def _verdict(folder, truth, seconds):
    """Compare the fit with the truth, say where things are; exit code."""
    try:
        record = json.loads((folder / FIT_FOLDER / "result.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OutputError(f"the result of the fit cannot be read: {error}") from error
    rows = compare(truth, record["parameters"])
    click.echo("Simulated and fitted values:\n")
    _print_table(rows)
    far = [name for name, _, _, _, pull, _ in rows if not abs(pull) < MAX_PULL]
    if far:
        click.echo(f"\nFAILED: more than {MAX_PULL:g} standard deviations from the simulated value: {', '.join(far)}", err=True)
        return FAILED
    results = Path(folder) / FIT_FOLDER
    click.echo(f"\nAll {len(rows)} parameters lie within {MAX_PULL:g} standard deviations of the simulated values ({seconds:.0f} s).")
    click.echo(f"Data and models are in {folder}, the results in {results};")
    click.echo(f"begin with {results / 'images.png'} and {results / 'spectrum.png'}.")
    return 0
