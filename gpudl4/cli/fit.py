"""``gpudl4 fit``: datasets and models from files, a fit, and a folder with everything that came out."""

import time
import warnings

import click

from ..core.backend import get_backend
from ..core.errors import ModelError, OutputError
from .output import MANIFEST, staged_folder
from .pictures import can_plot, write_pictures
from .reading import read_datasets
from .record import input_files, write_json

__all__ = ["fit"]

NOT_CONVERGED = 3
MODELS_FILE = "models.yaml"
ALWAYS = (MODELS_FILE, "models_covariance.dat", MANIFEST)


def _plural(number, noun):
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _read(datasets_file, models_file, backend, allow_unused):
    """Datasets with their models; on the device if "cupy" was asked for, else on the host, from where the likelihood may move them."""
    from ..models import Models
    from ..models.usage import usage_problems

    datasets = read_datasets(datasets_file, backend="cupy" if backend == "cupy" else "numpy")
    click.echo(f"Read {_plural(len(datasets), 'dataset')} from {datasets_file}: {', '.join(datasets.names)}")
    models = Models.read(models_file)
    free = len(models.parameters.free_unique_parameters)
    click.echo(f"Read {_plural(len(models), 'model')} with {_plural(free, 'free parameter')} from {models_file}")
    problems = usage_problems(models, datasets, every_name=True)
    if problems and not allow_unused:
        raise ModelError(f"{'; '.join(problems)}. Known datasets: {', '.join(datasets.names)}. Mend the names, or pass --allow-unused")
    for line in problems:
        warnings.warn(line, stacklevel=2)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "model .* datasets_names", UserWarning)  # these were told above
        datasets.models = models
    return datasets, models


def _record(result, inputs, seconds, command):
    """What goes into ``result.json``, but for the list of files."""
    fitted = result.to_dict()
    fitted["covariance"] = {"names": list(result.names), "matrix": fitted["covariance"], "kind": fitted.pop("covariance_kind")}
    return {"command": command, "inputs": inputs, **fitted, "seconds": {key: round(value, 3) for key, value in seconds.items()}}


def _write_models(stage, models):
    models.write(stage / MODELS_FILE, full_output=True, overwrite=True)


def _write_record(stage, record):
    """Name everything in the folder in the record, and write it."""
    record["files"] = sorted({*(path.name for path in stage.iterdir()), MANIFEST})
    write_json(record, stage / MANIFEST)


def _draw(stage, record, datasets, models):
    """Add pictures, and name them in the record. The results are there before: whatever goes wrong here leaves them.

    Returns
    -------
    SystemExit or KeyboardInterrupt or None
        What has ended it early.
    """
    begun, stop = time.perf_counter(), None
    try:
        write_pictures(datasets, models, stage)
    except (KeyboardInterrupt, SystemExit) as error:
        stop = error
    record["seconds"]["plots"] = round(time.perf_counter() - begun, 3)
    try:
        _write_record(stage, record)
    except OutputError as error:
        warnings.warn(f"the record does not name the pictures: {error}", stacklevel=2)
    return stop


@click.command()
@click.argument("datasets", type=click.Path(), metavar="DATASETS")
@click.argument("models", type=click.Path(), metavar="MODELS.yaml")
@click.option("-o", "--output", required=True, type=click.Path(), metavar="OUT", help="Folder of the results.")
@click.option(
    "--backend",
    type=click.Choice(["auto", "numpy", "cupy"]),
    default="auto",
    show_default=True,
    help="Where to compute: numpy on the CPU, cupy on a GPU; auto uses a GPU that works where the data are worth it.",
)
@click.option(
    "--dtype",
    type=click.Choice(["float64", "float32"]),
    default="float64",
    show_default=True,
    help="Precision of the predicted counts; float32 saves memory, and the statistic is rounded.",
)
@click.option("--overwrite", is_flag=True, help="Let OUT exist; results of an earlier run in it are replaced.")
@click.option("--plots/--no-plots", default=None, help="Make pictures. Default: if matplotlib is installed.")
@click.option("--allow-unused", is_flag=True, help="Only warn of models that no dataset takes, and of names of datasets that do not exist.")
@click.pass_obj
def fit(console, datasets, models, output, backend, dtype, overwrite, plots, allow_unused):
    """Fit the models of MODELS.yaml to DATASETS: a list of datasets (YAML), or one dataset (FITS, PHA, flux points).

    \b
    OUT receives
      models.yaml, models_covariance.dat   the models at the minimum, with errors
      result.json                          values, covariance, why it stopped, versions, hashes of all input files
      counts.png, model.png, residual_significance.png, images.png, spectrum.png,
      residual_histogram.png               per dataset (with several, the dataset's name is part of the file name)
      source_spectra.png                   spectra of the sources with error bands

    Exit code: 0 converged; 3 did not converge (the results are written all the same and say why); 2 bad input, with one line on stderr
    and nothing left in OUT.
    """
    if plots and not can_plot():
        raise OutputError("pictures need matplotlib, which is not installed: pip install 'gpudl4[plot]', or pass --no-plots")
    get_backend(backend)  # a GPU that is missing is said before files are read
    stopped = None
    with staged_folder(output, overwrite, ALWAYS) as stage:
        seconds, begun = {}, time.perf_counter()
        loaded, fitted = _read(datasets, models, backend, allow_unused)
        inputs = input_files(datasets, models)
        _write_models(stage, fitted)  # what cannot be written is found now and not when the fit is done
        seconds["read"] = time.perf_counter() - begun
        console.notices.tell()
        click.echo("Fitting ...")
        from ..fit import Fit

        result = Fit(progress=True, device=backend, dtype=dtype).run(loaded)
        seconds["fit"] = result.wall_time
        console.notices.tell()
        click.echo(f"\n{result}")
        command = ["gpudl4", "fit", datasets, models, "--output", output, "--backend", backend, "--dtype", dtype]
        record = _record(result, inputs, seconds, command)
        _write_models(stage, fitted)
        _write_record(stage, record)
        if can_plot() if plots is None else plots:
            stopped = _draw(stage, record, loaded, fitted)
    if stopped is not None:
        raise stopped
    console.notices.tell()
    return _end(console, result, record["files"], output, plots)


def _end(console, result, files, output, plots):
    """Say what was written and how the fit ended; exit code."""
    numbers = [name for name in files if not name.endswith(".png")]
    click.echo(f"Wrote {', '.join(numbers)} and {_plural(len(files) - len(numbers), 'picture')} to {output}")
    if plots is None and not can_plot():
        click.echo("No pictures: matplotlib is not installed (pip install 'gpudl4[plot]').")
    lost = "" if console.out.lost is None else f"standard output cannot be written ({console.out.reason}); the results are in '{output}'"
    if not result.success:
        click.echo(f"The fit did not converge: {result.message}" + (f"; {lost}" if lost else ""), err=True)
        return NOT_CONVERGED
    if lost:
        raise OutputError(lost)
    return 0
