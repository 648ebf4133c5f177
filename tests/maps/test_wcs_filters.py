"""Convolution, smoothing, erosion and dilation, on each backend."""

import astropy.units as u
import numpy as np
import pytest
import scipy.signal
from astropy.convolution import Tophat2DKernel

from gpudl4.core.backend import to_device
from gpudl4.core.errors import GeometryError
from gpudl4.maps import Map, MapAxis
from gpudl4.maps.wcs_filters import convolve_array
from gpudl4.maps.wcs_masks import disk_kernel
from tests.arrays import assert_close, host

ENERGY = MapAxis.from_energy_bounds("1 TeV", "10 TeV", 3)
RNG = np.random.default_rng(0)


@pytest.fixture
def image(backend):
    m = Map.create(npix=(21, 17), binsz=0.1, dtype=float)
    m.data = RNG.uniform(size=(17, 21))
    return m.to_device(backend)


@pytest.mark.parametrize("mode", ["same", "full"])
@pytest.mark.parametrize("method", ["fft", "direct"])
@pytest.mark.parametrize("shape", [(3, 5), (4, 4), (1, 1), (19, 23)])
def test_convolution_agrees_with_scipy(image, shape, method, mode):
    kernel = RNG.uniform(size=shape)
    wanted = scipy.signal.convolve2d(host(image), kernel, mode="full")
    if mode == "same":
        start = [(k - 1) // 2 for k in shape]
        wanted = wanted[start[0] : start[0] + 17, start[1] : start[1] + 21]
    got = convolve_array(image.data, to_device(kernel, image.backend), method=method, mode=mode)
    assert_close(got, wanted, atol=1e-12)


def test_kernel_maps(image):
    axis_map = Map.create(npix=5, binsz=0.1, axes=[ENERGY], dtype=float)
    axis_map.data[:] = RNG.uniform(size=(3, 5, 5))
    axis_map = axis_map.to_device(image.backend)
    out = image.convolve(axis_map)
    assert out.geom.axes.names == ["energy"]
    assert_close(out.data[1], convolve_array(image.data, axis_map.data[1]))
    full = image.convolve(axis_map, mode="full")
    assert full.data.shape == (3, 21, 25)
    assert full.geom.is_aligned(image.geom)
    assert_close(full.data[:, 2:-2, 2:-2], out.data, atol=1e-12)


def test_type_of_a_convolution(image):
    kernel = np.ones((3, 3))
    assert image.convolve(kernel).data.dtype == float
    small = image.copy(dtype="float32")
    assert small.convolve(kernel.astype("float32")).data.dtype == np.float32
    counts = image.copy(data=20000001)
    assert float(counts.convolve(kernel).data[8, 8]) == pytest.approx(180000009, abs=1e-3)
    assert (image > 0.5).convolve(kernel).data.dtype == np.float32


def test_convolution_errors(image):
    with pytest.raises(GeometryError, match="pixel sizes of map and kernel differ"):
        image.convolve(Map.create(npix=5, binsz=0.2).to_device(image.backend))
    with pytest.raises(GeometryError, match="planes of the kernel"):
        image.convolve(np.ones((3, 5, 5)))
    with pytest.raises(GeometryError, match="unknown convolution method"):
        image.convolve(np.ones((3, 3)), method="slow")
    with pytest.raises(GeometryError, match="kernel of odd size"):
        image.convolve(np.ones((4, 4)), mode="full")


def test_smoothing_keeps_the_sum(image):
    image.data[:] = 0
    image.data[8, 10] = 1
    for kernel in ("gauss", "disk", "box"):
        out = image.smooth(0.2 * u.deg, kernel=kernel, mode="constant")
        assert_close(out.data.sum(), 1, rtol=1e-4)
        assert out.data.max() < 1
    assert image.smooth("0.2 deg").is_allclose(image.smooth(2.0))
    with pytest.raises(GeometryError, match="unknown kernel 'hat'"):
        image.smooth(1, kernel="hat")
    with pytest.raises(TypeError, match="kernel 'gauss' has no option 'colour'; it has cval, mode, order"):
        image.smooth(1, colour="red")


@pytest.mark.parametrize("radius", [0.4, 1, 2.5, 3, 3.7])
def test_disk_kernel_agrees_with_astropy(radius):
    wanted = Tophat2DKernel(radius)
    wanted.normalize("peak")
    np.testing.assert_array_equal(disk_kernel(radius), wanted.array)


@pytest.mark.parametrize("use_fft", [True, False])
def test_erosion_and_dilation(backend, use_fft):
    mask = Map.create(npix=21, binsz=0.1, axes=[ENERGY], dtype=bool)
    mask.data[:, 5:16, 5:16] = True
    mask = mask.to_device(backend)
    eroded = mask.binary_erode(0.3 * u.deg, kernel="box", use_fft=use_fft)
    wide = mask.binary_dilate(0.3 * u.deg, kernel="box", use_fft=use_fft)
    assert eroded.data.sum() == 3 * 9 * 9
    assert wide.data.sum() == 3 * 13 * 13
    assert mask.binary_dilate(1, use_fft=use_fft).data.sum() == 3 * (121 + 44)
    with pytest.raises(GeometryError, match="only masks can be eroded"):
        mask.copy(dtype=float).binary_erode(1)
    with pytest.raises(GeometryError, match="unknown kernel 'star'"):
        mask.binary_erode(1, kernel="star")
