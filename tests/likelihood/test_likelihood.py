"""The compiled likelihood on a small synthetic field: value against the slow oracle, exact derivatives, independence of history."""

from types import SimpleNamespace

import numpy as np
import pytest

from gpudl4.core.backend import to_host
from gpudl4.core.errors import BackendError, DatasetError, GeometryError, ModelError
from gpudl4.likelihood import assert_gradient, compile
from gpudl4.likelihood.cells import Cells
from gpudl4.models import Models
from tests import oracle
from tests.factory import make_dataset, make_models

KINDS = [{}, {"reco_psf": True}, {"edisp": "migra"}]


@pytest.fixture
def make(kernel_backend):
    """`make_dataset` on each backend."""
    return lambda **kwargs: make_dataset(**kwargs).to_device(kernel_backend)


@pytest.fixture(params=KINDS, ids=["true-psf", "reco-psf", "migra"])
def dataset(request, make):
    return make(**request.param)


def _off_kink(likelihood, shift=0.013):
    theta = likelihood.theta0.copy()
    for i, name in enumerate(likelihood.names):
        if name.endswith(("lon_0", "lat_0")):
            theta[i] += shift
    return theta


def _slow_stat(dataset):
    """Statistic by the oracle, from IRFs and model values asked through the public classes."""
    geom = dataset.counts.geom
    axis, axis_true = geom.axes["energy"], dataset.exposure.geom.axes["energy_true"]
    exposure = dataset.exposure.quantity.to_value("cm2 s")
    npred = np.zeros(geom.data_shape)
    for model in dataset.models:
        if "fov-bkg" in model.tag:
            norm = model.spectral_model(axis.center).to_value("")
            npred += norm[:, None, None] * dataset.background.data
            continue
        flux = model.spectral_model.integral(axis_true.edges[:-1], axis_true.edges[1:]).to_value("cm-2 s-1")
        edisp = dataset.edisp.get_edisp_kernel(position=model.position, energy_axis=axis).pdf_matrix
        reco = dataset.psf.energy_name == "energy"
        psf = dataset.psf.get_psf_kernel(geom=geom if reco else dataset.exposure.geom, position=model.position).data
        if model.name == "point":
            x, y = model.position.to_pixel(geom.wcs)
            image = oracle.point_image(x, y, geom.data_shape[1:])
        else:
            image = model.spatial_model.integrate_geom(geom.to_image()).data
        npred += oracle.fold(image, flux, exposure, edisp, psf, psf_last=reco)
    return oracle.cash(dataset.counts.data, npred, dataset.mask.data), npred


def test_value_equals_the_slow_oracle(dataset):
    want, npred = _slow_stat(dataset.to_host())
    likelihood = compile(dataset)
    assert likelihood.value(likelihood.theta0) == pytest.approx(want, rel=1e-7)  # images beyond 5 sigma are cut by the cutout
    np.testing.assert_allclose(to_host(dataset.npred().data), npred, atol=2e-6 * npred.max())


def test_gradient_and_hessian(dataset):
    likelihood = compile(dataset)
    theta = _off_kink(likelihood)
    assert assert_gradient(likelihood, theta, rtol=1e-6) < 1e-6
    cells = likelihood.cells(theta)
    sigma = np.sqrt(2 / np.diag(likelihood.fisher(theta)))
    numeric = []
    for i, step in enumerate(1e-3 * sigma):
        up, down = theta.copy(), theta.copy()
        up[i] += step
        down[i] -= step
        numeric.append((likelihood.value_and_gradient(up, cells)[1] - likelihood.value_and_gradient(down, cells)[1]) / (2 * step))
    scaled = (likelihood.hessian(theta) - np.array(numeric)) * np.outer(sigma, sigma)
    assert np.abs(scaled).max() < 2e-5


def test_hessian_alone_and_together_with_the_fisher_matrix(dataset):
    """They differ by the steps of the models' own differences."""
    likelihood = compile(dataset)
    theta = _off_kink(likelihood)
    fisher, hessian = likelihood.second_derivatives(theta)
    sigma = np.sqrt(2 / np.diag(fisher))
    np.testing.assert_allclose(likelihood.fisher(theta), fisher, rtol=1e-12, atol=1e-13 * np.abs(fisher).max())
    assert np.abs((likelihood.hessian(theta) - hessian) * np.outer(sigma, sigma)).max() < 1e-5


def test_hessian_where_nothing_was_counted(make):
    """The counts tell no scale for steps then; the Fisher matrix does."""
    dataset = make()
    dataset.counts.data[...] = 0
    likelihood = compile(dataset)
    theta = _off_kink(likelihood)
    fisher, hessian = likelihood.second_derivatives(theta)
    sigma = np.sqrt(2 / np.diag(fisher))
    assert np.abs(hessian * np.outer(sigma, sigma)).max() > 0.1  # the prediction is curved
    np.testing.assert_array_equal(likelihood.hessian(theta), hessian)


def test_second_derivatives_do_not_depend_on_passes(make, monkeypatch):
    """Templates of derivative images are made in passes to save memory; here in one, and one by one."""
    for kwargs in ({}, {"reco_psf": True}):
        likelihood = compile(make(**kwargs))
        theta = _off_kink(likelihood)
        want = likelihood.second_derivatives(theta)
        monkeypatch.setattr("gpudl4.likelihood.derivatives.PASS", 1)
        other = compile(make(**kwargs))
        got = other.second_derivatives(theta)
        assert len(other._second_orders[True]._passes) > len(likelihood._second_orders[True]._passes)
        monkeypatch.undo()
        for one, two in zip(want, got, strict=True):
            np.testing.assert_allclose(one, two, rtol=1e-10, atol=1e-12 * np.abs(one).max())


def test_gradient_of_every_parameter(make):
    dataset = make()
    for model in dataset.models:
        for parameter in model.parameters:
            parameter.frozen = parameter.name in ("reference", "alpha")
    likelihood = compile(dataset)
    assert {n.split(".")[1] for n in likelihood.names} >= {"e", "phi", "tilt", "lambda_", "sigma"}
    assert_gradient(likelihood, _off_kink(likelihood), rtol=1e-6)


def test_both_one_sided_derivatives_at_a_kink(make):
    dataset = make()
    point = dataset.models["point"].spatial_model
    lon, lat = dataset.counts.geom.pix_to_lonlat(np.array([14.0]), np.array([9.4]), point.frame)
    point.lon_0.value, point.lat_0.value = float(lon[0]) % 360, float(lat[0])
    likelihood = compile(dataset)
    theta, i = likelihood.theta0, likelihood.names.index("point.lon_0")
    (term,) = likelihood.plan.terms
    source = next(source for source in term.sources if source.name == "point")
    gradients = {}
    for column in (13, 14):
        held = Cells([(term, source, (column, 9))])
        slope = likelihood.value_and_gradient(theta, held)[1][i]
        step = (1 if column == 13 else -1) * 1e-5  # longitude grows to the left: column 13 lies at larger longitude
        values = []
        for n in (0, 1, 2):
            at = theta.copy()
            at[i] += n * step
            values.append(likelihood.value(at))
        one_sided = (-3 * values[0] + 4 * values[1] - values[2]) / (2 * step)
        assert slope == pytest.approx(one_sided, rel=1e-4)
        gradients[column] = slope
    assert abs(gradients[13] - gradients[14]) > 1e-3 * abs(gradients[13])


def test_batch_equals_single_evaluations(dataset):
    likelihood = compile(dataset)
    rng = np.random.default_rng(2)
    thetas = _off_kink(likelihood) * (1 + 0.01 * rng.normal(size=(5, len(likelihood.names))))
    stat, gradient = likelihood.evaluate(thetas)
    for theta, s, g in zip(thetas, stat, gradient, strict=True):
        one, slope = likelihood.value_and_gradient(theta)
        assert s == pytest.approx(one, rel=1e-13)
        np.testing.assert_allclose(g, slope, rtol=1e-9, atol=1e-9 * np.abs(g).max())
    with pytest.raises(ValueError, match=r"wanted \(batch, "):
        likelihood.evaluate(thetas[0])


def test_the_answer_depends_on_theta_only(dataset):
    """gammapy's evaluators remember where they were; a likelihood must not."""
    likelihood = compile(dataset)
    a, b = likelihood.theta0, _off_kink(likelihood, 0.05)
    first = likelihood.value_and_gradient(a)
    likelihood.value_and_gradient(b)
    likelihood.fisher(b)
    likelihood.local(b, "point")
    again = likelihood.value_and_gradient(a)
    assert first[0] == again[0]
    np.testing.assert_array_equal(first[1], again[1])


def test_later_edits_do_not_reach_a_likelihood(dataset):
    likelihood = compile(dataset)
    before = likelihood.value(likelihood.theta0)
    dataset.counts.data[...] += 1
    dataset.background.data[...] *= 2
    dataset.exposure.data[...] = 0
    dataset.models["point"].spectral_model.index.value = 5
    assert likelihood.value(likelihood.theta0) == before


def test_frozen_sources_change_nothing_but_the_work(make):
    dataset = make()
    free = compile(dataset)
    want = free.value(free.theta0)
    for kind in ("spatial", "all"):
        for name in ("point", "gauss"):
            model = dataset.models[name]
            (model.spatial_model if kind == "spatial" else model).freeze()
        frozen = compile(dataset)
        assert len(frozen.names) < len(free.names)
        assert frozen.value(frozen.theta0) == pytest.approx(want, rel=1e-12)
    assert frozen.plan.terms[0].region.size == 0


def test_closed_sums_equal_bin_by_bin(make):
    """The background alone, once as closed sums and once with a source of zero flux that spans the map."""
    dataset = make()
    background = next(m for m in dataset.models if "fov-bkg" in m.tag)
    for norm in (0.3, 1.0, 2.5):
        background.spectral_model.norm.value = norm
        dataset.models = [background]
        alone = compile(dataset)
        assert alone.plan.terms[0].region.size == 0
        want = oracle.cash(*(to_host(a) for a in (dataset.counts.data, dataset.npred().data, dataset.mask.data)))
        assert alone.value(alone.theta0) == pytest.approx(want, rel=1e-12)
        assert_gradient(alone, alone.theta0)


def test_norm_below_zero_sits_on_the_floor(make):
    dataset = make()
    background = next(m for m in dataset.models if "fov-bkg" in m.tag)
    dataset.models = [background]
    likelihood = compile(dataset)
    n = to_host(dataset.counts.data[dataset.mask.data])
    want = 2 * (np.sum(n > -1) * 1e-25 - n.sum() * np.log(1e-25))
    theta = np.where([x.endswith("norm") for x in likelihood.names], -0.5, likelihood.theta0)
    assert likelihood.value(theta) == pytest.approx(want, rel=1e-12)


def test_links_share_one_parameter(make):
    dataset = make()
    point, gauss = dataset.models["point"], dataset.models["gauss"]
    names = compile(dataset).names
    gauss.spectral_model.index = point.spectral_model.index
    linked = compile(dataset)
    assert len(linked.names) == len(names) - 1
    assert_gradient(linked, _off_kink(linked))


def test_masked_values_may_be_anything(make):
    dataset = make()
    want = dataset.stat_sum()
    outside = ~dataset.mask.data
    assert outside.any()
    dataset.counts.data = dataset.counts.data.astype(float)
    dataset.counts.data[outside] = np.nan
    dataset.background.data[outside] = -5.0
    assert dataset.stat_sum() == pytest.approx(want, rel=1e-12)


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("counts", np.nan, "counts are NaN"),
        ("counts", -1.0, "counts are NaN, infinite or negative in 1 bins"),
        ("background", np.inf, "background are NaN"),
    ],
)
def test_bad_values_inside_the_mask(make, field, value, text):
    dataset = make(name="bad")
    k, y, x = np.argwhere(to_host(dataset.mask.data))[7]
    getattr(dataset, field).data = getattr(dataset, field).data.astype(float)
    getattr(dataset, field).data[k, y, x] = value
    with pytest.raises(DatasetError, match=f"dataset 'bad': {text}"):
        compile(dataset)


@pytest.mark.parametrize("value", [np.nan, -1.0])
def test_bad_exposure_inside_the_mask(make, value):
    dataset = make(name="bad")
    dataset.exposure.data[1, 10, 12] = value
    with pytest.raises(DatasetError, match="dataset 'bad': exposure is NaN or negative in 1 bins inside the fit mask near model 'point'"):
        compile(dataset)


def test_bad_exposure_outside_the_mask_counts_as_zero(make):
    dataset = make()
    dataset.mask_safe.data[:, :, :3] = False
    dataset.exposure.data[:, :, 0] = np.nan
    assert np.isfinite(compile(dataset).value(compile(dataset).theta0))


def test_missing_fields():
    dataset = make_dataset(name="d")
    dataset.exposure = None
    with pytest.raises(DatasetError, match="dataset 'd' has no exposure, which the model 'point' needs"):
        compile(dataset)
    dataset = make_dataset(name="d")
    dataset.counts = None
    with pytest.raises(DatasetError, match="dataset 'd' has no counts"):
        compile(dataset)
    dataset = make_dataset(name="d")
    dataset.background = None
    with pytest.raises(DatasetError, match="no background map for the model"):
        compile(dataset)
    with pytest.raises(DatasetError, match="no dataset was given"):
        compile([])


def test_all_masked(make):
    dataset, other = make(name="a"), make(name="b", models=None)
    want = compile(dataset).value(compile(dataset).theta0)
    other.mask_safe.data[...] = False
    joint = compile([dataset, other])
    assert joint.value(joint.theta0) == pytest.approx(want, rel=1e-14)
    with pytest.raises(DatasetError, match="no bin to fit in 'b': mask_safe and mask_fit exclude everything"):
        compile(other)


def test_models_outside_the_map(make):
    dataset = make()
    models = Models(list(dataset.models))
    far = make_models(name="x")[0].copy(name="far")
    far.spatial_model.lat_0.value += 30
    want = dataset.stat_sum()
    dataset.models = models + [far]
    with pytest.warns(UserWarning, match="model 'far' lies outside the fit mask of dataset 'test' and contributes nothing"):
        likelihood = compile(dataset)
    assert likelihood.value(likelihood.theta0) == pytest.approx(want, rel=1e-14)
    assert likelihood.unconstrained(likelihood.theta0) == [n for n in likelihood.names if n.startswith("far.")]
    dataset.models = [far]
    with pytest.warns(UserWarning, match="far"), pytest.raises(ModelError, match="no model contributes to any dataset: 'far'"):
        compile(dataset)


def test_two_background_models_are_refused():
    dataset = make_dataset()
    background = next(m for m in dataset.models if "fov-bkg" in m.tag)
    with pytest.raises(ModelError, match="2 background models"):
        compile(dataset, models=[background, background.copy(name="second")])


def test_pixels_must_agree():
    dataset = make_dataset(name="d")
    names = ("name", "counts", "background", "mask_safe", "mask_fit", "mask", "psf", "edisp", "models")
    fields = SimpleNamespace(**{name: getattr(dataset, name) for name in names})
    fields.exposure = dataset.exposure.cutout(dataset.exposure.geom.center_skydir, "1 deg")
    with pytest.raises(GeometryError, match="dataset 'd': exposure and counts lie on different pixels"):
        compile(fields)


def test_options():
    dataset = make_dataset()
    with pytest.raises(BackendError, match="unknown backend 'gpu'"):
        compile(dataset, backend="gpu")
    with pytest.raises(BackendError, match="dtype 'int32' is not supported"):
        compile(dataset, dtype="int32")
    single, double = compile(dataset, dtype="float32"), compile(dataset)
    assert single.value(single.theta0) == pytest.approx(double.value(double.theta0), rel=1e-6)


def test_irf_positions_are_taken_where_asked():
    dataset = make_dataset()
    elsewhere = dataset.models["gauss"].position
    moved = compile(dataset, irf_positions={"point": elsewhere})
    point = next(c for c in moved.plan.terms[0].sources if c.name == "point")
    assert point.response.position is elsewhere


def test_a_source_that_leaves_its_cutout_is_noticed(make):
    dataset = make(npix=(60, 50))
    likelihood = compile(dataset)
    assert likelihood.is_valid(likelihood.theta0)
    i = likelihood.names.index("gauss.sigma")
    wide = likelihood.theta0.copy()
    wide[i] *= 0.05
    assert not likelihood.is_valid(wide)  # the sampling no longer resolves it


def test_memory_and_repr(make):
    likelihood = compile(make())
    items = likelihood.memory["test"]
    assert set(items) >= {"counts", "background", "mask", "exposure", "source point", "source gauss"}
    assert all(isinstance(v, int) for v in (*items.values(), *likelihood.memory["workspace"].values()))
    assert "1 datasets" in repr(likelihood)
    ((npred, pixels),) = likelihood.npred(likelihood.theta0)
    assert npred.shape == (3, len(pixels))


def test_assert_gradient_finds_a_wrong_one():
    likelihood = compile(make_dataset())

    class Wrong:
        names = likelihood.names
        cells, fisher, value = likelihood.cells, likelihood.fisher, likelihood.value

        def value_and_gradient(self, theta, cells=None):
            stat, gradient = likelihood.value_and_gradient(theta, cells)
            gradient[0] *= 1.01
            return stat, gradient

    with pytest.raises(AssertionError, match=f"gradient of '{likelihood.names[0]}'"):
        assert_gradient(Wrong(), _off_kink(likelihood), rtol=1e-4)


def test_priors_are_part_of_the_statistic():
    from gpudl4.models import GaussianPrior

    dataset = make_dataset()
    likelihood = compile(dataset)
    plain = likelihood.value(likelihood.theta0)
    index = dataset.models["point"].spectral_model.index
    index.prior = GaussianPrior(mu=index.value + 0.3, sigma=0.1)
    with_prior = compile(dataset)
    extra = 3.0**2 + 2 * np.log(0.1 * np.sqrt(2 * np.pi))
    assert with_prior.value(with_prior.theta0) == pytest.approx(plain + extra, abs=1e-8)
    assert compile(dataset, priors=False).value(likelihood.theta0) == pytest.approx(plain, abs=1e-12)
    assert_gradient(with_prior, _off_kink(with_prior))
    gain = np.diag(with_prior.fisher(with_prior.theta0)) - np.diag(likelihood.fisher(likelihood.theta0))
    assert gain[with_prior.names.index("point.index")] == pytest.approx(2 / 0.1**2, rel=1e-6)
