"""Sources in a dataset of one sky region: a spectrum times exposure, and the share of its flux that the region sees.

A region has one pixel, so nothing is convolved when a likelihood is evaluated. What a shape means for a region is a number per energy, the
*share* c[l], found when the likelihood is compiled, as gammapy 2.1 finds it:

* all of the flux (c = 1) for a model without a shape, a dataset without a PSF, or a geometry without a region;
* the containment of the PSF, for a point source in a circle: the source counts as central, wherever in reach it is;
* else the sum over the pixels of the region's own projection, ``c[l] = sum_p w[p] (PSF_l (*) s)[p]``, with the fraction w of each pixel
  that lies in the region (on 10 x 10 subpixels). The transpose ``a[l] = PSF_l^T (*) w`` does not depend on the source, so a shape that
  can change costs ``c[l] = sum_p a[l, p] s[p]`` and its derivatives ``sum_p a[l, p] ds[p]``.

Where the share does not depend on theta the source has the fixed template ``c[l] exposure[l]`` of one pixel. Else the share is part of the
spectrum (`SeenSpectrum`), so that the engine meets nothing but spectra.
"""

import warnings

import astropy.units as u
import numpy as np

from gpudl4.core.backend import NUMPY, backend_of, to_device, to_host
from gpudl4.core.errors import DatasetError, ModelError
from gpudl4.core.units import conversion_factor

from .instrument import _Place
from .made import Made
from .region import Box
from .response import CUTOUT_MARGIN, PSF_CONTAINMENT, Response, reach_of, reco_geom
from .source import RegionSource

__all__ = ["RegionInstrument", "SeenSpectrum", "Share"]

PIXEL = Box(0, 0, 1, 1)
NO_PSF = np.ones((1, 1, 1))
ALL_INSIDE = 0.99  # of a shape inside a region without a PSF, from which on nothing is said
ENOUGH = 50  # pixels across a region, to tell how much of a shape lies inside
OVERSAMPLING = 10  # subpixels per side of a pixel for the weights of a region; gammapy's factor


class RegionInstrument:
    """Makes the sources of one dataset whose geometry is a sky region.

    Parameters
    ----------
    dataset : dataset with counts, exposure, psf, edisp on a `~gpudl4.maps.RegionGeom`
    earlier : Made, optional
        By an earlier compile of the dataset.

    Attributes
    ----------
    made : Made
        What it has made so far.
    """

    is_region = True

    def __init__(self, dataset, earlier=None):
        self.made = Made(dataset, earlier)
        self._dataset, self._name = dataset, dataset.name
        self._reco = reco_geom(dataset)

    def source(self, model, pack, position, bindings):
        """`RegionSource` of a model, or None if it lies outside the region.

        Parameters
        ----------
        model : SkyModel
        pack : Pack
        position : SkyCoord or None
            Where to take the IRFs instead of the model's own position.
        bindings : Bindings

        Raises
        ------
        DatasetError
            If there is no exposure, or it is NaN or negative.
        ModelError
            If a shape that can change is seen through a PSF in reconstructed energy.
        """
        exposure = self._dataset.exposure
        if exposure is None:
            raise DatasetError(f"dataset '{self._name}' has no exposure, which the model '{model.name}' needs: set dataset.exposure")
        place, apply = _Place(model, position), model.apply_irf
        share = self._share(model, place)
        if share is None:
            return None
        spectral, spectral_pack = bindings.spectral(model.spectral_model, exposure.geom.axes["energy_true"].edges), None
        fixed, matrix = None, self._edisp(place, apply["edisp"])
        if not isinstance(share, Share):
            fixed = share
        elif not share.depends_on(pack):
            fixed = share.value(model.spatial_model.parameters.value[np.newaxis])[0]
        if self._psf_last and fixed is None:
            free = [p.name for p in model.spatial_model.parameters if not p.frozen]
            raise ModelError(
                f"model '{model.name}': {free} are free, but dataset '{self._name}' has a region and a PSF in reconstructed energy, "
                "for which a shape cannot change: freeze them"
            )
        if self._psf_last and np.ndim(fixed):
            matrix, fixed = matrix * fixed, 1.0
        key = "template", apply["exposure"], None if fixed is None else np.asarray(fixed).tobytes()
        templates = self.made.get(key, lambda: self._template(model, apply["exposure"], 1.0 if fixed is None else fixed))
        parameters = list(model.spectral_model.parameters)
        if fixed is None:
            spectral = SeenSpectrum(spectral, len(parameters), share)
            parameters += list(model.spatial_model.parameters)
        spectral_pack = pack.sub(parameters)
        response = Response(PIXEL, apply["exposure"], 1.0, *self._with_reach(matrix), NO_PSF, False, position, None)
        return RegionSource(model.name, response, spectral, spectral_pack, pack.sub([]), templates)

    # ---- exposure and energy dispersion ---------------------------------------------------------------------------------------------
    def _template(self, model, has_exposure, share):
        """Share times exposure in cm2 s, array[L, 1, 1], where the exposure lives."""
        exposure = self._dataset.exposure
        data = exposure.data
        if not has_exposure:
            data = data * 0 + 1
            factor = 1.0
        else:
            factor = conversion_factor(exposure.unit, "cm2 s", f"exposure of dataset '{self._name}'")
            if not bool(((data >= 0) & (data < np.inf)).all()):
                raise DatasetError(
                    f"dataset '{self._name}': exposure is NaN or negative, which the model '{model.name}' needs: set such energies to 0"
                )
        share = np.broadcast_to(np.asarray(share, dtype=np.float64) * factor, data.shape[:1])
        return data.astype(np.float64) * to_device(np.ascontiguousarray(share).reshape(-1, 1, 1), backend_of(data))

    def _edisp(self, place, apply):
        edisp = self._dataset.edisp
        has = edisp is not None and apply
        there = place.within(edisp) if has else None
        return self.made.get(("edisp", has, there), lambda: self._matrix(edisp if has else None, there))

    def _matrix(self, edisp, there):
        axis, axis_true = self._reco.axes["energy"], self._dataset.exposure.geom.axes["energy_true"]
        if edisp is not None:
            matrix = edisp.get_edisp_kernel(position=there, energy_axis=axis).pdf_matrix
        else:
            from gpudl4.irf.edisp_kernel import overlap_fraction

            matrix = overlap_fraction(axis, axis_true)
        return np.ascontiguousarray(matrix, dtype=np.float64)

    def _with_reach(self, matrix):
        return self.made.get(("reach", id(matrix)), lambda: (matrix, reach_of(matrix)))

    # ---- what the region sees of a shape --------------------------------------------------------------------------------------------
    @property
    def _psf_last(self):
        psf = self._dataset.psf
        return psf is not None and psf.energy_name == "energy"

    def _share(self, model, place):
        """1.0, array[L or K] or `Share`; None for a model that does not contribute."""
        psf, region, spatial = self._dataset.psf, self._reco.region, model.spatial_model
        if spatial is None:
            return 1.0
        if psf is None or region is None:
            if not self._contributes(model, 0.0):
                return None
            self._tell_flux_outside(model)
            return 1.0
        geom = self._reco if self._psf_last else self._dataset.exposure.geom
        if hasattr(spatial, "bind_point") and type(region).__name__ == "CircleSkyRegion" and model.apply_irf["psf"]:
            return self.made.get("containment", lambda: self._containment(geom)) if self._contributes(model, 0.0) else None
        image = self.made.get("projection", geom.to_wcs_geom)
        there = place.within(psf)
        kernel = self.made.get(("psf", there), lambda: psf.kernel_at(psf.kernel_maker(image, containment=PSF_CONTAINMENT), there))
        width = max(kernel.shape[-2:]) * image.largest_pixel_scale
        if not self._contributes(model, width):
            return None
        radius = model.evaluation_radius
        width += 0.0 if radius is None else 2 * (radius.to_value("deg") + CUTOUT_MARGIN)
        kernel = kernel if model.apply_irf["psf"] else np.ones((len(kernel), 1, 1))
        key = "weights", width, there, model.apply_irf["psf"]
        plane, weights = self.made.get(key, lambda: _seen(geom, width, kernel))
        return Share(spatial, plane, weights)

    def _tell_flux_outside(self, model):
        """Warn of a shape that has no say though it reaches out of the region."""
        geom = self._reco.to_image()
        if geom.region is None or geom.is_all_point_sky_regions:
            return
        plane = geom.to_wcs_geom()
        plane = plane.upsample(max(1, ENOUGH // min(plane.data_shape[-2:])))
        weights = to_host(plane.region_weights([geom.region], oversampling_factor=2).data).astype(np.float64)
        values = model.spatial_model.parameters.value[np.newaxis]
        inside = float(Share(model.spatial_model, plane, weights.reshape(1, *plane.data_shape[-2:])).value(values)[0, 0])
        if inside < ALL_INSIDE:
            warnings.warn(
                f"dataset '{self._name}' has a region and no PSF, so all of the flux of model '{model.name}' is counted in it, as in "
                f"gammapy, though {100 * inside:.3g} % of the spatial model lies inside the region: set dataset.psf for the shape to count",
                stacklevel=6,
            )

    def _containment(self, geom):
        psf = self._dataset.psf
        energy = geom.axes[psf.energy_name].center
        return np.asarray(psf.containment(self._reco.region.radius, energy).to_value(""), dtype=np.float64)

    def _contributes(self, model, margin):
        """Whether a model reaches the region, as gammapy decides it; margin in deg."""
        radius, geom = model.evaluation_radius, self._reco
        if radius is None or geom.region is None or geom.is_all_point_sky_regions:
            return True
        inside = self.made.get("inside", lambda: _inside(geom))
        width = 2 * radius.to_value("deg") + CUTOUT_MARGIN + margin
        try:
            rows, columns = inside.geom.cutout_slices(model.position, width)["parent-slices"]
        except ValueError:  # no overlap
            return False
        return bool(inside.data[rows, columns].any())


def _inside(geom):
    return geom.to_image().to_wcs_geom().region_mask([geom.region])


def _seen(geom, width, kernel):
    """Image geometry around a region, and the weight with which it sees flux in each pixel through a PSF, float64 array[L, ny, nx]."""
    plane = geom.to_image().to_wcs_geom(width_min=width * u.deg)
    weights = to_host(plane.region_weights([geom.region], oversampling_factor=OVERSAMPLING).data).astype(np.float64)
    return plane, _correlated(weights, kernel)


def _correlated(image, kernels):
    """``out[l, q] = sum_p image[p] kernels[l, p - q]`` on the pixels of the image."""
    (ny, nx), (h, w) = image.shape, kernels.shape[1:]
    shape = ny + h - 1, nx + w - 1
    fft = NUMPY.fft
    product = fft.rfft2(image, s=shape) * fft.rfft2(kernels[:, ::-1, ::-1], s=shape)
    full = fft.irfft2(product, s=shape)
    return np.ascontiguousarray(full[:, h // 2 : h // 2 + ny, w // 2 : w // 2 + nx])


class Share:
    """Share of a model's flux that a region sees, as a function of the values of its spatial parameters.

    Parameters
    ----------
    spatial : SpatialModel
    plane : WcsGeom
        Pixels around the region.
    weights : float64 array[L, ny, nx]
        How much of the flux in each pixel is seen.
    """

    def __init__(self, spatial, plane, weights):
        self._weights, self._parameters = weights, spatial.parameters
        self._point = spatial.bind_point(plane) if hasattr(spatial, "bind_point") else None
        self._image = None if self._point is not None else spatial.bind_image(plane)

    def depends_on(self, pack):
        """Whether a free parameter can change it."""
        return pack.sub(self._parameters).is_free

    def value(self, values):
        """Shares array[B, L] for ``values[B, P]`` in own units."""
        return self.value_and_gradient(values)[0]

    def value_and_gradient(self, values):
        """Shares array[B, L] and their derivatives by the own-unit values, array[B, P, L]."""
        if self._point is not None:
            return self._of_point(values)
        flat = self._weights.reshape(len(self._weights), -1)
        images, slopes = self._image.image(values), self._image.gradient(values)
        return images.reshape(len(values), -1) @ flat.T, slopes.reshape(*slopes.shape[:2], -1) @ flat.T

    def _of_point(self, values):
        xy, dxy = self._point.position(values)
        n_planes, ny, nx = self._weights.shape
        value, slope = np.zeros((len(values), n_planes)), np.zeros((len(values), 2, n_planes))
        for b, (x, y) in enumerate(xy):
            if not (np.isfinite(x) and np.isfinite(y)):
                continue
            column, row = int(np.floor(x)), int(np.floor(y))
            fx, fy = x - column, y - row
            for i, wx, sx in ((column, 1 - fx, -1.0), (column + 1, fx, 1.0)):
                for j, wy, sy in ((row, 1 - fy, -1.0), (row + 1, fy, 1.0)):
                    if 0 <= i < nx and 0 <= j < ny:
                        seen = self._weights[:, j, i]
                        value[b] += wx * wy * seen
                        slope[b] += np.array([sx * wy, wx * sy])[:, np.newaxis] * seen
        return value, np.einsum("bap,bal->bpl", dxy, slope)

    def is_valid(self, values):
        """Whether the sampling of the shape still serves these values."""
        return self._image is None or self._image.is_valid(values)


class SeenSpectrum:
    """A bound spectrum times the share of it that a region sees; its parameters are those of the spectrum, then those of the shape.

    Parameters
    ----------
    spectral : bound spectral model
    n_spectral : int
        Its number of parameters.
    share : Share
    """

    def __init__(self, spectral, n_spectral, share):
        self._spectral, self._n, self._share = spectral, n_spectral, share

    def value_and_gradient(self, values):
        """Fluxes array[B, L] and derivatives array[B, P, L]."""
        flux, by_spectral = self._spectral.value_and_gradient(values[:, : self._n])
        share, by_shape = self._share.value_and_gradient(values[:, self._n :])
        slopes = [by_spectral * share[:, np.newaxis], by_shape * flux[:, np.newaxis]]
        return flux * share, np.concatenate(slopes, axis=1)

    def is_valid(self, values):
        """Whether the sampling of the shape still serves these values."""
        return self._share.is_valid(values[:, self._n :])
