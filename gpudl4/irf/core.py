"""`IRFMap`: what maps of instrument responses have in common: axes, positions, files, stacking, cutting.

A response is a map whose image plane says where it holds, with two more axes, and the exposure it was averaged with. Its pixels are
coarse (tenths of a degree) and those where it is not known are zero everywhere. Objects are plain: nothing is cached, and arrays stay
on the device they were put on; values at a position are brought to the host, because kernels and matrices are made there.
"""

import html
import warnings

import numpy as np
from astropy.coordinates import SkyCoord

from gpudl4.core.backend import backend_of, get_backend, to_host
from gpudl4.core.errors import BackendError, DataFileError, DatasetError, GeometryError
from gpudl4.core.units import conversion_factor
from gpudl4.maps import Map
from gpudl4.maps.frames import lonlat_of
from gpudl4.maps.map_axes import block_sums
from gpudl4.maps.sphere import separation

__all__ = ["IRFMap"]


class IRFMap:
    """Base class of `PSFMap`, `RecoPSFMap`, `EDispMap` and `EDispKernelMap`.

    Parameters
    ----------
    irf_map : `~gpudl4.maps.Map`
        Response; its axes must be `required_axes`, in this order.
    exposure_map : `~gpudl4.maps.Map`, optional
        Exposure on the same image plane, needed for stacking.

    Raises
    ------
    GeometryError
        If the axes are others.
    UnitMismatchError
        If the unit does not convert to `required_unit`.
    BackendError
        If the two maps live on different devices.
    """

    tag = ""
    hdu_name = ""
    required_axes = []
    required_unit = ""

    def __init__(self, irf_map, exposure_map=None):
        self._irf_map = self._checked(irf_map)
        if exposure_map is not None and exposure_map.backend != irf_map.backend:
            raise BackendError(
                f"the map of {type(self).__name__} is on {irf_map.backend.device}, its exposure on {exposure_map.backend.device}: "
                "use to_device() or to_host() on one of them"
            )
        self.exposure_map = exposure_map

    def _checked(self, irf_map):
        names = list(irf_map.geom.axes.names)
        if names != self.required_axes:
            raise GeometryError(
                f"{type(self).__name__} needs a map with the axes {self.required_axes}, in this order; the map given has {names}"
            )
        conversion_factor(irf_map.unit, self.required_unit, f"the map of {type(self).__name__}")
        return irf_map

    # -- positions ----------------------------------------------------------------------------------------------------------------

    @property
    def has_single_spatial_bin(self):
        """Whether the response is the same everywhere because the map has one pixel."""
        return tuple(self._irf_map.geom.data_shape[-2:]) == (1, 1)

    @property
    def frame(self):
        """Name of the sky frame of the map."""
        return self._irf_map.geom.frame

    @property
    def mask_safe_image(self):
        """Image, True where any value is positive."""
        geom = self._irf_map.geom.to_image()
        return Map.from_geom(geom, data=(self._irf_map.data > 0).any(axis=(0, 1)))

    def nearest_valid_position(self, position=None):
        """Position at which the response is known.

        Parameters
        ----------
        position : `~astropy.coordinates.SkyCoord`, optional
            Position asked for; by default the centre of the map.

        Returns
        -------
        position : `~astropy.coordinates.SkyCoord`
            The same position, or, where the map has no positive value, the centre of the nearest pixel that has one (with a warning).

        Raises
        ------
        DatasetError
            If no pixel has a positive value.
        """
        if position is None:
            position = self._irf_map.geom.center_skydir
        x, y = self._valid_pixel(position)
        if (x, y) == self._pixel(position):
            return position
        geom = self._irf_map.geom
        return SkyCoord(*geom.pix_to_lonlat(x, y), unit="deg", frame=geom.frame)

    def _pixel(self, position):
        """Pixel coordinates of a position, plain floats; (0, 0) for a map with one pixel, NaN where the projection ends."""
        geom = self._irf_map.geom
        if self.has_single_spatial_bin:
            return 0.0, 0.0
        if position is None:
            ny, nx = geom.data_shape[-2:]
            return (nx - 1) / 2, (ny - 1) / 2
        lon, lat = lonlat_of(position, geom.frame)
        x, y = geom.lonlat_to_pix(lon, lat)
        return float(np.squeeze(x)), float(np.squeeze(y))

    def _valid_pixel(self, position):
        """Pixel coordinates of the nearest valid position."""
        data = self._irf_map.data
        x, y = self._pixel(position)
        ny, nx = data.shape[-2:]
        if np.isfinite(x) and np.isfinite(y):
            column, row = int(np.floor(x + 0.5)), int(np.floor(y + 0.5))
            if 0 <= row < ny and 0 <= column < nx and bool(to_host((data[:, :, row, column] > 0).any())):
                return x, y
        valid = to_host((data > 0).any(axis=(0, 1)))
        if not valid.any():
            raise DatasetError(
                f"the map of {type(self).__name__} has no positive value anywhere, so there is no response to take: "
                "fill it, or set it to None in the dataset"
            )
        rows, columns = np.nonzero(valid)
        geom = self._irf_map.geom
        here = geom.center_skydir if position is None else position
        lon, lat = geom.pix_to_lonlat(columns, rows)
        nearest = int(np.argmin(separation(*np.deg2rad([lon, lat]), *np.deg2rad(lonlat_of(here, geom.frame)))))
        warnings.warn(
            f"{type(self).__name__} has no values at the position asked for; those at the nearest valid position are used "
            f"({geom.frame} {lon[nearest]:.2f}, {lat[nearest]:.2f} deg)",
            stacklevel=3,
        )
        return float(columns[nearest]), float(rows[nearest])

    # -- devices ------------------------------------------------------------------------------------------------------------------

    @property
    def backend(self):
        """The `~gpudl4.core.backend.Backend` that holds the arrays."""
        return backend_of(self._irf_map.data)

    def to_device(self, backend="cupy"):
        """The same response with its arrays on a backend ("cupy", "numpy", "auto" or a `~gpudl4.core.backend.Backend`)."""
        backend = get_backend(backend)
        return self._with(lambda m: m.to_device(backend))

    def to_host(self):
        """The same response with NumPy arrays."""
        return self._with(lambda m: m.to_host())

    def _with(self, change):
        """New object with a function applied to both maps."""
        return self.__class__(change(self._irf_map), None if self.exposure_map is None else change(self.exposure_map))

    def copy(self):
        """Independent copy."""
        return self._with(lambda m: m.copy())

    # -- parts --------------------------------------------------------------------------------------------------------------------

    def to_region_nd_map(self, region=None):
        """Response at one position, as a map of a point region.

        Parameters
        ----------
        region : `~regions.SkyRegion` or `~astropy.coordinates.SkyCoord`, optional
            Position, or a region whose pixels are averaged; by default the centre of the map. The nearest pixel is taken, as in gammapy.

        Returns
        -------
        irf : IRFMap
        """
        if region is None:
            region = self._irf_map.geom.center_skydir
        return self._with(lambda m: m.to_region_nd_map(region, func=np.nanmean, method="nearest"))

    def cutout(self, position, width, mode="trim", min_npix=3):
        """Part of the image plane.

        Parameters
        ----------
        position : `~astropy.coordinates.SkyCoord`
            Centre.
        width : `~astropy.units.Quantity`, or two of them
            Size, or sizes in longitude and latitude.
        mode : {"trim", "partial", "strict"}
            What happens at the border of the map.
        min_npix : int
            Least number of pixels, so that the cutout can still be interpolated.
        """
        return self._with(lambda m: m.cutout(position, width, mode=mode, min_npix=min_npix))

    def slice_by_idx(self, slices):
        """Part of the axes.

        Parameters
        ----------
        slices : dict
            Slice per axis name. Axes that are not named stay as they are.

        Raises
        ------
        GeometryError
            If an index drops an axis.
        """
        exposure_map = self.exposure_map
        if exposure_map is not None:
            own = {name: part for name, part in slices.items() if name == "energy_true"}
            exposure_map = exposure_map.slice_by_idx(own) if own else exposure_map
        return self.__class__(self._irf_map.slice_by_idx(slices), exposure_map)

    def downsample(self, factor, axis_name=None, weights=None):
        """Merge pixels or bins of an axis.

        A response is a density or a probability, so that it is averaged: over pixels and true energies weighted by exposure (equally where
        there is none), over "rad" by the area of the rings, over "migra" by the width of the bins. Probabilities of reconstructed energies
        are summed. The exposure is averaged over pixels and true energies.

        Parameters
        ----------
        factor : int
            Number of pixels or bins to merge.
        axis_name : str, optional
            Axis; by default the image plane is downsampled.
        weights : `~gpudl4.maps.Map`, optional
            Further weights of the response.

        Returns
        -------
        irf : IRFMap

        Raises
        ------
        GeometryError
            If the map has no such axis, no axis is named for a region, or what becomes of it depends on the spectrum of a source.
        """
        axes, exposure_map = self._irf_map.geom.axes, self.exposure_map
        if axis_name is None and self._irf_map.geom.is_region:
            raise GeometryError(f"{type(self).__name__} of a region has no pixels to merge: name one of the axes {axes.names}")
        if axis_name is not None and axis_name not in axes.names:
            raise GeometryError(f"{type(self).__name__} has no axis {axis_name!r} to downsample; it has {', '.join(axes.names)}")
        if axis_name == "energy":
            if "energy_true" not in axes.names:
                raise GeometryError(
                    f"{type(self).__name__} cannot be downsampled in reconstructed energy: its mean depends on the spectrum of the source"
                )
            return self.__class__(self._irf_map.downsample(factor, axis_name=axis_name, weights=weights), exposure_map)
        factors = self._averaging(factor, axis_name)
        if weights is not None:
            factors = factors * weights.data
        irf_map = self._irf_map.downsample(factor, preserve_counts=False, axis_name=axis_name, weights=factors)
        if exposure_map is not None and axis_name in (None, "energy_true"):
            exposure_map = exposure_map.downsample(factor, preserve_counts=False, axis_name=axis_name)
        return self.__class__(irf_map, exposure_map)

    def _averaging(self, factor, axis_name):
        """Weights with which pixels or bins are averaged, an array of the shape of the map."""
        data, xp = self._irf_map.data, self.backend.xp
        if axis_name in ("rad", "migra"):
            edges = self._irf_map.geom.axes[axis_name].edges.value
            sizes = np.diff(edges**2 if axis_name == "rad" else edges)
            return xp.broadcast_to(self._irf_map._along(sizes, axis_name), data.shape)
        if self.exposure_map is None:
            return xp.ones(data.shape)
        exposure = xp.broadcast_to(self.exposure_map.data, data.shape).astype(float)
        exposure = xp.where(xp.isfinite(exposure), exposure, 0.0)
        blocks = [1] * data.ndim
        for dim in (data.ndim - 2, data.ndim - 1) if axis_name is None else (self._irf_map.geom.axes.index_data(axis_name),):
            blocks[dim] = factor
        total = block_sums(exposure, blocks)
        for dim, block in enumerate(blocks):
            total = xp.repeat(total, block, axis=dim) if block > 1 else total
        return xp.where(total > 0, exposure, 1.0)

    def stack(self, other, weights=None, nan_to_num=True):
        """Average with another response in place, weighted by the exposures; it runs where the arrays are.

        Parameters
        ----------
        other : IRFMap
            Response with an equal geometry or one that was cut out of this one's.
        weights : `~gpudl4.maps.Map`, optional
            Weights of `other`, for instance a mask.
        nan_to_num : bool
            Whether values that are not finite count as 0.

        Raises
        ------
        DatasetError
            If one of them has no exposure map.
        BackendError
            If they live on different devices.
        GeometryError
            If the pixels of one are not pixels of the other.
        """
        from .stacking import ResponseSum

        ResponseSum(self).mean_with(other, weights=weights, nan_to_num=nan_to_num)

    # -- files --------------------------------------------------------------------------------------------------------------------

    @classmethod
    def from_hdulist(cls, hdulist, hdu=None, hdu_bands=None, exposure_hdu=None, exposure_hdu_bands=None, format="gadf"):
        """Read from FITS HDUs; the axes decide which class of the family comes back.

        A PSF may be in true or in reconstructed energy, an energy dispersion in migra or in reconstructed energy.

        Parameters
        ----------
        hdulist : `~astropy.io.fits.HDUList`
            Open file.
        hdu, hdu_bands : str, optional
            Names of the map and of its axes table; "PSF" or "EDISP" by default.
        exposure_hdu, exposure_hdu_bands : str, optional
            Names for the exposure map, which may be absent; ``{hdu}_EXPOSURE`` by default.
        format : {"gadf", "gtpsf"}
            File format; the second for a PSF of the Fermi tools.

        Returns
        -------
        irf : IRFMap
            Object of the class that fits the axes.

        Raises
        ------
        DataFileError
            If the HDU is missing.
        GeometryError
            If the axes are none of those known.
        """
        if cls._check_format(format) == "gtpsf":
            from gpudl4.io.fermi import read_psf

            return read_psf(hdulist)
        hdu = (hdu or cls.hdu_name).upper()
        if hdu not in hdulist:
            raise DataFileError(f"no HDU {hdu} for {cls.__name__}; the file has: {', '.join(h.name for h in hdulist if h.name)}")
        irf_map = Map.from_hdulist(hdulist, hdu=hdu, hdu_bands=hdu_bands, format=format)
        exposure_hdu = (exposure_hdu or f"{hdu}_EXPOSURE").upper()
        exposure_map = None
        if exposure_hdu in hdulist:
            exposure_map = Map.from_hdulist(hdulist, hdu=exposure_hdu, hdu_bands=exposure_hdu_bands, format=format)
        return cls._class_for(irf_map, hdu)(irf_map, exposure_map)

    @classmethod
    def _check_format(cls, format):
        """The format, if this class has it."""
        known = ("gadf", "gtpsf") if cls.tag == "psf_map" else ("gadf",)
        if format not in known:
            raise DatasetError(f"{cls.__name__} has no file format {format!r}; known: {', '.join(known)}")
        return format

    @classmethod
    def _class_for(cls, irf_map, hdu):
        """Class of this family whose axes the map has."""
        names = list(irf_map.geom.axes.names)
        family = [kind for kind in _descendants(IRFMap) if kind.hdu_name == cls.hdu_name]
        for kind in family:
            if kind.required_axes == names:
                return kind
        wanted = " or ".join(f"{kind.required_axes} ({kind.__name__})" for kind in family)
        raise GeometryError(f"HDU {hdu} has the axes {names}; wanted, in this order: {wanted}")

    @classmethod
    def read(cls, filename, format="gadf", hdu=None, checksum=False, backend="numpy"):
        """Read from a FITS file; see `from_hdulist`.

        `checksum` verifies the checksums in the file, `backend` says where the arrays shall live ("numpy", "cupy", "auto").
        """
        from gpudl4.io.files import open_fits

        backend = get_backend(backend)
        with open_fits(filename, checksum=checksum) as hdulist:
            return cls.from_hdulist(hdulist, hdu=hdu, format=format).to_device(backend)

    def to_hdulist(self, hdu=None, format="gadf"):
        """FITS HDUs: the map, its axes table and, if there is one, the exposure map as ``{hdu}_EXPOSURE``.

        Parameters
        ----------
        hdu : str, optional
            Name of the map's HDU; "PSF" or "EDISP" by default.
        format : {"gadf", "gtpsf"}
            File format; the second for a PSF at one position.

        Returns
        -------
        hdulist : `~astropy.io.fits.HDUList`
        """
        if self._check_format(format) == "gtpsf":
            from gpudl4.io.fermi import psf_hdulist

            return psf_hdulist(self.to_host())
        hdu = (hdu or self.hdu_name).upper()
        hdulist = self._irf_map.to_hdulist(hdu=hdu, format=format)
        if self.exposure_map is not None:
            hdulist.extend(self.exposure_map.to_hdulist(hdu=f"{hdu}_EXPOSURE", format=format)[1:])
        return hdulist

    def write(self, filename, overwrite=False, format="gadf", checksum=False):
        """Write to a FITS file, with checksums if wanted; see `to_hdulist`."""
        from gpudl4.io.files import write_fits

        write_fits(self.to_hdulist(format=format), filename, overwrite=overwrite, checksum=checksum)

    def __str__(self):
        irf_map = self._irf_map
        lines = [
            type(self).__name__,
            "-" * len(type(self).__name__),
            "",
            f"  axes     : {list(irf_map.geom.axes.names)}",
            f"  shape    : {tuple(irf_map.data.shape)}",
            f"  unit     : '{irf_map.unit}'",
            f"  exposure : {'yes' if self.exposure_map is not None else 'no'}",
        ]
        if self.backend.name != "numpy":
            lines.append(f"  device   : {self.backend.device}")
        return "\n".join(lines) + "\n"

    def _repr_html_(self):
        return f"<pre>{html.escape(str(self))}</pre>"


def _descendants(cls):
    for child in cls.__subclasses__():
        yield child
        yield from _descendants(child)
