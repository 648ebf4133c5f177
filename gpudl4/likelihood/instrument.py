"""The instrument of one dataset: the responses of its sources, with everything that no position changes done once.

Sources at one position share PSF kernel and energy dispersion; what an earlier compile has made serves again (`made.py`).
"""

from types import SimpleNamespace

import numpy as np

from gpudl4.core.errors import DatasetError, GeometryError
from gpudl4.core.units import conversion_factor
from gpudl4.maps.frames import lonlat_of, rotate_lonlat
from gpudl4.models.spatial.base import SpatialModel

from .made import Made
from .region import Box
from .response import CUTOUT_MARGIN, PSF_CONTAINMENT, Response, cutout_box, reach_of, reco_geom

__all__ = ["Instrument", "make_response"]


def make_response(dataset, model, position=None):
    """Response of a dataset at a model's position, see `Instrument.response`."""
    return Instrument(dataset).response(model, position)


class Instrument:
    """Makes the responses of one dataset.

    Parameters
    ----------
    dataset : dataset with counts or background geometry, exposure, psf, edisp
    earlier : Made, optional
        By an earlier compile of the dataset.

    Attributes
    ----------
    made : Made
        What it has made so far.
    image_geom : WcsGeom
        Pixels of the exposure; known after the first response.
    energy_edges : `~astropy.units.Quantity`
        Of the bins in true energy, shape (L + 1,); known after the first response.
    """

    is_region = False

    def __init__(self, dataset, earlier=None):
        self.made = Made(dataset, earlier)
        self._dataset, self._name = dataset, dataset.name
        self.image_geom = self.energy_edges = None
        self._common, self._maker, self._separations = None, None, {}

    def response(self, model, position=None):
        """Response at a model's position.

        Parameters
        ----------
        model : SkyModel
        position : SkyCoord, optional
            Where to take the IRFs instead of the model's own position. The cutout follows it too.

        Returns
        -------
        Response or None
            None when the cutout does not overlap the map or no bin of the mask lies in reach.

        Raises
        ------
        DatasetError
            If the dataset has no exposure, or it is NaN or negative inside the fit mask in reach of the model.
        """
        if self._common is None:
            self._common = self._prepare(model)
        place, apply, radius = _Place(model, position), model.apply_irf, model.evaluation_radius
        radius = None if radius is None else float(radius.to_value("deg"))
        here = place.lonlat(self._common.geom.frame)
        key = "response", place.key, here, radius, tuple(apply.values())
        response = self.made.get(key, lambda: self._response(place, here, apply, radius))
        if response is not None and response.has_exposure:
            self.made.get(("exposure", response.box), lambda: self._check_exposure(model, response.box))
        return response

    def _prepare(self, model):
        """Fields of the dataset, each read once, and their geometries."""
        dataset = self._dataset
        exposure = dataset.exposure
        if exposure is None:
            raise DatasetError(f"dataset '{self._name}' has no exposure, which the model '{model.name}' needs: set dataset.exposure")
        common = SimpleNamespace(exposure=exposure, geom=exposure.geom, psf=dataset.psf, edisp=dataset.edisp)
        self.image_geom, self.energy_edges = exposure.geom.to_image(), exposure.geom.axes["energy_true"].edges
        reco, mask = reco_geom(dataset), dataset.mask
        common.mask = None if mask is None else mask.data
        common.energy_axis, common.energy_axis_true = reco.axes["energy"], common.geom.axes["energy_true"]
        common.psf_last = common.psf is not None and common.psf.energy_name == "energy"
        common.n_planes = common.energy_axis.nbin if common.psf_last else common.energy_axis_true.nbin
        if common.psf is not None:
            common.kernel_geom = reco if common.psf_last else common.geom
            common.pixel_scale = common.kernel_geom.largest_pixel_scale
        return common

    def _response(self, place, here, apply, radius):
        common, geom = self._common, self._common.geom
        psf, width = None, 0.0
        if common.psf is not None:
            there = place.within(common.psf)
            if apply["psf"]:
                psf = self.made.get(("psf", there), lambda: self._psf(there))
                size = max(psf.shape[-2:])
            else:
                size = self.made.get(("size of psf", there), lambda: max(self._psf(there).shape[-2:]))
            width = size * common.pixel_scale
        if psf is None:
            psf = self.made.get("no psf", lambda: np.ones((common.n_planes, 1, 1)))

        if radius is None:
            box, width = Box(0, 0, *geom.data_shape[-2:]), None
        else:
            if not self._contributes(here, 2 * radius + CUTOUT_MARGIN + width):
                return None
            width = width + 2 * (radius + CUTOUT_MARGIN)
            box = cutout_box(geom, here, width)

        scale = 1.0
        if apply["exposure"]:
            scale = conversion_factor(common.exposure.unit, "cm2 s", f"exposure of dataset '{self._name}'")
        has_edisp = common.edisp is not None and apply["edisp"]
        key = "edisp", has_edisp, place.within(common.edisp) if has_edisp else None
        edisp, reach = self.made.get(key, lambda: self._edisp(place if has_edisp else None))
        position = here if place.sky is None else place.sky
        return Response(box, bool(apply["exposure"]), scale, edisp, reach, psf, common.psf_last, position, width)

    def _psf(self, there):
        common = self._common
        if self._maker is None:  # where all kernels are known, it is not needed
            self._maker = common.psf.kernel_maker(common.kernel_geom, containment=PSF_CONTAINMENT)
        return common.psf.kernel_at(self._maker, there, self._separations)

    def _edisp(self, place):
        """Matrix[L, K] and its reach; the overlap of true and reconstructed bins where there is no energy dispersion."""
        common = self._common
        if place is not None:
            kernel = common.edisp.get_edisp_kernel(position=place.within(common.edisp), energy_axis=common.energy_axis)
        else:
            from gpudl4.irf import EDispKernel

            kernel = EDispKernel.from_diagonal_response(energy_axis=common.energy_axis, energy_axis_true=common.energy_axis_true)
        matrix = np.ascontiguousarray(kernel.pdf_matrix, dtype=np.float64)
        return matrix, reach_of(matrix)

    def _contributes(self, here, width_deg):
        """Whether any bin of the fit mask lies in a cutout of this width, as gammapy decides it."""
        try:
            box = cutout_box(self._common.geom, here, width_deg, odd_npix=False)
        except GeometryError:
            return False
        mask = self._common.mask
        return True if mask is None else bool(mask[(slice(None), *box.slices)].any())

    def _check_exposure(self, model, box):
        """NaN or negative exposure counts as zero outside the fit mask, as in gammapy's stacking; inside the mask it is an error."""
        rows, columns = box.slices
        exposure = self._common.exposure.data[:, rows, columns]
        # one minimum and one maximum instead of an array of booleans; a NaN passes through both
        if bool(exposure.min() >= 0) and bool(exposure.max() < np.inf):
            return True
        bad = ~((exposure >= 0) & (exposure < np.inf))
        inside = True if self._common.mask is None else self._common.mask[:, rows, columns].any(axis=0)
        if (count := int((bad & inside).sum())) > 0:
            raise DatasetError(
                f"dataset '{self._name}': exposure is NaN or negative in {count} bins inside the fit mask near model '{model.name}'; "
                "exclude these pixels with mask_safe or mask_fit"
            )
        return True


class _Place:
    """A position on the sky, read in any frame; built-in positions never become a SkyCoord, which costs half a millisecond.

    Parameters
    ----------
    model : SkyModel
    sky : SkyCoord or None
        Instead of the model's own position.
    """

    def __init__(self, model, sky):
        spatial = model.spatial_model
        self.sky, self._own = sky, None
        if sky is not None or not hasattr(spatial, "lon_0"):
            return
        lon, lat = (p.value if p.unit == "deg" else p.quantity.to_value("deg") for p in (spatial.lon_0, spatial.lat_0))
        if getattr(type(spatial), "position", None) is SpatialModel.position and abs(lat) <= 90:
            self._own = float(lon) % 360.0, float(lat), spatial.frame
        else:  # a model's own idea of its position, or astropy's error
            self.sky = model.position

    def lonlat(self, frame):
        """(lon, lat) in degrees, plain floats; None for a model without position."""
        if self._own is not None:
            lon, lat = rotate_lonlat(*self._own, frame)
        elif self.sky is not None:
            lon, lat = lonlat_of(self.sky, frame)
        else:
            return None
        return float(lon), float(lat)

    @property
    def key(self):
        """What it follows from, to be compared."""
        return self._own if self.sky is None else (*self.lonlat(self.sky.frame.name), self.sky.frame.name)

    def within(self, irf):
        """Where an IRF map is to be read: (lon, lat) in its frame, or None, its only place, if it is the same everywhere."""
        return None if irf.has_single_spatial_bin else self.lonlat(irf.frame)
