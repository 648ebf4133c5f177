"""The errors a user of gpudl4 can meet, one class per kind of mistake.

Every message names what was given, what was wanted and what to do. All classes derive from `GPUDL4Error`, and each also from the
built-in exception that gammapy or NumPy users would catch, so that existing ``except ValueError`` clauses keep working.
"""

__all__ = [
    "BackendError",
    "DataFileError",
    "DatasetError",
    "DeviceMemoryError",
    "FitError",
    "GPUDL4Error",
    "GeometryError",
    "MemoryLimitError",
    "MissingFileError",
    "MissingLibraryError",
    "ModelError",
    "OutputError",
    "UnitMismatchError",
    "UnknownAttributeError",
]


class GPUDL4Error(Exception):
    """Base class of all errors raised on purpose by gpudl4."""


class GeometryError(GPUDL4Error, ValueError):
    """Axes or sky geometries do not fit together."""


class UnitMismatchError(GPUDL4Error, ValueError):
    """A unit cannot be converted to the one that is needed."""


class DataFileError(GPUDL4Error, ValueError):
    """A file cannot be read: truncated, not FITS or YAML, or a part is missing."""


class MissingFileError(DataFileError, FileNotFoundError):
    """A file that shall be read is not there."""


class DatasetError(GPUDL4Error, ValueError):
    """A dataset is incomplete or holds values that cannot be fitted."""


class ModelError(GPUDL4Error, ValueError):
    """A model, a parameter or a models file is wrong."""


class UnknownAttributeError(GPUDL4Error, AttributeError):
    """A value was assigned to an attribute that does not exist, probably a misspelt one."""


class FitError(GPUDL4Error, ValueError):
    """A fit cannot be run as asked."""


class BackendError(GPUDL4Error, RuntimeError):
    """The wanted array backend is unknown, unusable, or two backends are mixed."""


class DeviceMemoryError(BackendError, MemoryError):
    """The memory of the device is used up.

    Parameters
    ----------
    what : str
        What needed the memory.
    wanted, free : int or None
        Bytes that were asked for and that can still be allocated, as far as they are known.
    """

    def __init__(self, what, wanted=None, free=None):
        super().__init__(what, wanted, free)
        self.what, self.wanted, self.free = what, wanted, free

    def __str__(self):
        wanted = "more memory than there is" if self.wanted is None else f"{self.wanted:,} bytes"
        free = "" if self.free is None else f", {self.free:,} bytes are free"
        return (
            f"out of memory on the GPU for {self.what}: {wanted} wanted{free}. What helps: dtype='float32', a smaller region "
            "(dataset.cutout), fewer free components on the device, or the host (backend='numpy')"
        )


class MemoryLimitError(GPUDL4Error, MemoryError):
    """A likelihood would take more memory than it was allowed to.

    Parameters
    ----------
    needed, allowed : int
        Bytes.
    items : str
        What needs how much, one per line.
    dtype : str
        Precision of its working arrays.
    """

    def __init__(self, needed, allowed, items, dtype):
        super().__init__(needed, allowed, items, dtype)
        self.needed, self.allowed, self.items, self.dtype = needed, allowed, items, dtype

    def __str__(self):
        halve = "dtype='float32', " if self.dtype == "float64" else ""
        return (
            f"the likelihood would take {self.needed:,} bytes, and memory_limit allows {self.allowed:,}:\n{self.items}\nWhat helps: {halve}"
            "a smaller region or larger pixels (dataset.cutout, dataset.downsample), fewer sources with a free position or shape, fewer "
            "datasets at a time, or a higher limit"
        )


class OutputError(GPUDL4Error, OSError):
    """A result cannot be written: it exists already, or the place is not writable."""


class MissingLibraryError(GPUDL4Error, ImportError):
    """A library that is not always needed is not installed; the message says how to get it."""
