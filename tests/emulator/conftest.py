"""Every test of this folder has the double under ``import cupy``."""

import numpy as np
import pytest

from tests import emulator


@pytest.fixture
def cp():
    """The double, installed."""
    with emulator.installed() as cupy:
        yield cupy


@pytest.fixture
def rng():
    return np.random.default_rng(5)
