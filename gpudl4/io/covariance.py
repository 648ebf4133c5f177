"""Covariance of parameters in a text table: one row per parameter, with its name, and one numbered column for each.

Rows are taken by their names, so that a table that somebody has sorted means what it did. A matrix that is no covariance is refused.
"""

import io

import numpy as np

from ..core.errors import DataFileError, MissingFileError
from ..core.reading import excerpt
from .files import existing_file, read_text

__all__ = ["covariance_text", "parameter_labels", "read_covariance"]

TABLE_STYLE = {"format": "fixed_width", "delimiter": "|"}
TOLERANCE = 1e-6
"""By how much, in units of the two errors, a covariance and its mirror image may differ, and a correlation may exceed 1."""


def parameter_labels(models):
    """Names of the rows, ``source.spectral.index``, in the order of ``models.parameters``."""
    return [f"{m.name}.{part.type}.{name}" for m in models for part in m._submodels for name in part.parameters.names]


def covariance_text(models):
    """Text of a covariance file."""
    from astropy.io import ascii
    from astropy.table import Table

    table = Table()
    table["Parameters"] = parameter_labels(models)
    for i, column in enumerate(models.covariance.data.T):
        table[str(i)] = column
    buffer = io.StringIO()
    ascii.write(table, buffer, **TABLE_STYLE)
    return buffer.getvalue()


def read_covariance(filename, labels):
    """Covariance matrix of a file.

    Parameters
    ----------
    filename : str or pathlib.Path
        Table with the columns ``Parameters, 0, 1, ...``.
    labels : list of str
        Names of the parameters, as `parameter_labels` gives them. Files of old versions have the last part of the names alone; these are
        taken in their order.

    Returns
    -------
    covariance : float64 array[P, P]

    Raises
    ------
    DataFileError
        If the file is missing, is no such table, is for other parameters, or its matrix is not finite, not symmetric or no covariance.
    """
    try:
        where = f"covariance file '{existing_file(filename, 'covariance')}'"
    except MissingFileError as error:
        raise MissingFileError(f"covariance {error}") from error
    names, matrix = _table(read_text(filename, "covariance"), len(labels), where)
    order = _order(names, labels, where)
    if not np.isfinite(matrix).all():
        raise DataFileError(f"{where} holds {int((~np.isfinite(matrix)).sum())} values that are not finite")
    # exchanged rows alone, or rows and columns alike
    problems = []
    for candidate in (matrix[order], matrix[np.ix_(order, order)]):
        problems.append(_problem(candidate))
        if problems[-1] is None:
            return candidate
    raise DataFileError(f"{where} holds no covariance: {problems[0]}")


def _table(text, number, where):
    from astropy.io import ascii

    try:
        table = ascii.read(text.splitlines(), guess=False, **TABLE_STYLE)
        matrix = np.array([np.ma.asarray(table[str(i)], dtype=np.float64).filled(np.nan) for i in range(number)]).T
        names = [str(name).strip() for name in table["Parameters"]]
    except Exception as error:  # readers of texts raise errors of many kinds, and show the text in them
        raise DataFileError(f"{where} is no table for {number} parameters ({type(error).__name__})") from error
    if len(table) != number or len(table.colnames) != number + 1:
        raise DataFileError(f"{where} has {len(table)} rows, the models have {number} parameters")
    return names, matrix


def _order(names, labels, where):
    """For each parameter, the number of its row."""
    if names in (labels, [label.rpartition(".")[2] for label in labels]):
        return np.arange(len(labels))
    rows = {name: row for row, name in enumerate(names)}
    missing = next((label for label in labels if label not in rows), None)
    if missing is not None or len(rows) != len(names):
        what = f"a row for {excerpt(missing)}" if missing is not None else "one row for each parameter"
        raise DataFileError(f"{where} is for other parameters: it lacks {what}")
    return np.array([rows[label] for label in labels])


def _problem(matrix):
    """Why a matrix is no covariance; None if it is one."""
    variance = np.diag(matrix)
    if (variance < 0).any():
        return f"{int((variance < 0).sum())} variances on its diagonal are negative"
    error = np.sqrt(variance)
    scale = TOLERANCE * np.outer(error, error)
    if (np.abs(matrix - matrix.T) > scale).any():
        return "it is not symmetric"
    if (np.abs(matrix) > np.outer(error, error) + scale).any():
        return "a correlation is larger than 1"
    return None
