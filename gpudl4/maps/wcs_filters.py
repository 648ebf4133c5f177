"""Filters of sky maps, plane by plane: convolution, smoothing, erosion and dilation of masks."""

import numpy as np
from astropy import units as u

from ..core.backend import array_namespace, backend_of, to_device
from ..core.errors import GeometryError
from .wcs_masks import binary_structure, disk_kernel

__all__ = ["binary_map", "convolve_array", "convolve_map", "smooth_map"]

# Options of the filter behind each shape that both SciPy and CuPy know.
SMOOTHING_OPTIONS = {
    "gauss": ("cval", "mode", "order", "radius", "truncate"),
    "disk": ("cval", "mode", "origin"),
    "box": ("cval", "mode", "origin"),
}


def convolve_array(data, kernel, method="fft", mode="same"):
    """Convolve images with kernels, in float64.

    Parameters
    ----------
    data : array
        Images, shape (..., ny, nx).
    kernel : array
        Kernels, shape (ky, kx) or leading dimensions that broadcast against those of `data`.
    method : {"fft", "direct"}
        Method.
    mode : {"same", "full"}
        Size of the result: that of the images, centred, or everything the kernel reaches. Pixels outside the images count as 0.

    Returns
    -------
    data : array
        Float64.
    """
    if method not in ("fft", "direct") or mode not in ("same", "full"):
        raise GeometryError(f"unknown convolution method {method!r} or mode {mode!r}: choose 'fft' or 'direct', and 'same' or 'full'")
    backend = backend_of(data, kernel)
    data, kernel = data.astype(float), kernel.astype(float)
    full = [n + k - 1 for n, k in zip(data.shape[-2:], kernel.shape[-2:], strict=True)]
    if method == "fft":
        size = [backend.fft.next_fast_len(n) for n in full]
        spectrum = backend.fft.rfft2(data, s=size) * backend.fft.rfft2(kernel, s=size)
        result = backend.fft.irfft2(spectrum, s=size)[..., : full[0], : full[1]]
    else:
        result = _convolve_direct(backend.xp, data, kernel, full)
    if mode == "full":
        return result
    start = [(k - 1) // 2 for k in kernel.shape[-2:]]
    return result[..., start[0] : start[0] + data.shape[-2], start[1] : start[1] + data.shape[-1]]


def _convolve_direct(xp, data, kernel, full):
    lead = np.broadcast_shapes(data.shape[:-2], kernel.shape[:-2])
    result = xp.zeros((*lead, *full))
    for y in range(kernel.shape[-2]):
        for x in range(kernel.shape[-1]):
            result[..., y : y + data.shape[-2], x : x + data.shape[-1]] += data * kernel[..., y : y + 1, x : x + 1]
    return result


def convolve_map(map_, kernel, method="fft", mode="same"):
    """Convolve every image plane of a map with a kernel.

    A two-dimensional kernel serves all planes. A kernel with more dimensions must match the map plane by plane; or the map is an
    image and the kernel a `~gpudl4.irf.PSFKernel` or a map, whose axes the result gets.

    Parameters
    ----------
    map_ : `~gpudl4.maps.WcsNDMap`
        Map.
    kernel : `~gpudl4.irf.PSFKernel`, `~gpudl4.maps.WcsNDMap` or array
        Kernel; the pixel size of a map must be that of `map_` to 1e-5. A kernel on the host is copied to the device of `map_`.
    method : {"fft", "direct"}
        Method.
    mode : {"same", "full"}
        "full" adds half a kernel of pixels at every side.

    Returns
    -------
    map : `~gpudl4.maps.WcsNDMap`
        Convolved map; float64 if data or kernel are float64 or integers, else float32. gammapy always gives float32.

    Raises
    ------
    GeometryError
        If shapes or pixel sizes do not fit.
    """
    geom, data = map_.geom, map_.data
    kernel_map = getattr(kernel, "psf_kernel_map", kernel)
    if hasattr(kernel_map, "geom"):
        if not np.allclose(geom.pixel_scales.deg, kernel_map.geom.pixel_scales.deg, rtol=1e-5, atol=0):
            raise GeometryError(f"pixel sizes of map and kernel differ: {geom.pixel_scales} and {kernel_map.geom.pixel_scales}")
        kernel = kernel_map.data
        if geom.is_image:
            geom = geom.to_cube(kernel_map.geom.axes)
    if backend_of(kernel).name == "numpy":
        kernel = to_device(np.asarray(kernel), backend_of(data))
    if kernel.ndim > 2 and kernel.shape[:-2] != geom.data_shape[:-2]:
        raise GeometryError(f"the planes of the kernel, {kernel.shape[:-2]}, are not those of the map, {geom.data_shape[:-2]}")
    if mode == "full":
        if any(size % 2 == 0 for size in kernel.shape[-2:]):
            raise GeometryError(f"mode 'full' needs a kernel of odd size, got: {kernel.shape[-2:]}")
        geom = geom.pad((kernel.shape[-1] // 2, kernel.shape[-2] // 2))
    dtype = np.result_type(np.float32, data.dtype if data.dtype.kind == "f" else np.float32 if data.dtype == bool else np.float64)
    dtype = np.result_type(dtype, kernel.dtype if kernel.dtype.kind == "f" and not map_.is_mask else np.float32)
    return map_._with(geom=geom, data=convolve_array(data, kernel, method=method, mode=mode).astype(dtype))


def smooth_map(map_, width, kernel="gauss", **kwargs):
    """Smooth every image plane of a map.

    Parameters
    ----------
    map_ : `~gpudl4.maps.WcsNDMap`
        Map.
    width : `~astropy.units.Quantity`, str or float
        Angle (divided by the mean pixel scale) or number of pixels: the standard deviation of "gauss", the radius of "disk", the
        side of "box".
    kernel : {"gauss", "disk", "box"}
        Shape.
    **kwargs
        Options of `scipy.ndimage.gaussian_filter`, `convolve` or `uniform_filter`, such as ``mode`` or ``truncate``.

    Returns
    -------
    map : `~gpudl4.maps.WcsNDMap`
        Smoothed map, float64.

    Raises
    ------
    GeometryError
        If the shape is unknown.
    TypeError
        If the shape has no such option.
    """
    if kernel not in SMOOTHING_OPTIONS:
        raise GeometryError(f"unknown kernel {kernel!r}: choose 'gauss', 'disk' or 'box'")
    unknown = sorted(set(kwargs) - set(SMOOTHING_OPTIONS[kernel]))
    if unknown:
        raise TypeError(f"smoothing by kernel {kernel!r} has no option {unknown[0]!r}; it has {', '.join(SMOOTHING_OPTIONS[kernel])}")
    if isinstance(width, (u.Quantity, str)):
        width = float((u.Quantity(width) / map_.geom.pixel_scales.mean()).to_value(""))
    backend = map_.backend
    ndimage, data = backend.ndimage, map_.data.astype(float)
    planar = (0,) * (data.ndim - 2)
    if kernel == "gauss":
        result = ndimage.gaussian_filter(data, (*planar, width, width), **kwargs)
    elif kernel == "box":
        side = max(int(width), 1)
        result = ndimage.uniform_filter(data, (*(1 for _ in planar), side, side), **kwargs)
    else:
        disk = disk_kernel(width)
        disk = to_device((disk / disk.sum()).reshape((1,) * len(planar) + disk.shape), backend)
        result = ndimage.convolve(data, disk, **kwargs)
    return map_._with(data=result)


def binary_map(map_, operation, width, kernel="disk", use_fft=True):
    """Erode or dilate a mask, plane by plane. Pixels outside the map count as False.

    Parameters
    ----------
    map_ : `~gpudl4.maps.WcsNDMap`
        Boolean map.
    operation : {"erode", "dilate"}
        What to do.
    width, kernel
        As for `~gpudl4.maps.wcs_masks.binary_structure`.
    use_fft : bool
        Whether to convolve with FFTs, faster for wide structures; the result is the same.

    Returns
    -------
    map : `~gpudl4.maps.WcsNDMap`
        Mask.

    Raises
    ------
    GeometryError
        If the map is not boolean.
    """
    if not map_.is_mask:
        raise GeometryError(f"only masks can be eroded or dilated; the data are of type {map_.data.dtype}")
    backend = map_.backend
    structure = to_device(binary_structure(map_.geom, width, kernel=kernel), backend)
    if use_fft:
        image = structure.reshape(structure.shape[-2:])
        total = convolve_array(map_.data, image)
        data = total > (float(image.sum()) - 0.5 if operation == "erode" else 0.5)
    else:
        function = backend.ndimage.binary_erosion if operation == "erode" else backend.ndimage.binary_dilation
        data = function(map_.data, structure=structure.astype(bool))
    return map_._with(data=array_namespace(data).asarray(data, dtype=bool))
