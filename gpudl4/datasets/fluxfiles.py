"""Reading and writing of a `FluxPointsDataset`: the table of its flux points with two more columns, mask_fit and mask_safe."""

import numpy as np

from gpudl4.core.errors import DataFileError
from gpudl4.core.reading import reading

__all__ = ["FluxPointsFiles"]

MASKS = ("mask_fit", "mask_safe")
STAT_TYPE = "STATTYPE"  # keyword of the table; gammapy has none and falls back to chi2


class FluxPointsFiles:
    """File verbs of flux points, mixed into `FluxPointsDataset`."""

    def to_table(self):
        """Table of the flux points in the SED type they were made from, with the columns mask_fit and mask_safe."""
        table = self.data.to_table()
        masks = {"mask_fit": self.mask_safe if self.mask_fit is None else self.mask_fit, "mask_safe": self.mask_safe}
        for name, mask in masks.items():
            table[name] = mask  # with the sky dimensions, which gammapy needs
        table.meta[STAT_TYPE] = self.stat_type
        return table

    def write(self, filename, overwrite=False, checksum=False):
        """Write a FITS file, or an ECSV file if the name does not contain ``.fits``, which has no room for GTI and meta_table.

        gammapy can read both.

        Parameters
        ----------
        filename : str or pathlib.Path
            Path; the file appears complete or not at all.
        overwrite : bool
            Replace a file that exists.
        checksum : bool
            Write checksums into a FITS file.

        Raises
        ------
        OutputError
            If the file exists and `overwrite` is False, or the place is not writable.
        """
        from gpudl4.io.sed import write_table

        further = {} if self.meta_table is None else {"META_TABLE": self.meta_table}
        write_table(self.to_table(), filename, gti=self.gti, overwrite=overwrite, checksum=checksum, hdu="TABLE", further=further)

    @classmethod
    def read(cls, filename, name=None, checksum=False, table_format="ascii.ecsv", **kwargs):
        """Read flux points, with masks if there are any.

        Parameters
        ----------
        filename : str or pathlib.Path
            FITS or text file, as `write`, `FluxPoints.write` or gammapy make it.
        name : str, optional
            A random one if None.
        checksum, table_format, **kwargs
            As for `gpudl4.fluxes.FluxPoints.read`.

        Raises
        ------
        DataFileError
            If the file is missing or damaged.
        DatasetError
            If its table does not hold flux points.
        """
        from gpudl4.fluxes import FluxPoints
        from gpudl4.io.files import expand_path
        from gpudl4.io.sed import read_further, read_table

        table, gti = read_table(filename, checksum=checksum, table_format=table_format, **kwargs)
        with reading(f"'{expand_path(filename)}'"):
            masks = {key: _mask(table[key]) for key in MASKS if key in table.colnames}
            table.remove_columns(list(masks))
            stat_type = str(table.meta.pop(STAT_TYPE, "chi2"))
            data = FluxPoints.from_table(table, gti=gti)
            return cls(name=name, data=data, stat_type=stat_type, meta_table=read_further(filename, "META_TABLE"), **masks)

    @classmethod
    def from_dict(cls, data, lazy=False, cache=True, backend="numpy"):
        """Read the dataset that an entry of a datasets file names (keys ``name`` and ``filename``); it stays on the host."""
        return cls.read(data["filename"], name=data["name"])


def _mask(column):
    mask = np.asarray(column)
    if mask.dtype.kind not in "bi":
        raise DataFileError(f"column '{column.name}' must hold truth values, it holds {mask.dtype}")
    return mask.astype(bool)
