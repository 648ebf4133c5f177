"""What a source at one position meets: exposure on its cutout, the PSF kernel and the energy-dispersion matrix there.

A `Response` is made when a likelihood is compiled and never changes. The cutout follows gammapy's rule: wide enough for the PSF kernel
plus twice the model's radius and margin, an odd number of pixels, trimmed at the map's edge.
"""

from dataclasses import dataclass

import astropy.units as u
import numpy as np

from gpudl4.core.errors import DatasetError, GeometryError
from gpudl4.core.units import conversion_factor

from .bindings import Bindings
from .region import Box

__all__ = ["CUTOUT_MARGIN", "PSF_CONTAINMENT", "Response", "make_response"]

CUTOUT_MARGIN = 0.1  # deg, added around a model's radius; gammapy's CUTOUT_MARGIN
PSF_CONTAINMENT = 0.999  # PSF kernels end at this containment; gammapy's PSF_CONTAINMENT


@dataclass(frozen=True)
class Response:
    """The instrument as one source sees it.

    Attributes
    ----------
    box : Box
        Cutout in map pixels.
    has_exposure : bool
        False for a model that does not want it: exposure 1 then.
    scale : float
        Factor from the stored exposure to cm2 s.
    edisp : float64 array[L, K]
    reach : int64 array[2 L + 2 K]
        first[L], last[L]: range of reconstructed bins that true bin l reaches; low[K], high[K]: range of true bins that reach k.
    psf : float64 array[L or K, h, w]
        Kernel with odd sizes; a single 1 where there is no PSF.
    psf_last : bool
        True if the PSF is in reconstructed energy and acts after the energy dispersion.
    position : `~astropy.coordinates.SkyCoord`
        Where PSF and energy dispersion were taken.
    width : float or None
        Width of the cutout in degrees; None for the whole map.
    """

    box: Box
    has_exposure: bool
    scale: float
    edisp: np.ndarray
    reach: np.ndarray
    psf: np.ndarray
    psf_last: bool
    position: object
    width: float | None


def make_response(dataset, model, position=None, bindings=None):
    """Response of a dataset at a model's position.

    Parameters
    ----------
    dataset : dataset with counts or background geometry, exposure, psf, edisp
    model : SkyModel
    position : SkyCoord, optional
        Where to take the IRFs instead of the model's own position. The cutout follows it too.
    bindings : Bindings, optional
        Shared with other sources.

    Returns
    -------
    Response or None
        None when the cutout does not overlap the map or no bin of the mask lies in reach.
    """
    exposure_map = dataset.exposure
    if exposure_map is None:
        raise DatasetError(f"dataset '{dataset.name}' has no exposure, which the model '{model.name}' needs: set dataset.exposure")
    apply, bindings = model.apply_irf, Bindings() if bindings is None else bindings
    position = bindings.position(model) if position is None else position
    geom = exposure_map.geom
    energy_axis = reco_geom(dataset).axes["energy"]
    energy_axis_true = geom.axes["energy_true"]

    psf, psf_last, width = np.ones((1, 1, 1)), False, 0.0
    if dataset.psf is not None:
        psf_last = dataset.psf.energy_name == "energy"
        kernel = bindings.response(dataset.psf, dataset, lambda: _psf_kernel(dataset, position))
        width = float(np.max(kernel.width.to_value("deg")))
        if apply["psf"]:
            psf = np.ascontiguousarray(kernel.data, dtype=np.float64)
    n_planes = energy_axis.nbin if psf_last else energy_axis_true.nbin
    if psf.shape[0] == 1 and n_planes > 1:
        psf = np.repeat(psf, n_planes, axis=0)

    radius = model.evaluation_radius
    if radius is None:
        box, width = Box(0, 0, *geom.data_shape[-2:]), None
    else:
        radius = radius.to_value("deg")
        if not _contributes(dataset, geom, position, 2 * radius + CUTOUT_MARGIN + width):
            return None
        width = width + 2 * (radius + CUTOUT_MARGIN)
        box = cutout_box(geom, position, width)

    scale = 1.0
    if apply["exposure"]:
        scale = conversion_factor(exposure_map.unit, "cm2 s", f"exposure of dataset '{dataset.name}'")
    edisp, reach = _edisp_at(dataset, position, energy_axis, energy_axis_true, apply["edisp"], bindings)
    return Response(box, bool(apply["exposure"]), scale, edisp, reach, psf, psf_last, position, width)


def cutout_box(geom, position, width_deg, odd_npix=True):
    """Box of gammapy's trimmed cutout around a position; GeometryError outside the map."""
    rows, columns = geom.cutout_slices(position, width_deg * u.deg, odd_npix=odd_npix)["parent-slices"]
    return Box(int(rows.start), int(columns.start), int(rows.stop - rows.start), int(columns.stop - columns.start))


def reco_geom(dataset):
    """Geometry in reconstructed energy: that of counts, background or mask_safe, whichever is there."""
    for name in ("counts", "background", "mask_safe"):
        field = getattr(dataset, name, None)
        if field is not None:
            return field.geom
    raise DatasetError(f"dataset '{dataset.name}' has neither counts nor background nor mask_safe: its energy axis is unknown")


def _psf_kernel(dataset, position):
    geom = reco_geom(dataset) if dataset.psf.energy_name == "energy" else dataset.exposure.geom
    return dataset.psf.get_psf_kernel(geom=geom, position=position, containment=PSF_CONTAINMENT)


def _edisp_at(dataset, position, energy_axis, energy_axis_true, apply, bindings):
    """Matrix[L, K] and its `Response.reach`; the overlap of true and reconstructed bins where there is no energy dispersion."""
    if dataset.edisp is not None and apply:

        def make():
            return _with_reach(dataset.edisp.get_edisp_kernel(position=position, energy_axis=energy_axis))

        return bindings.response(dataset.edisp, dataset, make)
    from gpudl4.irf import EDispKernel

    return _with_reach(EDispKernel.from_diagonal_response(energy_axis=energy_axis, energy_axis_true=energy_axis_true))


def _with_reach(kernel):
    edisp = np.ascontiguousarray(kernel.pdf_matrix, dtype=np.float64)
    return edisp, np.concatenate([*_reach(edisp), *_reach(edisp.T)])


def _reach(edisp):
    """First and one-past-last reconstructed bin with a non-zero entry, per true bin."""
    nonzero = edisp != 0
    any_ = nonzero.any(axis=1)
    first = np.where(any_, nonzero.argmax(axis=1), 0)
    last = np.where(any_, edisp.shape[1] - nonzero[:, ::-1].argmax(axis=1), 0)
    return first.astype(np.int64), last.astype(np.int64)


def _contributes(dataset, geom, position, width_deg):
    """Whether any bin of the fit mask lies in a cutout of this width, as gammapy decides it."""
    try:
        box = cutout_box(geom, position, width_deg, odd_npix=False)
    except GeometryError:
        return False
    mask = dataset.mask
    return True if mask is None else bool(mask.data[(slice(None), *box.slices)].any())
