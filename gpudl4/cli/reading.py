"""What kind of file a name stands for, and reading it with the class that does."""

from ..core.errors import DataFileError
from ..io.files import expand_path, open_fits, read_yaml

__all__ = ["kind_of", "read_data", "read_datasets"]

YAML_SUFFIXES = (".yaml", ".yml")
ECSV = b"# %ECSV"
DATASET_HDUS = {"COUNTS", "EXPOSURE", "BACKGROUND"}
ENERGY_COLUMNS, FLUX_COLUMNS = {"e_ref", "e_min"}, {"dnde", "flux", "eflux", "e2dnde", "norm"}
HDU_KINDS = {  # name of an HDU that stands for itself: kind
    "SPECTRUM": "SpectrumDatasetOnOff",
    "SPECRESP": "ARF",
    "MATRIX": "RMF",
    "SPECRESP MATRIX": "RMF",
    "THETA": "gtpsf",
    "DRM": "gtdrm",
    "PSF": "PSF",
    "EDISP": "EDISP",
}


def kind_of(filename):
    """Kind of a file: the tag of a dataset, "datasets", "models", or one of those that `read_data` reads.

    Parameters
    ----------
    filename : str or pathlib.Path
        FITS, YAML or ECSV file.

    Raises
    ------
    DataFileError
        If it is missing, or none of these.
    """
    path = expand_path(filename)
    if path.suffix.lower() in YAML_SUFFIXES:
        return _kind_of_yaml(path)
    if path.is_file():
        with path.open("rb") as file:
            if file.read(len(ECSV)) == ECSV:
                return "FluxPointsDataset"
    with open_fits(path) as hdulist:
        return _kind_of_fits(hdulist)


def _kind_of_yaml(path):
    keys = read_yaml(path, checksum=False)
    for key, kind in (("datasets", "datasets"), ("components", "models")):
        if key in keys:
            return kind
    raise DataFileError(f"'{path}' is neither a list of datasets (key 'datasets') nor of models (key 'components')")


def _kind_of_fits(hdulist):
    names = {hdu.name for hdu in hdulist}
    if names & DATASET_HDUS:
        main = next(hdu for hdu in hdulist if hdu.name in DATASET_HDUS)
        columns = _columns(main)
        kind = "Spectrum" if columns and "PIX" not in columns else "Map"
        return f"{kind}Dataset{'OnOff' if 'ACCEPTANCE' in names else ''}"
    if "SPECTRUM" in names and not str(hdulist["SPECTRUM"].header.get("ANCRFILE", "none")).strip().lower().replace("none", ""):
        return "counts"  # a background, which knows no effective area
    for name, kind in HDU_KINDS.items():
        if name in names:
            return kind
    if "SED_TYPE" in hdulist[0].header:
        return "FluxMaps"
    tables = [{column.lower() for column in _columns(hdu)} for hdu in hdulist]
    if any(table & ENERGY_COLUMNS and table & FLUX_COLUMNS for table in tables):
        return "FluxPointsDataset"
    if names <= {"", "PRIMARY", "GTI"} and "GTI" in names:
        return "GTI"
    return "Map"


def _columns(hdu):
    columns = getattr(hdu, "columns", None)
    return [] if columns is None else columns.names


def read_datasets(filename, backend="numpy"):
    """Datasets of a YAML list, or the one dataset of a FITS or ECSV file.

    Parameters
    ----------
    filename : str or pathlib.Path
    backend : {"numpy", "cupy"}
        Where the arrays shall live; flux points stay on the host.

    Raises
    ------
    DataFileError
        If it holds no datasets.
    """
    from .. import datasets

    kind = kind_of(filename)
    if kind in ("datasets", "models"):
        return datasets.Datasets.read(filename, backend=backend)  # which says what is wrong with a list of models
    if not kind.endswith(("Dataset", "DatasetOnOff")):
        raise DataFileError(f"'{filename}' holds no dataset (but {kind}); a dataset, or a list of datasets (YAML), was wanted")
    read = getattr(datasets, kind).read
    if kind == "FluxPointsDataset":
        return datasets.Datasets([read(filename, name=expand_path(filename).stem)])
    return datasets.Datasets([read(filename, backend=backend)])


def read_data(filename, kind):
    """What a file of a kind that is neither datasets nor models holds.

    Parameters
    ----------
    filename : str or pathlib.Path
    kind : str
        As `kind_of` gives it.
    """
    from .. import irf
    from ..core.gti import GTI
    from ..fluxes import FluxMaps
    from ..maps import Map, RegionNDMap

    cls, options = {
        "ARF": (RegionNDMap, {"format": "ogip-arf"}),
        "counts": (RegionNDMap, {"format": "ogip"}),
        "RMF": (irf.EDispKernel, {}),
        "PSF": (irf.PSFMap, {}),
        "gtpsf": (irf.PSFMap, {"format": "gtpsf"}),
        "EDISP": (irf.EDispMap, {}),
        "gtdrm": (irf.EDispKernelMap, {"format": "gtdrm"}),
        "GTI": (GTI, {}),
        "FluxMaps": (FluxMaps, {}),
        "Map": (Map, {}),
    }[kind]
    return cls.read(filename, **options)
