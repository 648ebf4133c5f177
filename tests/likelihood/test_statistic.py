"""Statistics beside Cash in the compiled likelihood: ON-OFF and weighted datasets, alone and together with others."""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest

import gpudl4
from gpudl4.core.backend import to_host
from gpudl4.core.errors import DatasetError, GeometryError
from gpudl4.maps import Map, WcsGeom
from gpudl4.models import PointSpatialModel, SkyModel
from gpudl4.stats import cash, wstat
from tests import emulator
from tests.factory import get_library, make_dataset

from .onoff import make_peer, moved, on_off, weighted

needs_emulator = pytest.mark.skipif(emulator.missing_requirement() is not None, reason=str(emulator.missing_requirement()))


def _small(name="small", **changes):
    """An ON-OFF dataset in which one source fills a small part of the map, so that most bins lie outside."""
    return on_off(make_dataset(name=name, models="all", npix=(60, 50)), **changes)


def _theta(likelihood, seed=3):
    rng = np.random.default_rng(seed)
    scale = np.where([n.endswith(("lon_0", "lat_0")) for n in likelihood.names], 0.013, 0.05 * np.abs(likelihood.theta0))
    return likelihood.theta0 + scale * rng.uniform(0.3, 1, len(scale))


def _prediction(likelihood, theta, shape, term=0):
    """Predicted counts on the map and where they are given."""
    npred, pixels = likelihood.npred(theta)[term]
    out = np.zeros((shape[0], shape[1] * shape[2]))
    out[:, pixels] = to_host(npred)
    return out.reshape(shape)


def _by_hand(likelihood, theta, dataset, term=0):
    """W statistic of an ON-OFF dataset from the predicted signal."""
    signal = _prediction(likelihood, theta, dataset.counts.data.shape, term)
    stat = np.nan_to_num(wstat(dataset.counts.data, dataset.counts_off.data, dataset.alpha.data, signal))
    return stat[dataset.mask.data].sum()


def _check_derivatives(likelihood, theta):
    """Gradient and Hessian against central differences in the cells of theta, in units of errors."""
    cells = likelihood.cells(theta)
    _, gradient = likelihood.value_and_gradient(theta, cells)
    fisher, hessian = likelihood.second_derivatives(theta, cells)
    sigma = np.sqrt(2 / np.diag(fisher))
    steps, slopes, seconds = np.diag(1e-3 * sigma), [], []
    for step in steps:
        (up, slope_up), (down, slope_down) = (likelihood.value_and_gradient(theta + s, cells) for s in (step, -step))
        slopes.append((up - down) / (2 * step.max()))
        seconds.append((slope_up - slope_down) / (2 * step.max()))
    np.testing.assert_allclose(gradient * sigma, slopes * sigma, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(hessian * np.outer(sigma, sigma), np.array(seconds) * np.outer(sigma, sigma), rtol=2e-3, atol=2e-3)
    np.testing.assert_allclose(likelihood.fisher(theta, cells), fisher, rtol=1e-10)
    assert np.linalg.eigvalsh(fisher / np.outer(np.sqrt(np.diag(fisher)), np.sqrt(np.diag(fisher)))).min() > 0


@pytest.mark.parametrize("kind", [{}, {"reco_psf": True}], ids=["true-psf", "reco-psf"])
def test_wstat_value_and_derivatives(kernel_backend, kind):
    dataset = on_off(make_dataset(**kind))
    with pytest.warns(UserWarning, match="acceptance_off is 0 in 2 bins"):
        likelihood = gpudl4.compile(moved(dataset, kernel_backend))
    theta = _theta(likelihood)
    want = _by_hand(likelihood, theta, dataset)
    value, _ = likelihood.value_and_gradient(theta)
    assert value == pytest.approx(want, rel=1e-12)
    assert likelihood.value(theta) == pytest.approx(value, rel=1e-14)
    if kernel_backend.name == "numpy":
        _check_derivatives(likelihood, theta)


@pytest.mark.filterwarnings("ignore:dataset")
def test_bins_that_nothing_reaches_are_a_constant(kernel_backend):
    dataset = _small()
    likelihood = gpudl4.compile(moved(dataset, kernel_backend))
    (term,) = likelihood.plan.terms
    assert 0 < term.region.size < 60 * 50
    assert term.constant > 0
    assert likelihood.n_bins == dataset.mask.data.sum()
    theta = _theta(likelihood)
    assert likelihood.value(theta) == pytest.approx(_by_hand(likelihood, theta, dataset), rel=1e-12)


@pytest.mark.filterwarnings("ignore:dataset")
def test_frozen_sources_are_signal():
    dataset = _small()
    free = gpudl4.compile(dataset)
    free = free.recompile(_theta(free))
    want = free.value(free.theta0)
    for parameter in dataset.models[0].parameters:
        parameter.frozen = True
    frozen = gpudl4.compile(dataset)
    assert frozen.value(frozen.theta0) == pytest.approx(want, rel=1e-12)
    for model in dataset.models:
        for parameter in model.parameters:
            parameter.frozen = True
    assert gpudl4.compile(dataset).value(np.zeros(0)) == pytest.approx(want, rel=1e-12)


@pytest.mark.filterwarnings("ignore:dataset")
def test_negative_signal_is_not_clipped():
    dataset = on_off(make_dataset())
    likelihood = gpudl4.compile(dataset)
    theta = likelihood.theta0.copy()
    theta[likelihood.names.index("point.amplitude")] *= -0.2
    assert (_prediction(likelihood, theta, dataset.counts.data.shape) < -0.01).any()
    assert likelihood.value(theta) == pytest.approx(_by_hand(likelihood, theta, dataset), rel=1e-12)


@pytest.mark.filterwarnings("ignore:dataset")
def test_one_source_alone_differs_by_a_constant():
    dataset = on_off(make_dataset())
    likelihood = gpudl4.compile(dataset)
    theta = _theta(likelihood)
    for source in ("point", "gauss"):
        alone = likelihood.local(theta, source)
        moved_theta = theta.copy()
        moved_theta[likelihood.names.index(f"{source}.amplitude")] *= 1.3
        np.testing.assert_allclose(
            alone.value(moved_theta) - alone.value(theta), likelihood.value(moved_theta) - likelihood.value(theta), rtol=1e-8
        )


@pytest.mark.filterwarnings("ignore:dataset")
def test_batch():
    likelihood = gpudl4.compile([on_off(make_dataset()), weighted(make_dataset(name="weighted"))])
    thetas = np.array([_theta(likelihood, seed) for seed in range(4)])
    stat, gradient = likelihood.evaluate(thetas)
    for b, theta in enumerate(thetas):
        value, slope = likelihood.value_and_gradient(theta)
        assert stat[b] == pytest.approx(value, rel=1e-13)
        np.testing.assert_allclose(gradient[b], slope, rtol=1e-9, atol=1e-9 * np.abs(slope).max())


# ---- weights ---------------------------------------------------------------------------------------------------------------------------
def test_weighted_value_and_derivatives(kernel_backend):
    plain = make_dataset(npix=(60, 50))
    plain.background.data[1, 3, 5] = -0.01  # outside of the sources: evaluated singly
    plain.background.data[1, 4, 5] = 0.0
    dataset = weighted(plain)
    likelihood = gpudl4.compile(moved(dataset, kernel_backend))
    (term,) = likelihood.plan.terms
    assert len(term.special_bins) == 1
    weight = dataset.mask_safe.data * dataset.mask_fit.data
    assert likelihood.n_bins == (weight > 0).sum()
    theta = _theta(likelihood)
    npred = _prediction(likelihood, theta, plain.counts.data.shape)
    outside = np.ones(npred[0].size, dtype=bool)
    outside[likelihood.npred(theta)[0][1]] = False
    norm = term.background.norm(theta[np.newaxis])[0][0][:, np.newaxis, np.newaxis]
    npred = np.where(outside.reshape(npred[0].shape), norm * plain.background.data, npred)
    want = (cash(plain.counts.data, npred) * weight).sum()
    assert likelihood.value(theta) == pytest.approx(want, rel=1e-12)
    if kernel_backend.name == "numpy":
        _check_derivatives(likelihood, theta)


def test_weights_of_one_and_no_mask_are_the_plain_statistic():
    dataset = make_dataset()
    likelihood = gpudl4.compile(dataset)
    theta = _theta(likelihood)
    stand_in = weighted(dataset)
    stand_in.mask_fit = dataset.mask_fit
    same = gpudl4.compile(stand_in)
    assert same.value(theta) == pytest.approx(likelihood.value(theta), rel=1e-13)
    np.testing.assert_allclose(
        same.hessian(theta), likelihood.hessian(theta), rtol=1e-9, atol=1e-9 * np.abs(likelihood.hessian(theta)).max()
    )
    stand_in.mask = stand_in.mask_safe = stand_in.mask_fit = None
    unmasked = make_dataset(mask=False)
    theta = gpudl4.compile(unmasked).theta0
    assert gpudl4.compile(stand_in).value(theta) == pytest.approx(gpudl4.compile(unmasked).value(theta), rel=1e-13)


# ---- together --------------------------------------------------------------------------------------------------------------------------
@pytest.mark.filterwarnings("ignore:dataset")
def test_a_joint_likelihood_is_the_sum():
    parts = [make_dataset(name="plain"), on_off(make_dataset(name="beside")), weighted(make_dataset(name="weighted"))]
    parts[1].models, parts[2].models = parts[0].models[:2], [*parts[0].models[:2], parts[2].models[-1]]
    together = gpudl4.compile([parts[1], parts[0], parts[2]])
    theta = _theta(together)
    total, slopes, hessian = 0.0, np.zeros(len(theta)), np.zeros((len(theta),) * 2)
    for part in parts:
        alone = gpudl4.compile(part)
        at = [together.names.index(name) for name in alone.names]
        value, slope = alone.value_and_gradient(theta[at])
        total += value
        slopes[at] += slope
        hessian[np.ix_(at, at)] += alone.hessian(theta[at])
    value, gradient = together.value_and_gradient(theta)
    assert value == pytest.approx(total, rel=1e-13)
    np.testing.assert_allclose(gradient, slopes, rtol=1e-9)
    scale = np.sqrt(np.outer(np.diag(hessian), np.diag(hessian)))
    np.testing.assert_allclose(together.hessian(theta) / scale, hessian / scale, rtol=1e-7, atol=1e-7)
    _check_derivatives(together, theta)


@needs_emulator
@pytest.mark.filterwarnings("ignore:dataset")
def test_one_launch_more_per_statistic():
    """However many datasets there are: one launch for each statistic that occurs; and the same numbers as on the host."""
    plain, beside, heavy = make_dataset(name="plain"), on_off(make_dataset(name="beside")), weighted(make_dataset(name="weighted"))
    more = [on_off(make_dataset(name=f"more-{i}"), seed=i) for i in range(3)]
    launches = []
    with emulator.installed():
        for datasets in ([plain], [plain, beside], [plain, beside, *more], [plain, beside, heavy]):
            likelihood = gpudl4.compile(datasets, backend="cupy")
            theta = likelihood.theta0
            likelihood.value_and_gradient(theta)
            with emulator.counting() as count, emulator.guard(uploads=1, downloads=1, synchronisations=1, allocations=0):
                value, gradient = likelihood.value_and_gradient(1.01 * theta)
            launches.append(count.launches)
            host = gpudl4.compile(datasets, backend="numpy")
            want, slope = host.value_and_gradient(1.01 * theta)
            assert value == pytest.approx(want, rel=1e-12)
            np.testing.assert_allclose(gradient, slope, rtol=1e-8, atol=1e-9 * np.abs(slope).max())
        scale = np.sqrt(np.diag(host.fisher(theta)))
        for got, expected in zip(likelihood.second_derivatives(theta), host.second_derivatives(theta), strict=True):
            np.testing.assert_allclose(got / np.outer(scale, scale), expected / np.outer(scale, scale), rtol=1e-9, atol=1e-9)
    assert launches == [launches[0], launches[0] + 1, launches[0] + 1, launches[0] + 2]


@pytest.mark.filterwarnings("ignore:dataset")
def test_memory_is_foreseen_and_a_recompile_is_the_same():
    datasets = [on_off(make_dataset()), weighted(make_dataset(name="weighted"))]
    datasets[1].models = [*datasets[0].models, datasets[1].models[-1]]
    sketched, likelihood = gpudl4.likelihood.estimate_memory(datasets), gpudl4.compile(datasets)
    assert sketched == likelihood.memory
    assert likelihood.memory["weighted"]["weight"] == likelihood.plan.terms[1].extras["weight"].nbytes
    again = likelihood.recompile(likelihood.theta0)
    assert again.value(again.theta0) == likelihood.value(likelihood.theta0)


# ---- refused, and said -------------------------------------------------------------------------------------------------------------------
def test_background_models_do_not_apply():
    dataset = on_off(make_dataset())
    dataset.models = make_dataset().models
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        likelihood = gpudl4.compile(dataset)
    assert any("background model 'test-bkg' does not apply to dataset 'test'" in str(w.message) for w in said)
    assert likelihood.plan.terms[0].background.pack is None


@pytest.mark.parametrize(("name", "wish"), [("counts_off", "set counts_off"), ("alpha", "set acceptance and acceptance_off")])
def test_missing_fields(name, wish):
    with pytest.raises(DatasetError, match=f"'test' has no {name}, which its statistic wstat needs: {wish}"):
        gpudl4.compile(on_off(make_dataset()) if not name else SimpleNamespace(**{**vars(on_off(make_dataset())), name: None}))


@pytest.mark.filterwarnings("ignore:dataset")
def test_bad_values():
    dataset = on_off(make_dataset())
    dataset.counts_off.data[1, 8, 8] = -1
    with pytest.raises(DatasetError, match="counts_off is NaN, infinite or negative in 1 bins inside the fit mask"):
        gpudl4.compile(dataset)
    dataset.counts_off.data[1, 8, 8], dataset.alpha.data[1, 8, 8:10] = 1, np.nan
    with pytest.raises(DatasetError, match="alpha is NaN, infinite or negative in 2 bins"):
        gpudl4.compile(dataset)
    dataset.alpha.data[1, 8, 8:10], dataset.counts.data[1, 8, 8] = 1, np.nan
    with pytest.raises(DatasetError, match="counts are NaN, infinite or negative in 1 bins"):
        gpudl4.compile(dataset)
    dataset.stat_type = "chi2"
    with pytest.raises(DatasetError, match="stat_type 'chi2' is not a statistic of counts; known: cash, cash_weighted, wstat"):
        gpudl4.compile(dataset)
    other = on_off(make_dataset())
    other.alpha = Map.from_geom(make_dataset(npix=(22, 20)).counts.geom, data=1.0)
    with pytest.raises(GeometryError, match="alpha and counts have different geometries"):
        gpudl4.compile(other)


def test_an_empty_mask_leaves_no_bin():
    dataset = on_off(make_dataset())
    nothing = Map.from_geom(dataset.counts.geom, data=np.zeros(dataset.counts.data.shape, dtype=bool))
    dataset.mask = dataset.mask_safe = nothing
    with pytest.raises(DatasetError, match="no bin to fit"):
        gpudl4.compile(dataset)


# ---- gammapy -----------------------------------------------------------------------------------------------------------------------------
@pytest.mark.peer
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", [{}, {"reco_psf": True}], ids=["true-psf", "reco-psf"])
def test_map_dataset_on_off_of_gammapy(kind):
    peer = make_peer(**kind)
    likelihood = gpudl4.compile(on_off(make_dataset(**kind)))
    value, want = likelihood.value(likelihood.theta0), peer.stat_sum()
    scale = np.abs(peer.stat_array()[peer.mask.data]).sum()
    assert abs(value - want) < 1e-6 * scale


@pytest.mark.peer
@pytest.mark.filterwarnings("ignore")
def test_weighted_map_dataset_of_gammapy():
    peer, dataset = make_dataset(library="gammapy"), weighted(make_dataset())
    peer.stat_type = "cash_weighted"
    peer.mask_fit = get_library("gammapy").maps.Map.from_geom(peer.counts.geom, data=dataset.mask_fit.data)
    likelihood = gpudl4.compile(dataset)
    assert likelihood.value(likelihood.theta0) == pytest.approx(peer.stat_sum(), rel=1e-7)


@pytest.mark.peer
@pytest.mark.filterwarnings("ignore")
def test_spectrum_dataset_on_off_of_gammapy():
    """A spectrum as a map of one pixel without a PSF, with a point in it."""
    rng = np.random.default_rng(2)
    n_reco, n_true = 12, 20
    counts, off = rng.poisson(np.geomspace(40, 0.1, n_reco)).astype("float32"), rng.poisson(np.geomspace(60, 0.2, n_reco)).astype("float32")
    mask = np.arange(n_reco) > 1
    out = []
    for name in ("gpudl4", "gammapy"):
        lib = get_library(name)
        axis = lib.maps.MapAxis.from_energy_bounds("0.5 TeV", "30 TeV", nbin=n_reco, name="energy")
        axis_true = lib.maps.MapAxis.from_energy_bounds("0.3 TeV", "50 TeV", nbin=n_true, name="energy_true")
        if name == "gpudl4":
            geom = WcsGeom.create(skydir=(83.63, 22.01), npix=(1, 1), binsz=0.2, frame="icrs", axes=[axis])
        else:
            geom = lib.maps.RegionGeom.create("icrs;circle(83.63, 22.01, 0.1)", axes=[axis])
        true = geom.to_image().to_cube([axis_true])

        def filled(data, geom=geom, lib=lib, unit=""):
            return lib.maps.Map.from_geom(geom, data=np.asarray(data).reshape(geom.data_shape), unit=unit)

        spectral = lib.models.PowerLawSpectralModel(index=2.3, amplitude="3e-12 cm-2 s-1 TeV-1", reference="1 TeV")
        fields = {
            "counts": filled(counts),
            "counts_off": filled(off),
            "exposure": filled(np.geomspace(1e8, 5e9, n_true), geom=true, unit="m2 s"),
            "mask_safe": filled(mask),
            "edisp": lib.irf.EDispKernelMap.from_gauss(axis, axis_true, sigma=0.2, bias=0, geom=geom.to_image()),
        }
        if name == "gammapy":
            dataset = lib.datasets.SpectrumDatasetOnOff(
                **fields, acceptance=filled(np.ones(n_reco)), acceptance_off=filled(np.full(n_reco, 6.0))
            )
            dataset.models = [lib.models.SkyModel(spectral_model=spectral)]
            out.append(dataset.stat_sum())
        else:
            point = PointSpatialModel(lon_0="83.63 deg", lat_0="22.01 deg", frame="icrs")
            point.lon_0.frozen = point.lat_0.frozen = True
            dataset = SimpleNamespace(
                **fields, alpha=filled(np.full(n_reco, 1 / 6)), name="spectrum", tag="SpectrumDatasetOnOff", psf=None, background=None,
                mask=fields["mask_safe"], mask_fit=None, stat_type="wstat", models=[SkyModel(spectral, point, name="crab")],
            )  # fmt: skip
            likelihood = gpudl4.compile(dataset)
            out.append(likelihood.value(likelihood.theta0))
            _check_derivatives(likelihood, likelihood.theta0)
    assert out[0] == pytest.approx(out[1], rel=1e-6)
