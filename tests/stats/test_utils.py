"""Test statistics and numbers of standard deviations."""

import numpy as np
import pytest
from scipy.stats import norm

from gpudl4.stats import sigma_to_ts, ts_to_sigma


def test_one_parameter_is_a_square():
    np.testing.assert_allclose(sigma_to_ts(np.array([1.0, 3.0, 5.0])), [1.0, 9.0, 25.0], rtol=1e-9)
    assert ts_to_sigma(25.0) == pytest.approx(5.0)


def test_two_parameters():
    """chi-square with two degrees of freedom is an exponential: its tail is exp(-ts / 2)."""
    assert np.exp(-sigma_to_ts(3.0, df=2) / 2) == pytest.approx(2 * norm.sf(3.0), rel=1e-9)


@pytest.mark.parametrize("df", [1, 2, 4])
@pytest.mark.parametrize("asimov", [0.0, 2.0])
def test_one_undoes_the_other(df, asimov):
    ts = sigma_to_ts(3.0, df=df, n_sigma_asimov=asimov)
    assert ts_to_sigma(ts, df=df, ts_asimov=asimov**2) == pytest.approx(3.0, rel=1e-8)


def test_as_gammapy():
    stats = pytest.importorskip("gammapy.stats")
    for arguments in ((3.0,), (3.0, 2), (2.0, 4, 1.5)):
        assert sigma_to_ts(*arguments) == pytest.approx(float(stats.sigma_to_ts(*arguments)), rel=1e-10)
        assert ts_to_sigma(*arguments) == pytest.approx(float(stats.ts_to_sigma(*arguments)), rel=1e-10)
