"""A small field as files, for the command line."""

import pytest

from gpudl4.cli.main import run
from gpudl4.kernels._compiled import NOTICE
from tests.factory import make_dataset


@pytest.fixture(scope="session")
def field(tmp_path_factory):
    """Folder with datasets.yaml, test.fits and models.yaml."""
    from gpudl4.datasets import Datasets

    folder = tmp_path_factory.mktemp("field")
    dataset = make_dataset()
    Datasets([dataset]).write(folder / "datasets.yaml")
    dataset.models.write(folder / "models.yaml", write_covariance=False)
    return folder


@pytest.fixture
def command(capsys):
    """Run a command line in this process: exit code, stdout, lines of stderr but for those about progress and compiling."""

    def call(*words):
        capsys.readouterr()
        code = run([str(word) for word in words])
        captured = capsys.readouterr()
        return code, captured.out, [line for line in captured.err.splitlines() if not line.startswith(("fit: ", NOTICE))]

    return call
