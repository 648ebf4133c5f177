"""Reading and writing of a `MapDataset`: FITS files, HDU lists and entries of datasets files."""

from gpudl4.core.backend import get_backend
from gpudl4.core.errors import DatasetError

from .fields import field_table
from .metadata import MapDatasetMetaData

__all__ = ["MapFiles"]


class MapFiles:
    """File verbs of a map dataset, mixed into `MapDataset`."""

    def to_hdulist(self):
        """List of FITS HDUs (`astropy.io.fits.HDUList`) in the GADF format, with the name and the maker in the primary header.

        Arrays on a device are copied to the host for it.
        """
        from gpudl4.io.gadf import write_fields
        from gpudl4.io.header_text import to_header

        return write_fields(self._values, field_table(self.tag), {"NAME": to_header(self.name), **self.meta.to_header()})

    @classmethod
    def from_hdulist(cls, hdulist, name=None, lazy=False, format="gadf", filename="the file"):
        """Dataset from a list of FITS HDUs.

        Parameters
        ----------
        hdulist : `astropy.io.fits.HDUList`
            As `to_hdulist` or gammapy make it.
        name : str, optional
            A random one if None.
        lazy : bool
            Without influence: what is in memory is read at once.
        format : {"gadf"}
            Format of the HDUs.
        filename : str
            For messages.

        Raises
        ------
        DataFileError
            If parts are missing or do not hold what they should.
        GeometryError, UnitMismatchError
            If the parts do not fit together.
        """
        from gpudl4.io.gadf import read_fields

        if format != "gadf":
            raise DatasetError(f"unknown format {format!r}; a {cls.tag} is read in the format 'gadf'")
        fields = read_fields(hdulist, field_table(cls.tag), filename)
        return cls(**fields, name=name, meta=MapDatasetMetaData.from_header(hdulist[0].header))

    @classmethod
    def read(cls, filename, name=None, lazy=False, cache=True, format="gadf", checksum=False, backend="numpy"):
        """Read a dataset from a FITS file, compressed or not.

        Parameters
        ----------
        filename : str or pathlib.Path
            Path; environment variables are expanded.
        name : str, optional
            Name; the one in the file if None.
        lazy : bool
            Read each field into host memory when it is first used, and check it against those read before. The file must stay as it is.
        cache : bool
            Keep fields that were read lazily; else they are read again at each use.
        format : {"gadf"}
            Format of the file.
        checksum : bool
            Verify the checksums in the file, with a warning for each that does not match.
        backend : {"numpy", "cupy", "auto"} or Backend
            Where the arrays shall live.

        Raises
        ------
        DataFileError
            If the file is missing, damaged, or no dataset.
        GeometryError, UnitMismatchError
            If its parts do not fit together. All messages name the file.
        BackendError
            If the backend is unknown or cannot be used here.
        """
        from gpudl4.io.files import open_fits
        from gpudl4.io.header_text import from_header

        backend = get_backend(backend)
        with open_fits(filename, checksum=checksum) as hdulist:
            if name is None:
                name = hdulist[0].header.get("NAME")
            name = None if name is None else from_header(str(name))
            if lazy and format == "gadf" and backend.name == "numpy":
                return cls._read_lazily(filename, hdulist, name, cache)
            dataset = cls.from_hdulist(hdulist, name=name, format=format, filename=hdulist.where)
        return dataset.to_device(backend)

    @classmethod
    def _read_lazily(cls, filename, hdulist, name, cache):
        from gpudl4.io.lazy import LazyFields

        from .fields import check_value

        dataset = cls(name=name, meta=MapDatasetMetaData.from_header(hdulist[0].header))
        fields = {field.name: field for field in field_table(cls.tag)}
        present = [field.hdu for field in fields.values() if field.hdu in hdulist]
        if not present:
            return cls.from_hdulist(hdulist, filename=hdulist.where)  # tells what is missing

        def check(name, value, held):
            value = check_value(fields[name], value, dataset.name)
            dataset._check({**dict.fromkeys(fields), **held, name: value})
            return value

        dataset._values = LazyFields(filename, fields.values(), present, check, cache)
        return dataset

    def write(self, filename, overwrite=False, checksum=False):
        """Write a FITS file that gammapy can read; it appears complete or not at all.

        Parameters
        ----------
        filename : str or pathlib.Path
            Path; a name that ends in ``.gz`` is compressed. Missing folders are made.
        overwrite : bool
            Replace a file that exists.
        checksum : bool
            Write checksums into the headers.

        Raises
        ------
        OutputError
            If the file exists and `overwrite` is False, or the place is not writable.
        """
        from gpudl4.io.files import check_output, write_fits

        check_output(filename, overwrite)
        write_fits(self.to_hdulist(), filename, overwrite=overwrite, checksum=checksum)

    @classmethod
    def from_dict(cls, data, lazy=False, cache=True, backend="numpy"):
        """Read the dataset that an entry of a datasets file names (keys ``name`` and ``filename``)."""
        return cls.read(data["filename"], name=data["name"], lazy=lazy, cache=cache, backend=backend)
