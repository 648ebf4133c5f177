"""Flux points in a likelihood: gradients, second derivatives, priors, links, batches, joint fits with counts, on both backends."""

import astropy.units as u
import numpy as np
import pytest

import gpudl4
from gpudl4.core.errors import DatasetError, ModelError
from gpudl4.datasets import Datasets, FluxPointsDataset
from gpudl4.estimators import FluxPoints
from gpudl4.models import (
    ExpCutoffPowerLawSpectralModel,
    GaussianPrior,
    LogParabolaSpectralModel,
    Models,
    Parameter,
    PowerLawSpectralModel,
    SkyModel,
    SpectralModel,
)
from tests.factory import make_dataset, make_models
from tests.fluxes.sed import make_table
from tests.paths import shared_data

REFERENCE = PowerLawSpectralModel(index=2.4)


def model(name="source", index=2.5, amplitude="2.5e-12 cm-2 s-1 TeV-1"):
    return SkyModel(LogParabolaSpectralModel(alpha=index, beta=0.03, amplitude=amplitude, reference="2 TeV"), name=name)


def dataset(models, stat_type="chi2", name="points", **kwargs):
    if stat_type == "profile":
        points = FluxPoints.read(shared_data("flux-points", "crab_hess_fp.fits"))
        models = models or model(amplitude="8e-12 cm-2 s-1 TeV-1")
    else:
        points = FluxPoints.from_table(make_table(**kwargs), reference_model=REFERENCE)
    return FluxPointsDataset(models, points, stat_type=stat_type, name=name)


def numeric(function, theta, steps):
    rows = []
    for i, step in enumerate(steps):
        move = np.zeros(len(theta))
        move[i] = step
        rows.append((function(theta + move) - function(theta - move)) / (2 * step))
    return np.array(rows)


def all_models():
    two = [model(amplitude="1.5e-12 cm-2 s-1 TeV-1"), SkyModel(ExpCutoffPowerLawSpectralModel(amplitude="1e-12 cm-2 s-1 TeV-1"), name="b")]
    two[1].spectral_model.lambda_.value = 0.05
    return Models(two)


@pytest.mark.parametrize("stat_type", ["chi2", "distrib", "profile"])
def test_gradient_and_hessian_are_differences(stat_type):
    one = dataset(None if stat_type == "profile" else all_models(), stat_type)
    likelihood = gpudl4.compile(one)
    theta = likelihood.theta0
    value, gradient = likelihood.value_and_gradient(theta)
    assert value == pytest.approx(one.stat_sum(), rel=1e-12)
    steps = 1e-5 * np.maximum(np.abs(theta), 1e-13)
    np.testing.assert_allclose(gradient, numeric(likelihood.value, theta, steps), rtol=2e-5, atol=1e-6 * np.abs(gradient).max())
    expected = numeric(lambda t: likelihood.value_and_gradient(t)[1], theta, steps)
    scale = np.sqrt(np.abs(np.outer(np.diag(expected), np.diag(expected))))
    fisher, hessian = likelihood.second_derivatives(theta)
    assert np.abs((hessian - expected) / scale).max() < 2e-3
    np.testing.assert_allclose(hessian, likelihood.hessian(theta))
    np.testing.assert_allclose(fisher, likelihood.fisher(theta))
    whitened = fisher / np.sqrt(np.outer(np.diag(fisher), np.diag(fisher)))
    assert np.linalg.eigvalsh(whitened).min() > -1e-10
    gpudl4.assert_gradient(likelihood, theta)


def test_batches_are_the_single_ones():
    likelihood = gpudl4.compile(dataset(all_models()))
    thetas = likelihood.theta0 * (1 + 0.05 * np.random.default_rng(1).normal(size=(5, len(likelihood.theta0))))
    stat, gradient = likelihood.evaluate(thetas)
    for i, theta in enumerate(thetas):
        one = likelihood.value_and_gradient(theta)
        np.testing.assert_allclose(stat[i], one[0], rtol=1e-14)
        np.testing.assert_allclose(gradient[i], one[1], rtol=1e-12)


def test_masks_add_up():
    one = dataset(model())
    whole = gpudl4.compile(one)
    half = np.arange(6) % 2 == 0
    parts = []
    for mask in (half, ~half):
        one.mask_fit = mask
        parts.append(gpudl4.compile(one))
    assert sum(part.n_bins for part in parts) == whole.n_bins == 5
    total = sum(part.value(whole.theta0) for part in parts)
    assert total == pytest.approx(whole.value(whole.theta0), rel=1e-13)


def test_editing_afterwards_changes_nothing():
    one = dataset(model())
    likelihood = gpudl4.compile(one)
    before = likelihood.value_and_gradient(likelihood.theta0)
    one.models["source"].spectral_model.alpha.value = 5
    one.data._data["norm"].data *= 3
    after = likelihood.value_and_gradient(likelihood.theta0)
    assert after[0] == before[0]
    assert gpudl4.compile(one).value(likelihood.theta0) != before[0]


def test_priors_and_links():
    source = model()
    source.spectral_model.alpha.prior = GaussianPrior(mu=2.2, sigma=0.1)
    one = dataset(source)
    likelihood, bare = gpudl4.compile(one), gpudl4.compile(one, priors=False)
    difference = likelihood.value(likelihood.theta0) - bare.value(bare.theta0)
    assert difference == pytest.approx(one.models.parameters.prior_stat_sum())
    assert difference > 5
    index = likelihood.names.index("source.alpha")
    assert likelihood.fisher(likelihood.theta0)[index, index] == pytest.approx(bare.fisher(bare.theta0)[index, index] + 2 / 0.1**2)
    assert Datasets([one]).stat_sum() == pytest.approx(likelihood.value(likelihood.theta0))
    other = model("other", amplitude="5e-13 cm-2 s-1 TeV-1")
    other.spectral_model.alpha = source.spectral_model.alpha
    joint = gpudl4.compile(dataset([source, other]))
    assert sum("alpha" in name for name in joint.names) == 1
    gpudl4.assert_gradient(joint, joint.theta0)


def test_points_alone_fit_as_gammapys():
    from gammapy.datasets import FluxPointsDataset as PeerDataset
    from gammapy.estimators import FluxPoints as Peer
    from gammapy.modeling import Fit as PeerFit
    from gammapy.modeling.models import PowerLawSpectralModel as PeerPowerLaw
    from gammapy.modeling.models import SkyModel as PeerModel

    path = shared_data("flux-points", "crab_hess_fp.fits")
    amplitude = "3e-11 cm-2 s-1 TeV-1"
    for stat_type in ("chi2", "distrib", "profile"):
        ours = FluxPointsDataset(SkyModel(PowerLawSpectralModel(index=2.3, amplitude=amplitude), name="m"), FluxPoints.read(path), name="d",
                                 stat_type=stat_type)  # fmt: skip
        theirs = PeerDataset(PeerModel(PeerPowerLaw(index=2.3, amplitude=amplitude), name="m"), Peer.read(path), name="d",
                             stat_type=stat_type)  # fmt: skip
        assert ours.stat_sum() == pytest.approx(theirs.stat_sum(), rel=1e-10)
        result = gpudl4.Fit().run(ours)
        peer = PeerFit(optimize_opts={"tol": 1e-3}).run([theirs])
        assert result.success, result.message
        assert result.total_stat == pytest.approx(ours.stat_sum(), rel=1e-12)
        assert result.total_stat < peer.total_stat + 1e-4
        for name in ("index", "amplitude"):
            mine, other = ours.models.parameters[name], theirs.models.parameters[name]
            assert abs(mine.value - other.value) < 0.03 * other.error
            assert mine.error == pytest.approx(other.error, rel=0.05)


def test_units_and_order_do_not_matter():
    one = dataset(all_models())
    table = make_table()
    for name in ("e_ref", "e_min", "e_max"):
        table[name] = table[name].quantity.to("GeV")
    for name in table.colnames:
        if name.startswith("dnde"):
            table[name] = table[name].quantity.to("erg-1 m-2 h-1")
    models = all_models()
    models["source"].spectral_model.amplitude.quantity = models["source"].spectral_model.amplitude.quantity.to("cm-2 s-1 MeV-1")
    models["source"].spectral_model.reference.quantity = models["source"].spectral_model.reference.quantity.to("keV")
    points = FluxPoints.from_table(table, reference_model=REFERENCE)
    other = FluxPointsDataset(Models(list(models)[::-1]), points, name="points")
    first, second = gpudl4.compile(one), gpudl4.compile(other)
    stat, gradient = first.value_and_gradient(first.theta0)
    again, slopes = second.value_and_gradient(second.theta0)
    assert again == pytest.approx(stat, rel=1e-9)
    for name, slope, value in zip(first.names, gradient, first.theta0, strict=True):
        i = second.names.index(name)
        assert slopes[i] * second.theta0[i] == pytest.approx(slope * value, rel=1e-9)


def test_the_sed_type_does_not_matter():
    source = model()
    one = dataset(source)
    for sed_type in ("flux", "eflux", "e2dnde", "likelihood"):
        points = FluxPoints.from_table(one.data.to_table(sed_type=sed_type), reference_model=REFERENCE)
        assert FluxPointsDataset(source, points).stat_sum() == pytest.approx(one.stat_sum(), rel=1e-10)


def test_a_users_spectrum_without_derivatives():
    class Mine(SpectralModel):
        tag = "mine"
        index = Parameter("index", 2.4)
        amplitude = Parameter("amplitude", "3e-12 cm-2 s-1 TeV-1")

        @staticmethod
        def evaluate(energy, index, amplitude):
            return amplitude * (energy / (1 * u.TeV)).to_value("") ** -index

    mine, theirs = (
        dataset(SkyModel(Mine(), name="m")),
        dataset(SkyModel(PowerLawSpectralModel(index=2.4, amplitude="3e-12 cm-2 s-1 TeV-1"), name="m")),
    )
    first, second = gpudl4.Fit().run(mine), gpudl4.Fit().run(theirs)
    np.testing.assert_allclose(first.values, second.values, rtol=1e-5)
    np.testing.assert_allclose(first.errors, second.errors, rtol=1e-3)


# ------------------------------------------------------------------------------------------------------------------------- joint fits


def joint(stat_type="chi2"):
    """A cube and flux points of its point source."""
    models = make_models()
    cube = make_dataset(models=None)
    truth = models["point"].spectral_model
    table = make_table()
    energy = table["e_ref"].quantity
    factor = (truth(energy) / (3e-12 * energy.value**-2.4 * u.Unit("cm-2 s-1 TeV-1"))).to_value("")
    for name in table.colnames:
        if name.startswith("dnde"):
            table[name] = table[name].quantity * factor
    points = FluxPointsDataset(None, FluxPoints.from_table(table, reference_model=REFERENCE), stat_type=stat_type, name="points")
    models["gauss"].datasets_names = ["test"]
    datasets = Datasets([cube, points])
    datasets.models = models
    return datasets


def test_a_cube_and_points_add_up(kernel_backend):
    datasets = joint().to_device(kernel_backend)
    likelihood = gpudl4.compile(datasets)
    assert likelihood.backend == kernel_backend.name
    parts = [gpudl4.compile([one]) for one in datasets]
    theta = likelihood.theta0 * 1.01
    wanted = dict.fromkeys(likelihood.names, 0.0)
    total = 0.0
    for part in parts:
        own = np.array([theta[likelihood.names.index(name)] for name in part.names])
        value, gradient = part.value_and_gradient(own)
        total += value
        for name, slope in zip(part.names, gradient, strict=True):
            wanted[name] += slope
    value, gradient = likelihood.value_and_gradient(theta)
    assert value == pytest.approx(total, rel=1e-12)
    np.testing.assert_allclose(gradient, [wanted[name] for name in likelihood.names], rtol=1e-9)
    assert likelihood.n_bins == sum(part.n_bins for part in parts)
    expected = np.zeros((len(theta), len(theta)))
    for part in parts:
        where = [likelihood.names.index(name) for name in part.names]
        expected[np.ix_(where, where)] += part.fisher(theta[where])
    np.testing.assert_allclose(likelihood.fisher(theta), expected, rtol=1e-8, atol=1e-9 * np.abs(expected).max())


def test_points_cost_a_device_no_transfer(kernel_device, limits):
    likelihood = gpudl4.compile(joint().to_device(kernel_device))
    theta = likelihood.theta0
    likelihood.value_and_gradient(theta)
    with limits(uploads=1, downloads=1, synchronisations=1, allocations=0):
        likelihood.value_and_gradient(theta * 1.001)


@pytest.mark.parametrize("stat_type", ["chi2", "distrib"])
def test_a_joint_fit_on_a_device_is_that_on_the_host(kernel_device, stat_type):
    host, there = joint(stat_type), joint(stat_type).to_device(kernel_device)
    for datasets in (host, there):
        for source in ("point", "gauss"):
            datasets.models[source].spatial_model.freeze()
    first, second = gpudl4.Fit().run(host), gpudl4.Fit().run(there)
    assert (first.backend, second.backend) == ("numpy", "cupy")
    assert first.success
    assert second.success
    assert (np.abs(second.values - first.values) < 1e-3 * first.errors).all()
    np.testing.assert_allclose(second.errors, first.errors, rtol=1e-3)


def test_a_joint_fit_has_smaller_errors():
    datasets = joint()
    both = gpudl4.Fit().run(datasets)
    assert both.success, both.message
    assert both.total_stat == pytest.approx(datasets.stat_sum(), abs=1e-3)
    errors = dict(zip(both.names, both.errors, strict=True))
    alone = joint()[:1]
    cube = gpudl4.Fit().run(alone)
    single = dict(zip(cube.names, cube.errors, strict=True))
    for name in ("point.index", "point.amplitude"):
        assert errors[name] < 0.8 * single[name]
    for name in ("gauss.sigma", "test-bkg.norm"):
        assert errors[name] == pytest.approx(single[name], rel=0.05)


def test_a_joint_fit_is_gammapys():
    from gammapy.datasets import Datasets as PeerDatasets
    from gammapy.datasets import FluxPointsDataset as PeerPoints
    from gammapy.estimators import FluxPoints as Peer
    from gammapy.modeling import Fit as PeerFit

    datasets = joint()
    table = datasets["points"].data.to_table()
    models = make_models(library="gammapy")
    models["gauss"].datasets_names = ["test"]
    theirs = PeerDatasets([make_dataset(models=None, library="gammapy"), PeerPoints(None, Peer.from_table(table), name="points")])
    theirs.models = models
    assert datasets.stat_sum() == pytest.approx(theirs.stat_sum(), abs=1e-3)
    for one in (datasets.models, models):
        for source in ("point", "gauss"):
            one[source].spatial_model.freeze()  # gammapy's spectrum shall not depend on where its positions get stuck
    ours = gpudl4.Fit().run(datasets)
    PeerFit(optimize_opts={"tol": 1e-3}).run(theirs)
    for name, value, error in zip(ours.names, ours.values, ours.errors, strict=True):
        source, parameter = name.split(".")
        assert abs(value - models[source].parameters[parameter].value) < 0.05 * error, name


def test_one_source_alone():
    datasets = joint()
    likelihood = gpudl4.compile(datasets)
    theta = likelihood.theta0
    local = likelihood.local(theta, "point")
    index = likelihood.names.index("point.index")
    moved = theta.copy()
    moved[index] += 0.05
    whole = likelihood.value(moved) - likelihood.value(theta)
    assert local.value(moved) - local.value(theta) == pytest.approx(whole, abs=1e-6 * abs(likelihood.value(theta)))
    np.testing.assert_allclose(local.value_and_gradient(moved)[1][index], likelihood.value_and_gradient(moved)[1][index], rtol=1e-6)


def test_recompile_draft_memory_and_estimate():
    datasets = joint()
    likelihood = gpudl4.compile(datasets, draft=True)
    again = likelihood.recompile(likelihood.theta0, draft=False)
    assert again.value(again.theta0) == pytest.approx(gpudl4.compile(datasets).value(again.theta0), rel=1e-12)
    assert again.memory.total > 0
    alone = gpudl4.compile(datasets["points"])
    from gpudl4.likelihood import estimate_memory

    assert estimate_memory(datasets).total == gpudl4.compile(datasets).memory.total > estimate_memory(datasets[:1]).total
    assert estimate_memory(datasets["points"]).total == alone.memory.total > 8 * 5
    assert alone.npred(alone.theta0) == []
    assert len(alone.cells(alone.theta0)) == 0
    assert alone.is_valid(alone.theta0)
    assert alone.unconstrained(alone.theta0) == ["point.lon_0", "point.lat_0"]


# -------------------------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("change", "kwargs", "text"),
    [
        (None, {"errors": None}, "'points', stat_type 'chi2': the flux points have no errors: give the flux points errors"),
        (None, {"limits": tuple(range(6))}, r"all of them are upper limits \(see data.is_ul\): use stat_type='distrib'"),
        ("nan", {"ts": False}, "all of them are upper limits|none has a finite flux and error"),
        ("mask", {}, "no bin to fit in 'points': mask_safe and mask_fit exclude everything"),
        ("profile", {}, "have no profiles of the fit statistic: give the flux points profiles"),
        ("negative", {}, "none has a finite flux and error"),
    ],
)
def test_points_that_cannot_be_fitted(change, kwargs, text):
    one = dataset(model(), **kwargs)
    if change == "nan":
        one.data._data["norm"].data[:] = np.nan
    elif change == "mask":
        one.mask_fit = np.zeros(6, dtype=bool)
    elif change == "profile":
        one.stat_type = "profile"
    elif change == "negative":
        one.data._data["norm_err"].data[:] = 0
    with pytest.raises(DatasetError, match=text):
        gpudl4.compile(one)


def test_masked_points_beside_a_cube_count_nothing():
    datasets = joint()
    datasets["points"].mask_fit = np.zeros(6, dtype=bool)
    likelihood, alone = gpudl4.compile(datasets), gpudl4.compile(datasets[:1])
    assert likelihood.names == alone.names
    np.testing.assert_allclose(likelihood.value_and_gradient(likelihood.theta0)[1], alone.value_and_gradient(alone.theta0)[1], rtol=1e-12)
    np.testing.assert_allclose(likelihood.hessian(likelihood.theta0), alone.hessian(alone.theta0), rtol=1e-9)


def test_a_model_that_does_not_apply():
    one = dataset(None)
    source = model()
    source.datasets_names = ["elsewhere"]
    with pytest.raises((ModelError, gpudl4.core.errors.FitError)):
        gpudl4.Fit().run(one, models=Models([source]))
