"""The Numba kernels against the slow oracle: every kernel forward, and every adjoint as the transpose of its forward."""

import numpy as np
import pytest

from gpudl4 import kernels
from tests import oracle

RNG = np.random.default_rng(7)
L, K, NY, NX = 4, 3, 9, 11


def _response(h=5, w=3):
    psf = RNG.random((L, h, w))
    edisp = RNG.random((L, K))
    edisp[0, 1:] = 0
    edisp[3, 0] = 0
    nonzero = edisp != 0
    first = nonzero.argmax(axis=1)
    last = K - nonzero[:, ::-1].argmax(axis=1)
    return psf, RNG.random((L, NY, NX)), edisp, first, last


def _start():
    return np.arange(NY) * NX


def _weights(fx, fy):
    return np.array([[(1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy]])


def test_the_door_lists_and_loads_kernels():
    assert {"background", "cash", "fold", "place"} <= set(kernels.stems())
    with pytest.raises(ValueError, match="unknown kernel 'nothing'"):
        kernels.cpu("nothing")


@pytest.mark.parametrize(("x", "y"), [(5.3, 4.6), (5.0, 4.0), (0.4, 0.2), (9.7, 7.8), (2.0, 7.5)])
def test_place_equals_the_oracle(x, y):
    psf, exposure, edisp, first, last = _response()
    flux = RNG.random((1, L))
    cell = int(np.floor(x)), int(np.floor(y))
    corner = np.array([[cell[1] - 2, cell[0] - 1]])
    mu = np.zeros((1, K, NY * NX))
    padded = np.pad(psf, ((0, 0), (1, 1), (1, 1)))
    kernels.cpu("place").place(padded, exposure, corner, _weights(x - cell[0], y - cell[1]), flux, edisp, first, last, _start(), mu)
    want = oracle.fold(oracle.point_image(x, y, (NY, NX)), flux[0], exposure, edisp, psf, psf_last=False)
    np.testing.assert_allclose(mu[0].reshape(K, NY, NX), want, rtol=1e-13, atol=1e-14)


def test_place_pull_is_the_adjoint():
    psf, exposure, edisp, first, last = _response()
    padded = np.pad(psf, ((0, 0), (1, 1), (1, 1)))
    corner = np.array([[1, 3], [-2, 8]])
    slope = RNG.normal(size=(2, K, NY * NX))
    by_corner = np.zeros((2, 4, L))
    kernels.cpu("place").place_pull(padded, exposure, corner, edisp, first, last, _start(), slope, by_corner)
    for b in range(2):
        for c in range(4):
            for true in range(L):
                weight, flux = np.eye(4)[c : c + 1], np.eye(L)[true : true + 1]
                mu = np.zeros((1, K, NY * NX))
                kernels.cpu("place").place(padded, exposure, corner[b : b + 1], weight, flux, edisp, first, last, _start(), mu)
                assert by_corner[b, c, true] == pytest.approx((mu * slope[b]).sum(), rel=1e-12, abs=1e-13)


@pytest.mark.parametrize(("x", "y"), [(5.3, 4.6), (0.4, 0.2), (9.7, 7.8)])
def test_place_reco_equals_the_oracle(x, y):
    _, exposure, edisp, _, _ = _response()
    psf = RNG.random((K, 3, 5))
    flux = RNG.random(L)
    cell = int(np.floor(x)), int(np.floor(y))
    weight = _weights(x - cell[0], y - cell[1])[0]
    pixels = [(cell[1] + j, cell[0] + i) for j in (0, 1) for i in (0, 1)]
    seen = np.array([exposure[:, py, px] if py < NY and px < NX else np.zeros(L) for py, px in pixels])
    amount = weight[np.newaxis, np.newaxis] * np.einsum("lk,l,cl->kc", edisp, flux, seen)[np.newaxis]
    mu = np.zeros((1, K, NY * NX))
    padded = np.pad(psf, ((0, 0), (1, 1), (1, 1)))
    kernels.cpu("place").place_reco(padded, (NY, NX), np.array([[cell[1] - 1, cell[0] - 2]]), amount, _start(), mu)
    want = oracle.fold(oracle.point_image(x, y, (NY, NX)), flux, exposure, edisp, psf, psf_last=True)
    np.testing.assert_allclose(mu[0].reshape(K, NY, NX), want, rtol=1e-13, atol=1e-14)


def test_place_reco_pull_is_the_adjoint():
    psf = np.pad(RNG.random((K, 3, 5)), ((0, 0), (1, 1), (1, 1)))
    corner = np.array([[-1, 2], [6, 9]])
    slope = RNG.normal(size=(2, K, NY * NX))
    by_amount = np.zeros((2, K, 4))
    kernels.cpu("place").place_reco_pull(psf, (NY, NX), corner, _start(), slope, by_amount)
    for b in range(2):
        for k in range(K):
            for c in range(4):
                amount = np.zeros((1, K, 4))
                amount[0, k, c] = 1
                mu = np.zeros((1, K, NY * NX))
                kernels.cpu("place").place_reco(psf, (NY, NX), corner[b : b + 1], amount, _start(), mu)
                assert by_amount[b, k, c] == pytest.approx((mu * slope[b]).sum(), rel=1e-12, abs=1e-13)


def test_fold_and_its_adjoints():
    _, exposure, edisp, first, last = _response()
    templates, flux = RNG.random((2, L, NY, NX)), RNG.random((2, L))
    mu = np.zeros((2, K, NY * NX))
    fold = kernels.cpu("fold")
    fold.fold(templates, flux, edisp, first, last, _start(), mu)
    want = np.einsum("lk,bl,blyx->bkyx", edisp, flux, templates).reshape(2, K, -1)
    np.testing.assert_allclose(mu, want, rtol=1e-13)
    slope = RNG.normal(size=mu.shape)
    q = np.einsum("lk,bkyx->blyx", edisp, slope.reshape(2, K, NY, NX))
    by_flux, field = np.zeros((2, L)), np.empty_like(templates)
    fold.fold_pull_field(templates, exposure, flux, edisp, first, last, _start(), slope, by_flux, field)
    np.testing.assert_allclose(by_flux, (q * templates).sum(axis=(2, 3)), rtol=1e-12)
    np.testing.assert_allclose(field, flux[:, :, None, None] * exposure * q, rtol=1e-12, atol=1e-14)
    again = np.zeros((2, L))
    fold.fold_pull(templates, edisp, first, last, _start(), slope, again)
    np.testing.assert_array_equal(again, by_flux)


def test_boxes_are_added_and_taken():
    image = RNG.random((1, K, 3, 4))
    start = np.array([5, 20, 40])
    mu = np.zeros((1, K, 60))
    fold = kernels.cpu("fold")
    fold.add_box(image, start, mu)
    back = np.empty_like(image)
    fold.take_box(mu, start, back)
    np.testing.assert_array_equal(back, image)
    assert mu.sum() == pytest.approx(image.sum())


def _cash_input():
    counts = np.array([[0.0, 0.0, 0.0, 1.0, 3.0, 2.0, 0.0, 5.0]])
    mu = np.array([[[0.0, 2.0, -1.0, 0.0, 2.5, -3.0, 1e-30, 4.0]]])
    mask = np.array([[1, 1, 1, 1, 1, 1, 1, 0]], dtype=np.uint8)
    return counts, mask, mu


def test_cash_edge_cases():
    counts, mask, mu = _cash_input()
    value, slope = np.empty(1), np.empty_like(mu)
    kernels.cpu("cash").cash(counts, mask, mu, value, slope)
    assert value[0] == pytest.approx(oracle.cash(counts, mu[0], mask), rel=1e-14)
    np.testing.assert_allclose(slope[0, 0], [2.0, 2.0, 0.0, 0.0, 2 - 6 / 2.5, 0.0, 2.0, 0.0])
    only = np.empty(1)
    kernels.cpu("cash").cash_value(counts, mask, mu, only)
    assert only[0] == pytest.approx(value[0], rel=1e-15)


def test_one_count_without_prediction_costs_115():
    value, slope = np.empty(1), np.empty((1, 1, 1))
    kernels.cpu("cash").cash(np.ones((1, 1)), np.ones((1, 1), np.uint8), np.zeros((1, 1, 1)), value, slope)
    assert value[0] == pytest.approx(115.12925, abs=1e-4)


def test_cash_slope_against_differences():
    counts = RNG.poisson(3.0, size=(2, 50)).astype(np.float32)
    mask = np.ones((2, 50), np.uint8)
    mu = RNG.uniform(0.5, 6.0, size=(1, 2, 50))
    cash = kernels.cpu("cash")
    value, slope, up, down = np.empty(1), np.empty_like(mu), np.empty(1), np.empty(1)
    cash.cash(counts, mask, mu, value, slope)
    for k, a in [(0, 3), (1, 49)]:
        step = np.zeros_like(mu)
        step[0, k, a] = 1e-4
        cash.cash_value(counts, mask, mu + step, up)
        cash.cash_value(counts, mask, mu - step, down)
        assert slope[0, k, a] == pytest.approx((up[0] - down[0]) / 2e-4, rel=1e-6, abs=1e-7)


def test_background_fill_pull_and_closed_sums():
    kernel = kernels.cpu("background")
    counts = RNG.poisson(2.0, size=(2, 6, 7)).astype(np.float32)
    template = RNG.uniform(0.5, 2.0, size=(2, 6, 7))
    template[0, 0, 0] = 0.0
    template[1, 5, 6] = -0.1
    counts[0, 0, 1] = np.nan
    static = np.zeros((2, 6, 7))
    static[1, 2, 2] = 0.3
    mask = RNG.random((2, 6, 7)) < 0.8
    mask[0, 0, :2] = mask[1, 5, 6] = mask[1, 2, 2] = True
    active = np.zeros((6, 7), dtype=bool)
    active[3:5, 3:6] = True
    sums, special = np.zeros((2, kernel.N_SUMS)), np.zeros(2, dtype=np.int64)
    kernel.outside_sums(counts, template, static, mask, active, sums, special)
    assert sums[:, kernel.BAD_COUNTS].sum() == 1
    assert special.tolist() == [0, 2]
    ordinary = mask & ~active & (template > 0) & np.isfinite(counts) & (static == 0)
    np.testing.assert_allclose(sums[:, kernel.SUM_TEMPLATE], [template[k][ordinary[k]].sum() for k in range(2)])
    n_log = [np.sum(counts[k][ordinary[k]] * np.log(template[k][ordinary[k]])) for k in range(2)]
    np.testing.assert_allclose(sums[:, kernel.SUM_COUNTS_LOG], n_log, rtol=1e-6)
    bins, values = np.zeros(2, dtype=np.int64), np.zeros((2, 3))
    kernel.special_bins(counts, template, static, mask, active, bins, values)
    assert bins.tolist() == [1, 1]
    assert sorted(values[:, 2]) == [0.0, pytest.approx(0.3)]

    norm, mu = np.array([[1.5, 0.5]]), np.empty((1, 2, 42))
    kernel.fill(template.reshape(2, -1), norm, static.reshape(2, -1), mu)
    np.testing.assert_allclose(mu[0].reshape(2, 6, 7), norm[0][:, None, None] * template + static)
    slope, gradient = RNG.normal(size=mu.shape), np.zeros((1, 2))
    kernel.pull(template.reshape(2, -1), slope, gradient)
    np.testing.assert_allclose(gradient[0], (template.reshape(2, -1) * slope[0]).sum(axis=1), rtol=1e-12)
