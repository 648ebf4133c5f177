"""Datasets as files: a YAML list, one FITS file per dataset, and models beside them; mixed into `Datasets`."""

from gpudl4.core.errors import OutputError

__all__ = ["DatasetsFiles"]


class DatasetsFiles:
    """Verbs that read and write."""

    @classmethod
    def read(cls, filename, filename_models=None, lazy=False, cache=True, checksum=True, backend="numpy"):
        """Read datasets from a YAML file and the FITS files it names.

        Parameters
        ----------
        filename : str or pathlib.Path
            YAML file; environment variables are expanded. File names in it are relative to it.
        filename_models : str or pathlib.Path, optional
            YAML file with the models.
        lazy, cache : bool
            Read the fields of map datasets when they are first used, and keep them; see `MapDataset.read`.
        checksum : bool
            Warn if a YAML file was changed after it was written.
        backend : {"numpy", "cupy", "auto"} or Backend
            Where the arrays shall live.

        Raises
        ------
        DataFileError
            If a file is missing or damaged, or names an unknown type of dataset. Every entry is checked before data are read.
        BackendError
            If the backend is unknown or cannot be used here.
        """
        from gpudl4.core.backend import get_backend
        from gpudl4.io.datasets_yaml import read_entries

        from . import DATASET_REGISTRY

        backend = get_backend(backend)
        entries = read_entries(filename, [kind.tag for kind in DATASET_REGISTRY], checksum=checksum)
        datasets = cls(
            [DATASET_REGISTRY.get_cls(entry["type"]).from_dict(entry, lazy=lazy, cache=cache, backend=backend) for entry in entries]
        )
        if filename_models is not None:
            from gpudl4.models import Models

            datasets.models = Models.read(filename_models, checksum=checksum)
        return datasets

    def write(self, filename, filename_models=None, overwrite=False, write_covariance=True, checksum=True):
        """Write a YAML file and beside it one FITS file per dataset; gammapy can read them.

        Parameters
        ----------
        filename : str or pathlib.Path
            YAML file.
        filename_models : str or pathlib.Path, optional
            YAML file for the models, which are not written without it.
        overwrite : bool
            Replace files that exist. Without it nothing at all is written if any of them exists.
        write_covariance : bool
            Write the covariance of the parameters beside the models.
        checksum : bool
            Write checksums into all files.

        Raises
        ------
        OutputError
            If a file exists and `overwrite` is False, or the place is not writable.
        """
        from gpudl4.io.datasets_yaml import write_entries
        from gpudl4.io.files import check_output
        from gpudl4.io.models_yaml import check_models_output

        path = check_output(filename, overwrite)
        entries = [dataset.to_dict() for dataset in self._datasets]
        files = {}
        for entry in entries:
            if (twin := files.setdefault(entry["filename"], entry["name"])) != entry["name"]:
                raise OutputError(f"datasets '{twin}' and '{entry['name']}' would both be written to '{entry['filename']}': rename one")
            check_output(path.parent / entry["filename"], overwrite)
        if filename_models is not None:
            check_models_output(filename_models, overwrite, write_covariance)
        for dataset, entry in zip(self._datasets, entries, strict=True):
            dataset.write(path.parent / entry["filename"], overwrite=overwrite, checksum=checksum)
        write_entries(entries, path, overwrite=overwrite, checksum=checksum)
        if filename_models is not None:
            self.models.write(filename_models, overwrite=overwrite, write_covariance=write_covariance, checksum=checksum)
