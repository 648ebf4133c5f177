"""`Datasets`: several datasets that are fitted together, read from one file, stacked to one. Use it wherever there is more than one."""

import collections.abc
import contextlib
import copy
import html

import numpy as np

from gpudl4.core.errors import DatasetError, GeometryError, ModelError
from gpudl4.core.sealed import Sealed

from .base import Dataset
from .collectionfiles import DatasetsFiles
from .grouping import DatasetGroups
from .stack import stack_datasets

__all__ = ["Datasets"]


class Datasets(DatasetsFiles, collections.abc.MutableSequence, Sealed):
    """List of datasets with unique names; items are found by number, name or the dataset itself.

    Parameters
    ----------
    datasets : Dataset, list of Dataset or Datasets, optional
        The datasets; models set on them stay set.

    Raises
    ------
    DatasetError
        If two datasets have the same name or an item is no dataset.
    """

    def __init__(self, datasets=None):
        if datasets is None:
            datasets = []
        elif isinstance(datasets, Dataset):
            datasets = [datasets]
        elif isinstance(datasets, str) or not isinstance(datasets, collections.abc.Iterable):
            raise DatasetError(f"a dataset or a list of datasets was wanted, got {type(datasets).__name__}")
        self._datasets = []
        self._models = None
        for dataset in datasets:
            self.append(dataset)

    # ------------------------------------------------------------------------------------------------------------------- a sequence

    def _checked(self, dataset, names):
        if not isinstance(dataset, Dataset):
            raise DatasetError(f"a dataset was wanted, got {type(dataset).__name__}")
        if dataset.name in names:
            raise DatasetError(f"two datasets are named '{dataset.name}': names must be unique, rename one with dataset.copy(name=...)")
        return dataset

    @property
    def names(self):
        """Names of the datasets."""
        return [dataset.name for dataset in self._datasets]

    def index(self, key):
        """Number of a dataset, given its number, its name or itself; slices are returned as they are."""
        if isinstance(key, int | np.integer | slice):
            return key
        if isinstance(key, str):
            if key not in self.names:
                raise DatasetError(f"no dataset is named {key!r}; there are {', '.join(map(repr, self.names)) or 'none'}")
            return self.names.index(key)
        for number, dataset in enumerate(self._datasets):
            if dataset is key:
                return number
        raise DatasetError(f"{key!r} is neither the number nor the name of a dataset here")

    def __getitem__(self, key):
        """A dataset by number or name; a slice gives `Datasets`."""
        found = self._datasets[self.index(key)]
        return type(self)(found) if isinstance(found, list) else found

    def __setitem__(self, key, dataset):
        number = range(len(self))[self.index(key)]
        self._datasets[number] = self._checked(dataset, self.names[:number] + self.names[number + 1 :])

    def __delitem__(self, key):
        del self._datasets[self.index(key)]

    def insert(self, index, dataset):
        """Insert a dataset before `index` (number or name)."""
        self._datasets.insert(self.index(index), self._checked(dataset, self.names))

    def reverse(self):
        """Turn the order of the datasets round."""
        self._datasets.reverse()

    def __contains__(self, key):
        return key in self.names if isinstance(key, str) else any(dataset is key for dataset in self._datasets)

    def __len__(self):
        return len(self._datasets)

    def __add__(self, other):
        if isinstance(other, Dataset):
            return type(self)([*self, other])
        if isinstance(other, Datasets | list):
            return type(self)([*self, *other])
        return NotImplemented

    def copy(self):
        """Deep copy: datasets of the same names, with copies of their models; models shared by datasets stay shared."""
        return copy.deepcopy(self)

    # ------------------------------------------------------------------------------------------------------------------------ models

    @property
    def models(self):
        """All models of the datasets, each once (`gpudl4.models.Models`).

        Assigning models gives every dataset those that apply to it.
        """
        from gpudl4.models import Models

        found = {}
        for dataset in self._datasets:
            for model in dataset.models or ():
                found[id(model)] = model
        models = list(found.values())
        if self._models is not None and len(self._models) == len(models) and all(id(model) in found for model in self._models):
            return self._models  # the object that was assigned: it holds the covariance between models
        return Models(models)

    @models.setter
    def models(self, models):
        if models is not None:
            from gpudl4.models import Models
            from gpudl4.models.usage import warn_of_unused

            models = models if isinstance(models, Models) else Models(models)
            warn_of_unused(models, self._datasets)
        self._models = models
        for dataset in self._datasets:
            dataset._models = None if models is None else models.select(datasets_names=dataset.name)

    @property
    def parameters(self):
        """Unique parameters of all models (`gpudl4.models.Parameters`)."""
        return self.models.parameters.unique_parameters

    def stat_sum(self):
        """Fit statistic of all datasets together, with the priors of the parameters.

        Compiled anew at every call: for scans and samplers take ``likelihood = gpudl4.compile(datasets)`` once and call
        ``likelihood.value(theta)``, or use `Fit.stat_profile`.

        Returns
        -------
        stat : float
        """
        from gpudl4.likelihood import compile

        try:
            if any(self.contributes_to_stat):
                likelihood = compile(self)
                return float(likelihood.value(likelihood.theta0))
        except ModelError:  # no model reaches any dataset, which only a fit minds; other faults show again below
            pass
        return self.stat_sum_likelihood() + float(self.models.parameters.prior_stat_sum())

    def stat_sum_likelihood(self):
        """Fit statistic of all datasets together, without priors."""
        return sum(dataset.stat_sum() for dataset in self._datasets)

    # ------------------------------------------------------------------------------------------------------------------- properties

    @property
    def is_all_same_type(self):
        """Whether all datasets are of one kind."""
        return len({type(dataset) for dataset in self._datasets}) == 1

    @property
    def is_all_same_shape(self):
        """Whether all datasets have counts of one shape."""
        return len({tuple(dataset.data_shape) for dataset in self._datasets}) == 1

    @property
    def is_all_same_energy_shape(self):
        """Whether all datasets have the same number of reconstructed energies."""
        return len({dataset.data_shape[0] for dataset in self._datasets}) == 1

    @property
    def is_all_same_geom(self):
        """Whether all datasets have one geometry."""
        return all(dataset._geom == self[0]._geom for dataset in self._datasets[1:])

    @property
    def energy_axes_are_aligned(self):
        """Whether the reconstructed energies of all datasets share their bin edges."""
        axes = [dataset._geom.axes["energy"] for dataset in self._datasets]
        return all(axes[0].is_aligned(axis) for axis in axes)

    @property
    def contributes_to_stat(self):
        """Whether each dataset has a bin in its mask, boolean array."""
        masks = [dataset.mask for dataset in self._datasets]
        arrays = [mask if mask is None or isinstance(mask, np.ndarray) else mask.data for mask in masks]
        return np.array([array is None or bool(array.any()) for array in arrays], dtype=bool)

    @property
    def energy_ranges(self):
        """First and last edge of the reconstructed energies of each dataset, two quantity arrays."""
        import astropy.units as u

        edges = [dataset._geom.axes["energy"].edges for dataset in self._datasets]
        return u.Quantity([e[0] for e in edges]), u.Quantity([e[-1] for e in edges])

    @property
    def gti(self):
        """One interval per dataset, from its first start to its last stop (`gpudl4.data.GTI`); None if no dataset has any."""
        from gpudl4.core.gti import GTI

        spans = [(d.gti.time_start[0], d.gti.time_stop[-1]) for d in self._datasets if d.gti is not None and len(d.gti)]
        return GTI.from_time_intervals(spans) if spans else None

    @property
    def meta_table(self):
        """The tables of metadata of all datasets below each other, with columns NAME and TYPE (astropy table)."""
        from astropy.table import Table, vstack

        tables = [dataset.meta_table for dataset in self._datasets]
        rows = [Table([[0]], names=["_"]) if table is None else table for table in tables]
        table = vstack(rows).copy() if rows else Table()
        if "_" in table.colnames:
            table.remove_column("_")
        table.add_column([dataset.tag for dataset in self._datasets], index=0, name="TYPE")
        table.add_column(self.names, index=0, name="NAME")
        return table

    def info_table(self, cumulative=False):
        """Table of the summaries of all datasets, one row each; see `MapDataset.info_dict`.

        Parameters
        ----------
        cumulative : bool
            Each row describes the stack of the datasets so far; what depends on models is lost.

        Returns
        -------
        table : astropy.table.Table
        """
        from astropy.table import Table

        if not self._datasets:
            return Table()
        if not self.is_all_same_type:
            raise DatasetError("info_table() needs datasets of one kind")
        if not cumulative:
            return Table(rows=[dataset.info_dict() for dataset in self._datasets])
        stacked = self[0].to_masked(name="stacked")
        rows = [stacked.info_dict()]
        for dataset in self._datasets[1:]:
            stacked.stack(dataset)
            rows.append(stacked.info_dict())
        return Table(rows=rows)

    def stack_reduce(self, name=None, nan_to_num=True, edisp_kernels=False):
        """Stack all datasets to one, each masked by its mask_safe; see `gpudl4.datasets.stack_datasets`.

        Parameters
        ----------
        name : str, optional
            A random one if None.
        nan_to_num : bool
            Take values that are not finite as zero.
        edisp_kernels : bool
            Turn energy dispersions over migra into kernels first, so that the energy thresholds of each dataset are kept.
        """
        if not self._datasets or not self.is_all_same_type:
            raise DatasetError("stack_reduce() needs at least one dataset, and all of one kind")
        return stack_datasets(self._datasets, name=name, nan_to_num=nan_to_num, edisp_kernels=edisp_kernels)

    def group_by(self, key):
        """Sort the datasets into groups, for instance runs of similar conditions that shall be stacked.

        Parameters
        ----------
        key : str or callable
            A column of the datasets' `meta_table` (``"name"``, ``"type"`` and ``"telescope"`` work without one), or a function of a
            dataset that returns what the datasets of one group have in common.

        Returns
        -------
        groups : DatasetGroups
            Mapping of the common values to `Datasets`, in the order in which they were met.

        Raises
        ------
        DatasetError
            If a dataset does not have the column.

        Examples
        --------
        Many runs, stacked by zenith angle and fitted together, in three lines:

        >>> stacked = datasets.group_by(lambda d: int(d.meta_table["ZEN_PNT"][0] // 10)).stack_reduce()  # doctest: +SKIP
        >>> stacked.models = models  # doctest: +SKIP
        >>> result = Fit().run(stacked)  # doctest: +SKIP
        """
        return DatasetGroups.of(self, key)

    def to_spectrum_datasets(self, region):
        """Spectra of a region with the same names, see `MapDataset.to_spectrum_dataset`; without models.

        Parameters
        ----------
        region : `~regions.SkyRegion`
            Region.
        """
        return type(self)([dataset.to_spectrum_dataset(region, name=dataset.name) for dataset in self._datasets])

    def to_asimov(self):
        """Datasets of the same names and models whose counts are their prediction, see `MapDataset.to_asimov`."""
        return self._with([dataset.to_asimov() for dataset in self._datasets])

    def select_time(self, time_min, time_max, atol="1e-6 s"):
        """Datasets that lie within a time interval, from the start of their first to the stop of their last good time interval.

        Parameters
        ----------
        time_min, time_max : `astropy.time.Time` or str
            Interval; texts such as "2020-01-31 12:00" are in UTC.
        atol : Quantity or str
            Tolerance.

        Returns
        -------
        datasets : Datasets
            The same objects; datasets without intervals are left out.
        """
        import astropy.units as u
        from astropy.time import Time

        atol, time_min, time_max = u.Quantity(atol), Time(time_min), Time(time_max)
        inside = []
        for dataset in self._datasets:
            gti = getattr(dataset, "gti", None)
            if gti is not None and len(gti) and gti.time_start[0] >= time_min - atol and gti.time_stop[-1] <= time_max + atol:
                inside.append(dataset)
        return type(self)(inside)

    def slice_by_energy(self, energy_min=None, energy_max=None):
        """Datasets of the same names cut to a range of energies, see `MapDataset.slice_by_energy`; without models.

        Parameters
        ----------
        energy_min, energy_max : Quantity or str, optional
            Limits, rounded to edges of each dataset's energies.

        Returns
        -------
        datasets : Datasets
            Datasets without a bin in the range are left out.
        """
        inside = []
        for dataset in self._datasets:
            with contextlib.suppress(GeometryError):
                inside.append(dataset.slice_by_energy(energy_min, energy_max, name=dataset.name))
        return type(self)(inside)

    def to_device(self, backend="cupy"):
        """Datasets with the same names and models whose arrays live on a backend; see `MapDataset.to_device`."""
        return self._with([dataset.to_device(backend) for dataset in self._datasets])

    def to_host(self):
        """Datasets whose arrays are NumPy arrays."""
        return self._with([dataset.to_host() for dataset in self._datasets])

    def _with(self, datasets):
        new = type(self)(datasets)
        new._models = self._models
        return new

    def __str__(self):
        lines = [type(self).__name__, "-" * len(type(self).__name__), ""]
        for number, dataset in enumerate(self._datasets):
            rows = [("Type", dataset.tag), ("Name", dataset.name), ("Instrument", _instrument(dataset))]
            rows.append(("Models", dataset.models.names if dataset.models else ""))
            lines += [f"Dataset {number}:", "", *(f"  {label:10} : {text}" for label, text in rows), ""]
        return "\n".join(lines)

    def _repr_html_(self):
        return f"<pre>{html.escape(str(self))}</pre>"


def _instrument(dataset):
    if dataset.meta_table is None or "TELESCOP" not in dataset.meta_table.colnames:
        return ""
    return ", ".join(sorted({str(value) for value in np.atleast_1d(dataset.meta_table["TELESCOP"]).ravel()}))
