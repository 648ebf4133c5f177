"""Fourier transforms of all planes of a layout: SciPy on the host, cuFFT plan objects with their own work areas on a device.

`Transforms` owns the planes and spectra. Inverse transforms are not normalised; the kernels do that.

The first plane of a group lies at a multiple of `ALIGNED` elements: cuFFT takes only pointers that are multiples of a complex element, even
to real numbers. `padded_shape` says how large planes are made: on the host just as large as a fast transform allows; on a device each side
is a rung of a ladder, and small planes are square, for there each shape costs library calls of its own, and small planes cost little else.
"""

import copy
import os
from typing import NamedTuple

import numpy as np

from gpudl4.core.backend import NUMPY
from gpudl4.kernels import tables as t

__all__ = ["Sizes", "aligned", "make_transforms", "padded_shape", "rung", "sizes_of", "work_areas"]

WORKERS = min(4, os.cpu_count() or 1)
FORWARD, INVERSE = -1, 1  # cuFFT's names for the directions
ALIGNED = 8  # elements: 32 bytes of the smallest type
FINE = 128  # length up to which rungs are half a power of two apart and planes are square; beyond it is a quarter


def aligned(number):
    """The next multiple of `ALIGNED`."""
    return -(-number // ALIGNED) * ALIGNED


def padded_shape(shape, backend):
    """Rows and columns of a plane that has room for a shape, on a backend."""
    if backend.name == "numpy":
        return tuple(int(NUMPY.fft.next_fast_len(length, real=True)) for length in shape)
    rungs = tuple(rung(length) for length in shape)
    return (max(rungs),) * 2 if max(rungs) <= FINE else rungs


def rung(length):
    """The next rung of the ladder of lengths on a device: multiples of 8 that have no other factors than 2, 3, 5 and 7."""
    power = 1 << max(int(length - 1).bit_length() - 1, 4)  # the largest power of two below the length, or 16
    step = power // (4 if power >= FINE else 2)
    return -(-length // step) * step


class Sizes(NamedTuple):
    """Elements of the flat arrays of planes and spectra, before and behind the PSF."""

    planes_in: int
    planes_out: int
    spectrum_in: int
    spectrum_out: int


def sizes_of(groups):
    """`Sizes` for one parameter vector: up to the end of the last group in the table."""
    last = [int(n) for n in groups[-1]]
    plane, half = last[t.F_NY] * last[t.F_NX], last[t.F_NY] * (last[t.F_NX] // 2 + 1)
    return Sizes(
        last[t.F_IN] + last[t.F_IN_PLANES] * plane,
        last[t.F_OUT] + last[t.F_OUT_PLANES] * plane,
        last[t.F_SPECTRUM_IN] + last[t.F_IN_PLANES] * half,
        last[t.F_SPECTRUM_OUT] + last[t.F_OUT_PLANES] * half,
    )


def work_areas(groups, complex_):
    """Bytes that cuFFT's plans take beside planes and spectra: for each of the four plans of a group its planes as complex numbers.

    What cuFFT asks for is known only when a plan is made. Lengths of small factors, as those of the ladder, need the least; that it is no
    more than this is a guess on the safe side and has not been measured.
    """
    planes = (groups[:, t.F_IN_PLANES] + groups[:, t.F_OUT_PLANES]) * groups[:, t.F_NY] * groups[:, t.F_NX]
    return 2 * int(planes.sum()) * np.dtype(complex_).itemsize


def make_transforms(backend, groups, batch, real, complex_, keeps=False):
    """Transforms of a backend, or None if there is nothing to transform.

    Parameters
    ----------
    backend : Backend
    groups : int64[n, 9]
        Table of groups on the host.
    batch : int
    real, complex_ : dtype
    keeps : bool
        Whether planes behind the PSF are still wanted when the field that goes back through it is made.
    """
    if not groups[:, t.F_OUT_PLANES].any():
        return None
    return (HostTransforms if backend.name == "numpy" else DeviceTransforms)(backend, groups, batch, real, complex_, keeps)


def _key(backend, groups, batch, real, complex_, keeps):
    sizes = np.delete(groups, t.F_MODES, axis=1)
    return backend.device, sizes.tobytes(), batch, np.dtype(real), np.dtype(complex_), keeps


def _rows(groups):
    return [tuple(int(n) for n in group) for group in groups]


class _Transforms:
    """Views of the planes of each group.

    Attributes
    ----------
    planes_in, planes_out : real[...]
        Planes before and behind the PSF.
    field : real[...]
        What goes back through the PSF; the same array as `planes_out` unless that is to be kept.
    spectrum_in, spectrum_out : complex[...]
    """

    def __init__(self, backend, groups, batch, real, complex_, keeps=False):
        self._backend, self._batch = backend, batch
        self._key = _key(backend, groups, batch, real, complex_, keeps)
        self._groups = _rows(groups)
        xp, sizes = backend.xp, sizes_of(groups)
        self.planes_in, self.planes_out = (xp.empty(batch * size, dtype=real) for size in sizes[:2])
        self._own_field = xp.empty(batch * sizes.planes_out, dtype=real) if keeps else None
        self.spectrum_in, self.spectrum_out = (xp.empty(batch * size, dtype=complex_) for size in sizes[2:])

    @property
    def field(self):
        return self.planes_out if self._own_field is None else self._own_field

    @property
    def spare(self):
        """Memory that nobody needs between a pull and the next one, maybe none."""
        return self.planes_out[:0] if self._own_field is None else self._own_field

    def again(self, *arguments):
        """Transforms for the arguments of `make_transforms` with these arrays, which are given away; None if they do not fit."""
        if self._key != _key(*arguments):
            return None
        out = copy.copy(self)
        out._groups = _rows(arguments[1])
        return out

    def _plane_view(self, flat, group, inner):
        begin, planes = (group[t.F_IN], group[t.F_IN_PLANES]) if inner else (group[t.F_OUT], group[t.F_OUT_PLANES])
        shape = self._batch * planes, group[t.F_NY], group[t.F_NX]
        begin *= self._batch
        return flat[begin : begin + shape[0] * shape[1] * shape[2]].reshape(shape)

    def _spectrum_view(self, flat, group, inner):
        begin, planes = (group[t.F_SPECTRUM_IN], group[t.F_IN_PLANES]) if inner else (group[t.F_SPECTRUM_OUT], group[t.F_OUT_PLANES])
        shape = self._batch * planes, group[t.F_NY], group[t.F_NX] // 2 + 1
        begin *= self._batch
        return flat[begin : begin + shape[0] * shape[1] * shape[2]].reshape(shape)

    @property
    def nbytes(self):
        """Bytes of planes and spectra."""
        own = 0 if self._own_field is None else self._own_field.nbytes
        return own + sum(a.nbytes for a in (self.planes_in, self.planes_out, self.spectrum_in, self.spectrum_out))


class HostTransforms(_Transforms):
    """SciPy returns new arrays: with a single group they replace the old ones, which are let go before, with several they are copied.

    One axis at a time, the complex one in place: a transform of both axes makes a copy of the spectrum first, which costs more than half
    of its time. Of the complex axis only those columns are transformed that are not negligible: the kernels read no others, and set them
    to 0.
    """

    def to_spectrum(self, inner):
        """Planes to spectrum, before (`inner`) or behind the PSF."""
        planes, fft = self.planes_in if inner else self.field, self._backend.fft

        def transform(group):
            half = fft.rfft(self._plane_view(planes, group, inner), axis=2, workers=WORKERS)
            return _in_place(fft.fft, half, group[t.F_MODES])

        self._replace("spectrum_in" if inner else "spectrum_out", transform, self._spectrum_view, inner)

    def to_planes(self, inner):
        """Spectrum to planes, not normalised; the spectrum is lost."""
        spectrum, fft = self.spectrum_in if inner else self.spectrum_out, self._backend.fft

        def transform(group):
            half = _in_place(fft.ifft, self._spectrum_view(spectrum, group, inner), group[t.F_MODES], norm="forward")
            return fft.irfft(half, n=group[t.F_NX], axis=2, workers=WORKERS, overwrite_x=True, norm="forward")

        self._replace("planes_in" if inner else "planes_out", transform, self._plane_view, inner)

    def _replace(self, name, transform, view, inner):
        """Put the results of a transform where those of the last one were."""
        old = getattr(self, name)
        if len(self._groups) > 1:
            for group in self._groups:
                view(old, group, inner)[:] = transform(group)
            return
        size, dtype = old.size, old.dtype
        del old
        setattr(self, name, None)
        try:
            setattr(self, name, transform(self._groups[0]).reshape(-1))
        finally:
            if getattr(self, name) is None:  # out of memory; what is to be written next wants an array
                setattr(self, name, np.empty(size, dtype))


def _in_place(transform, half, modes, **options):
    """Transform the first columns of spectra along y, where they are."""
    kept = half[..., :modes]
    done = transform(kept, axis=1, workers=WORKERS, overwrite_x=True, **options)
    if not np.may_share_memory(done, kept):  # SciPy may, but need not, write over its argument
        kept[...] = done
    return half


class DeviceTransforms(_Transforms):
    """Plan objects, made once: an execution is one library call and allocates nothing."""

    def __init__(self, backend, groups, batch, real, complex_, keeps=False):
        super().__init__(backend, groups, batch, real, complex_, keeps)
        get_fft_plan = backend.fft.get_fft_plan
        self._calls = {}
        for inner in (True, False):
            spectrum = self.spectrum_in if inner else self.spectrum_out
            spectra = [self._spectrum_view(spectrum, group, inner) for group in self._groups]
            there, here = (self.planes_in, self.planes_in) if inner else (self.field, self.planes_out)
            read, written = ([self._plane_view(planes, group, inner) for group in self._groups] for planes in (there, here))
            self._calls[inner, FORWARD] = [
                (get_fft_plan(p, axes=(1, 2), value_type="R2C"), p, s) for p, s in zip(read, spectra, strict=True)
            ]
            self._calls[inner, INVERSE] = [
                (get_fft_plan(s, shape=p.shape[1:], axes=(1, 2), value_type="C2R"), s, p) for p, s in zip(written, spectra, strict=True)
            ]

    def to_spectrum(self, inner):
        """Planes to spectrum, before (`inner`) or behind the PSF."""
        for plan, planes, spectrum in self._calls[inner, FORWARD]:
            plan.fft(planes, spectrum, FORWARD)

    def to_planes(self, inner):
        """Spectrum to planes, not normalised; the spectrum is lost."""
        for plan, spectrum, planes in self._calls[inner, INVERSE]:
            plan.fft(spectrum, planes, INVERSE)
