"""Models in YAML files (``components: [...]``) with the covariance of their parameters in a table beside it, in gammapy's format.

`gpudl4.models.Models.read` and ``write`` are the usual way in. What the keys of a component mean is the business of the model classes.
"""

import warnings
from pathlib import Path

from ..core.errors import DataFileError
from ..core.reading import excerpt, reading
from ..models import Models
from .covariance import covariance_text, parameter_labels, read_covariance
from .files import atomic_open, check_output, expand_path, read_yaml, write_yaml

__all__ = ["add_covariance", "check_models_output", "read_models", "write_models"]


def read_models(filename, checksum=False, cls=Models):
    """Models of a YAML file.

    Parameters
    ----------
    filename : str or pathlib.Path
        Environment variables are expanded. Files of gammapy >= 0.19 can be read.
    checksum : bool
        Warn if the file carries a checksum that its content does not match.
    cls : class
        `Models` or `DatasetModels`.

    Returns
    -------
    models : Models
        With the covariance, if the file names one that can be read; a warning tells where not, and the errors of the parameters are used.

    Raises
    ------
    DataFileError
        If the file is missing, empty or does not parse.
    ModelError
        If its content does not describe models; the message names file, model and key.
    """
    path = expand_path(filename)
    data = read_yaml(path, checksum=checksum)
    if "components" not in data and "datasets" in data:
        raise DataFileError(f"'{path}' has 'datasets' and no 'components': it is a datasets file, a models file was wanted")
    with reading(f"'{path}'"):
        models = cls.from_dict({key: value for key, value in data.items() if key != "covariance"})
        if data.get("covariance") is not None:
            add_covariance(models, data["covariance"], path.parent, where=f"'{path}': ")
        return models


def add_covariance(models, name, folder, where=""):
    """Set the covariance of models from a file; where it cannot be read, a warning tells so and the errors of the parameters stay.

    Parameters
    ----------
    models : Models
    name : str or pathlib.Path
        File as a models file names it: in `folder` or, as older files have it, relative to the working folder.
    folder : str or pathlib.Path
        Folder; environment variables are expanded.
    where : str
        Start of the warning.
    """
    try:
        if not isinstance(name, str | Path):
            raise DataFileError(f"the name of a covariance file was wanted, got {excerpt(name)}")
        file = (expand_path(folder) if str(folder) else Path()) / expand_path(name)
        file = file if file.exists() else expand_path(name)
        models.covariance = read_covariance(file, parameter_labels(models))
    except DataFileError as error:
        warnings.warn(f"{where}{error}. The errors of the parameters are used, correlations are lost.", UserWarning, stacklevel=4)


def write_models(models, filename, overwrite=False, full_output=False, write_covariance=True, checksum=False):
    """Write models as YAML, and their covariance beside it as ``<stem>_covariance.dat``.

    Both files appear whole or not at all; the YAML file is written last.

    Parameters
    ----------
    models : Models
    filename : str or pathlib.Path
        Environment variables are expanded and missing folders made.
    overwrite : bool
        Replace files that exist. Without it nothing is written if one of the two exists.
    full_output : bool
        Write every key of every parameter; else defaults are left out.
    write_covariance : bool
        Write the covariance.
    checksum : bool
        Append a checksum to the YAML file.

    Raises
    ------
    OutputError
        If a file exists and `overwrite` is False, or the place is not writable.
    """
    write_covariance = write_covariance and len(models.parameters) > 0
    path, file = check_models_output(filename, overwrite, write_covariance)
    data = models.to_dict(full_output=full_output)
    if write_covariance:
        data["covariance"] = file.name
        text = covariance_text(models)
        with atomic_open(file, overwrite=overwrite) as target:
            target.write(text)
    write_yaml(data, path, overwrite=overwrite, checksum=checksum)


def check_models_output(filename, overwrite=False, write_covariance=True):
    """Paths of a models file and of the covariance beside it, after checking that they may be written.

    Raises
    ------
    OutputError
        If one of them may not; see `gpudl4.io.files.check_output`.
    """
    path = check_output(filename, overwrite)
    file = path.with_name(f"{path.stem}_covariance.dat")
    return path, check_output(file, overwrite) if write_covariance else file
