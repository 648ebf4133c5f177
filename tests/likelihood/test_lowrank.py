"""Few PSF kernels in place of many: against the exact way, in images, predictions, gradients and second derivatives."""

import numpy as np
import pytest
from scipy.fft import irfft2, rfft2

from gpudl4.likelihood import assert_gradient, compile, image_source
from gpudl4.likelihood.lowrank import SLACK, SLOPE_ERROR, VALUE_ERROR, choose_basis
from tests.factory import make_dataset

N_ENERGY, PADDED, BOX = 16, (192, 180), (170, 160)


def gaussian(shape, y, x, sigma):
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * sigma**2)) / (2 * np.pi * sigma**2)


def slopes(y, x, sigma):
    """Derivatives of an image by position and width."""
    step = 1e-4
    up, down = (np.array([gaussian(BOX, y + s, x, sigma), gaussian(BOX, y, x + s, sigma), gaussian(BOX, y, x, sigma + s)])
                for s in (step, -step))  # fmt: skip
    return (up - down) / (2 * step)


@pytest.fixture(scope="module")
def psf():
    """Sums of two Gaussians that get narrower with energy."""
    widths = np.geomspace(6.0, 1.2, N_ENERGY)
    kernels = np.array([0.8 * gaussian((41, 41), 20, 20, w) + 0.2 * gaussian((41, 41), 20, 20, 2.5 * w) for w in widths])
    return kernels / kernels.sum(axis=(1, 2), keepdims=True)


def planes(kernels, image, modes=None):
    """Convolved planes; of `modes` only the first columns of the spectrum."""
    spectrum = rfft2(kernels, s=PADDED) * rfft2(image, s=PADDED)
    spectrum[..., modes or spectrum.shape[-1] :] = 0.0
    return irfft2(spectrum, s=PADDED)


def error(basis, psf, image):
    """Largest error of a plane in units of its largest value."""
    exact = planes(psf, image)
    left = np.abs(exact - np.einsum("ln,nyx->lyx", basis.mixing, planes(basis.kernels, image, basis.modes)))
    return (left.max(axis=(1, 2)) / np.abs(exact).max(axis=(1, 2))).max()


@pytest.mark.parametrize(("sigma", "centre"), [(12.0, (85, 80)), (20.0, (85, 80)), (12.0, (48, 110))])  # the last: cut off by the edge
def test_errors_are_within_their_bounds(psf, sigma, centre):
    image, derivatives = gaussian(BOX, *centre, sigma), slopes(*centre, sigma)
    basis = choose_basis(psf, image, derivatives, PADDED)
    assert basis.kernels.shape == (basis.mixing.shape[1], 41, 41)
    assert basis.mixing.shape[1] < 0.6 * N_ENERGY
    np.testing.assert_allclose(basis.mixing.T @ basis.mixing, np.eye(basis.mixing.shape[1]), atol=1e-12)
    assert error(basis, psf, image) < VALUE_ERROR
    assert max(error(basis, psf, slope) for slope in derivatives) < SLOPE_ERROR
    assert basis.serves(image)


def test_fast_modes_are_left_out(psf):
    """Fewer for a sharper image, and all of them where its edge is sharp; what is left out counts against the same bound."""
    found = {}
    for name, sigma, centre in (("wide", 14.0, (85, 80)), ("narrow", 9.0, (85, 80)), ("cut off", 14.0, (85, 110))):
        basis = choose_basis(psf, gaussian(BOX, *centre, sigma), slopes(*centre, sigma), PADDED)
        found[name] = basis.modes
    assert 10 < found["wide"] < found["narrow"] < found["cut off"] <= PADDED[1] // 2 + 1


def test_modes_that_are_left_out_count_when_the_image_changes(psf):
    """An image with a ripple in a mode that is left out is not served, although every kernel kept would serve it."""
    image = gaussian(BOX, 85, 80, 20.0)
    basis = choose_basis(psf, image, slopes(85, 80, 20.0), PADDED)
    ripple = np.cos(2 * np.pi * (basis.modes + 2) / PADDED[1] * np.arange(BOX[1])) * gaussian(BOX, 85, 80, 25.0)
    assert basis.serves(image + 1e-7 * ripple)
    assert not basis.serves(image + 1e-2 * ripple)


def test_a_sharper_image_wants_another_basis(psf):
    basis = choose_basis(psf, gaussian(BOX, 85, 80, 20.0), slopes(85, 80, 20.0), PADDED)
    assert basis.serves(gaussian(BOX, 85, 80, 21.0))
    assert basis.serves(gaussian(BOX, 86.5, 79.3, 20.0))
    assert not basis.serves(gaussian(BOX, 85, 80, 8.0))
    assert not basis.serves(np.zeros(BOX))
    served = [gaussian(BOX, 85, 80, sigma) for sigma in np.arange(8.0, 20.0, 0.5)]
    assert max(error(basis, psf, image) for image in served if basis.serves(image)) < SLACK * VALUE_ERROR


def test_where_no_basis_pays(psf):
    point, nothing = np.zeros(BOX), np.zeros(BOX)
    point[85, 80] = 1.0
    cut = gaussian(BOX, 5, 80, 20.0)  # its edge is as sharp as a point
    assert choose_basis(psf, cut, [], PADDED) is None
    assert choose_basis(psf, point, [], PADDED) is None
    assert choose_basis(psf, nothing, [], PADDED) is None


# ---- in a likelihood -------------------------------------------------------------------------------------------------------------------
@pytest.fixture
def dataset():
    """A Gaussian that spans most of a map, cut off by its edge."""
    dataset = make_dataset(npix=(170, 160), n_true=12)
    spatial = dataset.models["gauss"].spatial_model
    spatial.sigma.value, spatial.e.value, spatial.lat_0.value = 1.9, 0.3, 0.3
    return dataset


def exact(monkeypatch, *args, **kwargs):
    with monkeypatch.context() as patch:
        patch.setattr(image_source, "choose_basis", lambda *_: None)
        return compile(*args, **kwargs)


def gauss(likelihood):
    return next(s for s in likelihood.plan.terms[0].sources if s.name == "gauss")


def off_kink(likelihood):
    names = [name.endswith(("lon_0", "lat_0")) for name in likelihood.names]
    return likelihood.theta0 + 0.013 * np.array(names)


def test_prediction_and_statistic(monkeypatch, dataset):
    likelihood, reference = compile(dataset), exact(monkeypatch, dataset)
    assert gauss(likelihood).rank < gauss(reference).rank
    theta = off_kink(likelihood)
    (mu, _), (want, _) = likelihood.npred(theta)[0], reference.npred(theta)[0]
    assert (np.abs(mu - want).max(axis=1) / want.max(axis=1)).max() < 1e-7
    scale = 2 * (want.sum() + np.abs(likelihood.plan.terms[0].counts * np.log(want)).sum())
    assert abs(likelihood.value(theta) - reference.value(theta)) < 5e-9 * scale


def test_derivatives(monkeypatch, dataset):
    likelihood, reference = compile(dataset), exact(monkeypatch, dataset)
    theta = off_kink(likelihood)
    assert assert_gradient(likelihood, theta, rtol=1e-6) < 1e-6
    cells = likelihood.cells(theta)
    sigma = np.sqrt(2 / np.diag(likelihood.fisher(theta)))
    ours, theirs = (one.value_and_gradient(theta)[1] * sigma for one in (likelihood, reference))
    np.testing.assert_allclose(ours, theirs, atol=1e-4)  # of a standard deviation
    numeric = []
    for i, step in enumerate(1e-3 * sigma):
        up, down = theta.copy(), theta.copy()
        up[i] += step
        down[i] -= step
        numeric.append((likelihood.value_and_gradient(up, cells)[1] - likelihood.value_and_gradient(down, cells)[1]) / (2 * step))
    for matrix in (np.array(numeric), reference.hessian(theta)):
        np.testing.assert_allclose(likelihood.hessian(theta) * np.outer(sigma, sigma), matrix * np.outer(sigma, sigma), atol=2e-4)


def test_it_is_chosen_anew(dataset):
    likelihood = compile(dataset)
    theta, index = likelihood.theta0.copy(), likelihood.names.index("gauss.sigma")
    assert likelihood.is_valid(theta)
    theta[index] = 0.9
    assert not likelihood.is_valid(theta)
    again = likelihood.recompile(theta)
    assert again.is_valid(theta)
    fresh = compile(dataset)  # the parameters were set by `recompile`
    assert again.value(theta) == fresh.value(theta)
    np.testing.assert_array_equal(again.value_and_gradient(theta)[1], fresh.value_and_gradient(theta)[1])


def test_single_precision_and_devices(dataset, kernel_device):
    likelihood, single, there = compile(dataset), compile(dataset, dtype="float32"), compile(dataset, backend=kernel_device)
    theta = off_kink(likelihood)
    (mu, _), (rough, _) = likelihood.npred(theta)[0], single.npred(theta)[0]
    assert np.abs(mu - rough).max() < 3e-6 * mu.max()
    stat, gradient = likelihood.value_and_gradient(theta)
    other, slope = there.value_and_gradient(theta)
    assert other == pytest.approx(stat, rel=1e-11)
    np.testing.assert_allclose(slope, gradient, rtol=1e-8, atol=1e-8 * np.abs(gradient).max())
