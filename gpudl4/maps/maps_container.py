"""`Maps`: maps that belong together under names, such as those of an estimator, read from and written to one FITS file."""

from collections.abc import MutableMapping

from astropy.io import fits

from ..core.errors import GeometryError
from .map import Map

__all__ = ["Maps"]


class Maps(MutableMapping):
    """Dictionary of maps.

    Parameters
    ----------
    **kwargs : `Map` or None
        Maps by name.

    Raises
    ------
    GeometryError
        If a value is neither a map nor None.
    """

    def __init__(self, **kwargs):
        self._data = {}
        for key, value in kwargs.items():
            self[key] = value

    @property
    def geom(self):
        """Geometry of the map set last; None without a map."""
        maps = [value for value in self._data.values() if value is not None]
        return maps[-1].geom if maps else None

    def __setitem__(self, key, value):
        if value is not None and not isinstance(value, Map):
            raise GeometryError(f"Maps can only contain Map objects, got {type(value).__name__} for '{key}'")
        self._data[key] = value

    def __getitem__(self, key):
        return self._data[key]

    def __delitem__(self, key):
        del self._data[key]

    def __iter__(self):
        return iter(self._data)

    def __len__(self):
        return len(self._data)

    def __repr__(self):
        return f"Maps({self._data})"

    def __str__(self):
        parts = [
            f"{name}\n\t unit\t : {value.unit}\n\t dtype\t : {value.data.dtype}\n" for name, value in self.items() if value is not None
        ]
        return "\n".join(["Maps\n----\n", str(self.geom), *parts])

    @classmethod
    def from_geom(cls, geom, names, kwargs_list=None):
        """Maps of one geometry.

        Parameters
        ----------
        geom : `Geom`
            Geometry of all maps.
        names : list of str
            Names of the maps.
        kwargs_list : list of dict, optional
            Arguments of `Map.from_geom` for each of them.
        """
        kwargs_list = [{}] * len(names) if kwargs_list is None else kwargs_list
        return cls(**{name: Map.from_geom(geom, **kwargs) for name, kwargs in zip(names, kwargs_list, strict=True)})

    def to_hdulist(self, hdu_bands="BANDS"):
        """FITS HDUs of all maps.

        Parameters
        ----------
        hdu_bands : str or None
            Name of the bands table of all maps, written once; None gives each map its own.

        Returns
        -------
        hdulist : `~astropy.io.fits.HDUList`
        """
        hdulist, written = fits.HDUList([fits.PrimaryHDU()]), set()
        for key, value in self.items():
            for hdu in value.to_hdulist(hdu=key, hdu_bands=hdu_bands)[1:]:
                if hdu_bands is not None and hdu.name == hdu_bands.upper():
                    if hdu.name in written:
                        continue
                    written.add(hdu.name)
                hdulist.append(hdu)
        return hdulist

    @classmethod
    def from_hdulist(cls, hdulist, hdu_bands="BANDS"):
        """Maps from FITS HDUs, sky images and region maps; names come back in lower case.

        Parameters
        ----------
        hdulist : `~astropy.io.fits.HDUList`
            HDUs.
        hdu_bands : str or None
            Name of the bands table of all maps; None if each has its own.
        """
        maps = cls()
        for hdu in hdulist:
            is_region = isinstance(hdu, fits.BinTableHDU) and "DATA" in hdu.columns.names and "CHANNEL" in hdu.columns.names
            if is_region or (hdu.is_image and hdu.header.get("NAXIS", 0) > 0):
                maps[hdu.name.lower()] = Map.from_hdulist(hdulist, hdu=hdu.name, hdu_bands=hdu_bands)
        return maps

    @classmethod
    def read(cls, filename, checksum=False, hdu_bands="BANDS"):
        """Read maps from a FITS file; names come back in lower case.

        Parameters
        ----------
        filename : str or `~pathlib.Path`
            File; environment variables are expanded.
        checksum : bool
            Verify checksums, with a warning where they do not match.
        hdu_bands : str or None
            As for `from_hdulist`.
        """
        from ..io.files import open_fits

        with open_fits(filename, checksum=checksum) as hdulist:
            return cls.from_hdulist(hdulist, hdu_bands=hdu_bands)

    def write(self, filename, overwrite=False, checksum=False, hdu_bands="BANDS"):
        """Write all maps to one FITS file, which appears complete or not at all."""
        from ..io.files import write_fits

        write_fits(self.to_hdulist(hdu_bands=hdu_bands), filename, overwrite=overwrite, checksum=checksum)
