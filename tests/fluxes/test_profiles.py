"""Minima of profiles, and flux points in coarser bins against gammapy."""

import numpy as np
import pytest
from astropy import units as u
from astropy.time import Time

from gpudl4.core.errors import DatasetError
from gpudl4.estimators import FluxPoints
from gpudl4.fluxes.profiles import minimum_of
from gpudl4.maps import MapAxis, TimeMapAxis
from tests.fluxes.sed import make_table
from tests.paths import shared_data

NORMS = np.geomspace(0.2, 5, 11)


def test_a_parabola_is_exact():
    found = minimum_of(NORMS, 7 + ((NORMS - 1.1) / 0.3) ** 2, 4)
    np.testing.assert_allclose([found.norm, found.stat, found.error, found.limit], [1.1, 7, 0.3, 1.7], rtol=1e-6)
    assert found.is_inside


def test_minima_at_the_ends_and_nan():
    assert not minimum_of(NORMS, NORMS, 4).is_inside
    assert minimum_of(NORMS, NORMS, 4).norm == pytest.approx(0.2)
    assert np.isnan(minimum_of(NORMS, -NORMS, 4).limit)
    assert np.isnan(minimum_of(NORMS, np.full(11, np.nan), 4).norm)


def both():
    from gammapy.estimators import FluxPoints as Peer

    path = shared_data("flux-points", "pks2155_hess_lc.fits")
    return FluxPoints.read(path), Peer.read(path)


def test_a_coarser_light_curve_is_gammapys():
    from gammapy.maps import TimeMapAxis as PeerAxis

    ours, theirs = both()
    axis = ours.geom.axes["time"]
    middle = axis.time_mid  # two old bins are cut by the new edges and belong to none
    starts = Time([axis.time_min[0] - 1 * u.s, middle[8], middle[20]])
    stops = Time([middle[8], middle[20], axis.time_max[33] + 1 * u.s])
    mine = ours.resample_axis(TimeMapAxis.from_time_edges(starts, stops))
    peer = theirs.resample_axis(PeerAxis.from_time_edges(starts, stops))
    assert mine.geom.data_shape == peer.geom.data_shape == (3, 1, 1, 1)
    error = mine.norm_err.data
    assert (np.abs(mine.norm.data - peer.norm.data) < 0.02 * error).all()
    np.testing.assert_allclose(mine.stat.data, peer.stat.data, atol=1e-3)
    np.testing.assert_allclose(mine.ts.data, peer.ts.data, rtol=1e-4)
    np.testing.assert_allclose(mine.norm_ul.data, peer.norm_ul.data, rtol=5e-3)
    np.testing.assert_array_equal(mine.n_dof.data, peer.n_dof.data)
    assert mine.stat_scan.geom.axes.names == ["norm", "energy", "time"]  # as in files; gammapy has energy first here
    np.testing.assert_allclose(mine.stat_scan.data, peer.stat_scan.data.swapaxes(1, 2))
    assert mine.success.data.all()
    weights = 1 / ours.norm_err.data[:8, 0, 0, 0] ** 2
    assert error[0, 0, 0, 0] == pytest.approx(np.sqrt(1 / weights.sum()), rel=0.1)  # as for a weighted mean


def test_coarser_energies():
    ours = FluxPoints.read(shared_data("flux-points", "pks2155_hess_lc_3bins.fits"))
    edges = ours.energy_axis.edges
    axis = MapAxis.from_energy_edges(edges[[0, 2, 3]])
    mine = ours.resample_axis(axis)
    assert mine.geom.data_shape == (34, 2, 1, 1)
    np.testing.assert_allclose(mine.stat_scan.data[:, 0], ours.stat_scan.data[:, :2].sum(axis=1))
    np.testing.assert_allclose(mine.stat_scan.data[:, 1], ours.stat_scan.data[:, 2])


def test_what_cannot_be_resampled():
    ours = both()[0]
    with pytest.raises(DatasetError, match="Stat profiles not present"):
        FluxPoints.from_table(make_table(), reference_model=ours.reference_model).resample_axis(ours.energy_axis)
    with pytest.raises(DatasetError, match="no axis 'rad'"):
        ours.resample_axis(MapAxis.from_edges([0, 1], name="rad"))
    late = ours.geom.axes["time"].time_max[-1] + [1, 2] * u.d
    with pytest.raises(DatasetError, match="inside the new bin 0"):
        ours.resample_axis(TimeMapAxis.from_time_edges(late[:1], late[1:]))
