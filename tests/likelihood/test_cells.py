"""Cells belong to sources: those of one compile serve any other, whatever it has dropped, brought back or merged."""

import numpy as np
import pytest

from benchmarks.fields import background, gaussian, make_dataset, point
from gpudl4 import Fit
from gpudl4.cli.field import simulate_field
from gpudl4.likelihood import compile
from gpudl4.likelihood.cells import Cells
from gpudl4.models import Models


@pytest.fixture
def dataset(kernel_backend):
    """Two points, of which one lies at the edge of a small map, and a Gaussian."""
    models = Models([point("edge", 0.19, 0.0), point("inner", 0.031, -0.043), gaussian("blob", -0.08, 0.05, sigma=0.05), background()])
    return make_dataset(n_pixels=20, n_energy=3, n_true=4, models=models, seed=3).to_device(kernel_backend)


def test_a_source_that_is_dropped_and_comes_back_keeps_the_cells_of_the_others(dataset):
    both = compile(dataset)
    near, i = both.theta0, both.names.index("edge.lon_0")
    far = near.copy()
    far[i] = 30.0
    cells, held = both.cells(near), both.cells(near + 1e-3)
    alone = both.recompile(far)
    assert [source.name for source in alone.plan.terms[0].sources] == ["inner", "blob"]
    assert len(alone.cells(far)) == 1
    assert alone.cells(far, held).held(alone.plan.terms[0], alone.plan.terms[0].sources[0]).tolist() == (
        held.held(both.plan.terms[0], next(s for s in both.plan.terms[0].sources if s.name == "inner")).tolist()
    )
    # cells of both in the likelihood of one
    assert alone.value(far, cells) == alone.value(far)
    np.testing.assert_array_equal(alone.value_and_gradient(far, cells)[1], alone.value_and_gradient(far)[1])
    np.testing.assert_array_equal(alone.hessian(far, cells), alone.hessian(far))
    np.testing.assert_array_equal(alone.fisher(far, cells), alone.fisher(far))
    # cells of one in the likelihood of both: who is not known there has the cell of its place
    again = alone.recompile(near)
    assert again.value(near, alone.cells(far)) == again.value(near) == compile(dataset).value(near)
    assert again.local(near, "edge", alone.cells(far)).value(near) == again.local(near, "edge").value(near)
    assert again.cells(near, alone.cells(far)) == cells == again.cells(near)


def test_cells_of_merged_pixels_are_not_those_of_the_map():
    models = Models([point("point", 0.031, -0.043), gaussian("blob", 0.3, 0.2, sigma=0.3), background()])
    dataset = make_dataset(n_pixels=120, n_energy=2, n_true=3, models=models, seed=1)
    draft = compile(dataset, draft=True)
    assert draft.is_draft
    theta, cells = draft.theta0, draft.cells(draft.theta0)
    full = draft.recompile(theta, draft=False)
    assert full.cells(theta) != cells
    assert full.value(theta, cells) == full.value(theta)
    assert full.cells(theta, cells) == full.cells(theta)


def test_a_cell_belongs_to_one_dataset_even_if_names_are_equal(kernel_backend):
    models = Models([point("point", 0.031, -0.043)])
    small, large = (make_dataset(n_pixels=n, n_energy=2, n_true=3, models=models, seed=1).to_device(kernel_backend) for n in (20, 20))
    likelihood = compile([small, large], models)
    theta = likelihood.theta0
    first, second = likelihood.plan.terms
    (x, y), source = likelihood.cells(theta).held(first, first.sources[0])[0], first.sources[0]
    held = Cells([(first, source, (x + 1, y))])
    assert held.held(second, second.sources[0]) is None
    assert likelihood.cells(theta, held) != likelihood.cells(theta)
    expected = compile([small], models).value(theta, held) + compile([large], models).value(theta)
    assert likelihood.value(theta, held) == pytest.approx(expected, rel=1e-13)


def test_cells_are_compared_by_value(dataset):
    likelihood = compile(dataset)
    theta = likelihood.theta0
    cells = likelihood.cells(theta)
    assert cells == likelihood.cells(theta)
    assert hash(cells) == hash(likelihood.cells(theta))
    assert cells != likelihood.cells(theta + 0.05)
    assert "inner" in repr(cells)


@pytest.mark.parametrize(("seed", "n_pixels"), [(1, 12), (2, 16), (1, 20), (2, 20), (1, 24)])
def test_fits_in_which_a_source_leaves_or_comes_back(seed, n_pixels):
    """The demo's extended source lies beside so small a map: it is dropped by one compile and seen by another.

    Its parameters are all but unconstrained, so a fit may fail, but not raise, and never leaves the models worse than it found them.
    """
    dataset = simulate_field(seed, n_pixels)
    before = dataset.stat_sum()
    result = Fit().run(dataset)
    assert result.total_stat < before
    assert result.total_stat == pytest.approx(dataset.stat_sum(), abs=1e-6)
