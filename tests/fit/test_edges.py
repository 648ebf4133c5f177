"""Sources stay on the data: points between the outermost pixel centres, shapes on their maps; what bounds hold spoils no other error."""

import numpy as np
import pytest

from benchmarks.fields import background, gaussian, make_dataset, point
from gpudl4 import Fit
from gpudl4.fit.cells import moving_points, off_rim
from gpudl4.fit.edges import held_on_data
from gpudl4.likelihood import compile
from gpudl4.models import Models

EDGE = 0.19  # deg; the outermost pixel centres of 20 pixels of 0.02 deg


def _dataset(models, seed=1, backend=None):
    dataset = make_dataset(n_pixels=20, n_energy=3, n_true=4, models=Models([*models, background()]), seed=seed)
    return dataset if backend is None else dataset.to_device(backend)


def _pixels(dataset, name):
    return np.array(
        [float(np.squeeze(x)) for x in dataset.counts.geom.to_image().coord_to_pix(dataset.models[name].spatial_model.position)]
    )


def test_beyond_the_last_pixel_centre_a_point_only_becomes_fainter(kernel_backend):
    """Half a pixel beyond, half of it is lost: twice the amplitude there is the same as the amplitude on the centre."""
    likelihood = compile(_dataset([point("edge", 0.0, 0.0)], backend=kernel_backend))
    on = likelihood.theta0.copy()
    lat, amplitude = likelihood.names.index("edge.lat_0"), likelihood.names.index("edge.amplitude")
    on[lat] = EDGE
    beyond = on.copy()
    beyond[lat], beyond[amplitude] = EDGE + 0.01, 2 * on[amplitude]
    likelihood = likelihood.recompile(on)
    assert likelihood.value(beyond) == pytest.approx(likelihood.value(on), abs=1e-3)


@pytest.mark.parametrize("sign", [-1, 1])
def test_a_point_beyond_the_last_pixel_centre_is_fitted_on_it(sign):
    dataset = _dataset([point("edge", 0.01, sign * (EDGE + 0.008))])
    before = dataset.stat_sum()
    result = Fit().run([dataset])
    assert result.success, result.message
    assert np.all(np.isfinite(result.errors))
    assert result.total_stat < before
    assert result.total_stat == pytest.approx(dataset.stat_sum(), abs=1e-6)
    pixels = _pixels(dataset, "edge")
    assert np.all((pixels > -1e-5) & (pixels < 19 + 1e-5))


def test_a_start_on_the_rim_is_moved_to_the_last_pixel_centre():
    likelihood = compile(_dataset([point("edge", 0.01, EDGE + 0.008), point("inner", 0.05, 0.05)]))
    moved = off_rim(moving_points(likelihood), likelihood.theta0)
    changed = moved != likelihood.theta0
    assert not changed[[likelihood.names.index(f"inner.{name}") for name in ("lon_0", "lat_0", "amplitude")]].any()
    assert moved[likelihood.names.index("edge.lat_0")] == pytest.approx(EDGE, abs=1e-6)
    assert moved[likelihood.names.index("edge.amplitude")] == likelihood.theta0[likelihood.names.index("edge.amplitude")]


def test_a_shape_that_nothing_holds_stays_on_the_map():
    """Of so weak a source at the edge counts know no place; the fit ends on the map, with errors for all that is not held."""
    for seed in range(4):
        dataset = _dataset([gaussian("edge", EDGE - 0.02, 0.0, sigma=0.05, amplitude=3e-14, frozen=("sigma", "index"))], seed)
        before = dataset.stat_sum()
        result = Fit().run([dataset])
        pixels = _pixels(dataset, "edge")
        assert np.all((pixels > -0.01) & (pixels < 19.01))
        assert result.total_stat <= before
        assert result.total_stat == pytest.approx(dataset.stat_sum(), abs=1e-6)


def test_bounds_of_shapes_are_those_of_the_map_and_outlive_a_recompile():
    likelihood = compile(_dataset([gaussian("blob", 0.05, 0.05, sigma=0.05), gaussian("beside", -0.3, 0.0, sigma=0.1)]))
    held = held_on_data(likelihood, likelihood.theta0)
    names = held.names
    np.testing.assert_allclose(held.bounds[names.index("blob.lat_0")], [-EDGE, EDGE], atol=1e-6)
    lon = likelihood.theta0[names.index("blob.lon_0")]
    np.testing.assert_allclose(held.bounds[names.index("blob.lon_0")], [lon - 0.05 - EDGE, lon - 0.05 + EDGE], atol=1e-4)
    assert held.bounds[names.index("beside.lon_0"), 0] == pytest.approx(likelihood.theta0[names.index("beside.lon_0")])
    np.testing.assert_array_equal(held.bounds[names.index("blob.sigma")], likelihood.bounds[names.index("blob.sigma")])
    np.testing.assert_array_equal(held.recompile(held.theta0 + 1e-3).bounds, held.bounds)
    assert held.value(held.theta0) == likelihood.recompile(likelihood.theta0).value(likelihood.theta0)


def test_a_parameter_on_its_bound_leaves_the_others_their_errors():
    errors = []
    for held in (False, True):
        dataset = _dataset([point("source", 0.0, 0.0)], seed=3)
        index = dataset.models["source"].spectral_model.index
        if held:
            index.value, index.frozen = 2.6, True
        else:
            index.value, index.min = 2.7, 2.6  # the truth is 2.2
        result = Fit().run([dataset])
        assert result.success, result.message
        others = [i for i, name in enumerate(result.names) if name != "source.index"]
        assert np.all(np.isfinite(result.errors[others]))
        errors.append(result)
    assert errors[0].at_bounds == ("source.index",)
    assert errors[0].total_stat == pytest.approx(errors[1].total_stat, abs=1e-3)
    assert any("its bound" in line for line in errors[0].hints)
