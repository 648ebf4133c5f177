"""FFTs and plan objects: same numbers as SciPy, library calls and memory counted as cuFFT spends them."""

import numpy as np
import pytest
import scipy.fft

from tests import emulator


@pytest.fixture
def fft(cp):
    from cupyx.scipy import fft

    return fft


@pytest.mark.parametrize("norm", [None, "ortho", "forward"])
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("rfft2", {}),
        ("rfft2", {"s": (8, 12)}),
        ("rfft", {"n": 5}),
        ("irfft2", {}),
        ("irfft2", {"s": (6, 9)}),
        ("fft2", {}),
        ("ifft", {}),
        ("fftn", {"axes": (0, 1)}),
        ("irfftn", {"s": (6, 7), "axes": (-2, -1)}),
    ],
)
def test_values(cp, fft, rng, name, arguments, norm):
    host = rng.normal(size=(3, 6, 7))
    if name.startswith("i"):
        host = host + 1j * rng.normal(size=host.shape)
    device = cp.asarray(host)
    result = getattr(fft, name)(device, norm=norm, **arguments).get()
    np.testing.assert_allclose(result, getattr(scipy.fft, name)(host, norm=norm, **arguments), rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(device.get(), host)


def test_single_precision_is_kept(cp, fft):
    spectrum = fft.rfft2(cp.ones((4, 4), np.float32))
    assert spectrum.dtype == np.complex64
    assert fft.irfft2(spectrum).dtype == np.float32


def test_plans_cost_one_call_and_no_memory(cp, fft, rng):
    image = rng.normal(size=(5, 16, 20))
    device, spectrum, back = cp.asarray(image), cp.empty((5, 16, 11), complex), cp.empty((5, 16, 20))
    with emulator.counting() as making:
        forward = fft.get_fft_plan(device, axes=(1, 2), value_type="R2C")
        inverse = fft.get_fft_plan(spectrum, shape=(16, 20), axes=(1, 2), value_type="C2R")
    assert (making.api_calls, making.allocations) == (2, 2)
    with emulator.counting() as count, emulator.guard(allocations=0):
        forward.fft(device, spectrum, cp.cuda.cufft.CUFFT_FORWARD)
        np.testing.assert_allclose(spectrum._array, scipy.fft.rfft2(image), rtol=1e-12)
        inverse.fft(spectrum, back, cp.cuda.cufft.CUFFT_INVERSE)
    assert (count.api_calls, count.launches) == (2, 0)
    np.testing.assert_allclose(back.get() / 320, image, rtol=1e-12, atol=1e-14)
    assert np.isnan(spectrum.get()).all()  # cuFFT destroys the input of a complex-to-real transform


def test_functions_take_plans(cp, fft, rng):
    image = cp.asarray(rng.normal(size=(2, 8, 8)))
    plan = fft.get_fft_plan(image, axes=(1, 2), value_type="R2C")
    with emulator.counting() as count:
        spectrum = fft.rfft2(image, plan=plan)
        with plan:
            fft.rfft2(image)
    assert (count.api_calls, count.allocations) == (2, 2)
    with pytest.raises(ValueError, match=r"The cuFFT plan and a\.shape do not match"):
        fft.rfft2(image[:1], plan=plan)
    with emulator.counting() as count:
        fft.irfft2(spectrum)
        fft.irfft2(spectrum)
    assert count.api_calls_by_name == {"cufftMakePlan": 1, "cufftExec": 2}
    assert count.allocations == 1 + 2 * 2  # the work area; twice a copy of the spectrum and the result


def test_overwrite_x_saves_the_copy_and_destroys_the_input(cp, fft):
    spectrum = fft.rfft2(cp.ones((8, 8)))
    fft.irfft2(spectrum)
    with emulator.counting() as count:
        image = fft.irfft2(spectrum, overwrite_x=True)
    assert count.allocations == 1
    np.testing.assert_allclose(image.get(), 1, rtol=1e-14)
    assert np.isnan(spectrum.get()).all()
    data = cp.ones(8, complex)
    assert fft.fft(data, overwrite_x=True).data.ptr == data.data.ptr


def test_a_plan_refuses_what_cufft_would_misread(cp, fft):
    image = cp.ones((4, 6))
    plan = fft.get_fft_plan(image, value_type="R2C")
    out = plan.get_output_array(image)
    assert out.shape == (4, 4)
    with pytest.raises(ValueError, match="the plan's input is float64"):
        plan.fft(cp.ones((4, 6), np.float32), out, -1)
    with pytest.raises(ValueError, match="the plan's output is complex128"):
        plan.fft(image, cp.empty((4, 6), complex), -1)
    with pytest.raises(ValueError, match="must be C-contiguous"):
        plan.fft(cp.ones((6, 4)).T, out, -1)
    with pytest.raises(ValueError, match="cannot transform in direction 1"):
        plan.fft(image, out, 1)
    with pytest.raises(ValueError, match="one to three adjacent axes"):
        fft.get_fft_plan(cp.ones((2, 3, 4)), axes=(0, 2))
    with pytest.raises(TypeError, match=r"must be a cupy\.ndarray"):
        fft.rfft2(np.ones((4, 4)))
