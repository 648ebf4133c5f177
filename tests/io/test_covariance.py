"""Covariance files: rows by their names, and a matrix that is a covariance."""

import numpy as np
import pytest

from gpudl4.core.errors import DataFileError
from gpudl4.io.covariance import parameter_labels, read_covariance
from gpudl4.models import Models
from tests.factory import make_models
from tests.paths import shared_data

LABELS = ["s.spectral.index", "s.spectral.amplitude", "s.spatial.lon_0"]
MATRIX = np.array([[0.04, 3e-15, 1e-4], [3e-15, 1e-27, 0.0], [1e-4, 0.0, 1e-6]])


def write(path, names, matrix):
    rows = [
        ["Parameters", *map(str, range(len(matrix)))],
        *([name, *map(repr, row.tolist())] for name, row in zip(names, matrix, strict=True)),
    ]
    path.write_text("\n".join("| " + " | ".join(f"{cell:>30}" for cell in row) + " |" for row in rows) + "\n")
    return path


def test_as_written(tmp_path):
    np.testing.assert_array_equal(read_covariance(write(tmp_path / "c.dat", LABELS, MATRIX), LABELS), MATRIX)


@pytest.mark.parametrize("order", [[1, 0, 2], [2, 0, 1], [2, 1, 0]])
def test_rows_in_another_order(tmp_path, order):
    """Rows alone, as a text editor or sort leaves them, or rows and columns, as another program may write them."""
    names = [LABELS[i] for i in order]
    for given in (MATRIX[order], MATRIX[np.ix_(order, order)]):
        np.testing.assert_array_equal(read_covariance(write(tmp_path / "c.dat", names, given), LABELS), MATRIX)


def test_names_of_old_files(tmp_path):
    names = [label.rpartition(".")[2] for label in LABELS]
    np.testing.assert_array_equal(read_covariance(write(tmp_path / "c.dat", names, MATRIX), LABELS), MATRIX)


def changed(place, value, mirrored=True):
    matrix = MATRIX.copy()
    matrix[place] = value
    if mirrored:
        matrix[place[::-1]] = value
    return matrix


@pytest.mark.parametrize(
    ("names", "matrix", "message"),
    [
        (LABELS, changed((0, 2), np.nan), "2 values that are not finite"),
        (LABELS, changed((1, 1), np.inf), "1 values that are not finite"),
        (LABELS, changed((0, 2), -1e-4, mirrored=False), "it is not symmetric"),
        (LABELS, changed((0, 0), -0.04), "1 variances on its diagonal are negative"),
        (LABELS, changed((0, 2), 1e-3), "a correlation is larger than 1"),
        ([*LABELS[:2], "t.spatial.lon_0"], MATRIX, r"for other parameters: it lacks a row for 's\.spatial\.lon_0'"),
        ([LABELS[0], *LABELS[:2]], MATRIX, "it lacks"),
        (LABELS[:2], MATRIX[:2, :2], "is no table for 3 parameters"),
    ],
)
def test_refused(tmp_path, names, matrix, message):
    with pytest.raises(DataFileError, match=rf"covariance file '.*c\.dat'.*{message}"):
        read_covariance(write(tmp_path / "c.dat", names, matrix), LABELS)


def test_exchanged_rows_keep_the_errors_of_models(tmp_path):
    models = make_models()
    for number, parameter in enumerate(models.parameters):
        parameter.error = number + 1.0
    models.write(tmp_path / "m.yaml")
    file = tmp_path / "m_covariance.dat"
    lines = file.read_text().splitlines()
    lines[1], lines[2] = lines[2], lines[1]
    file.write_text("\n".join(lines) + "\n")
    again = Models.read(tmp_path / "m.yaml")
    assert [parameter.error for parameter in again.parameters] == [number + 1.0 for number in range(len(models.parameters))]


def test_a_bad_matrix_is_a_warning_and_the_errors_stay(tmp_path):
    models = make_models()
    models.parameters[0].error = 0.3
    models.write(tmp_path / "m.yaml")
    file = tmp_path / "m_covariance.dat"
    file.write_text(file.read_text().replace(" 0.09", "-0.09"))
    with pytest.warns(UserWarning, match="variances on its diagonal are negative.*correlations are lost"):
        again = Models.read(tmp_path / "m.yaml")
    assert again.parameters[0].error == 0.3


@pytest.mark.parametrize("kind", ["map_dataset", "spectrum_dataset_PL", "spectrum_dataset_ECPL"])
def test_files_of_gammapy(kind):
    models = Models.read(shared_data("simulated", f"simulated_{kind}_model.yaml"))
    file = shared_data("simulated", f"simulated_{kind}_model_covariance.dat")
    matrix = read_covariance(file, parameter_labels(models))
    assert matrix.shape == (len(models.parameters),) * 2
