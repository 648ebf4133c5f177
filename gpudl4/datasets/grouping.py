"""`DatasetGroups`: datasets sorted by what they have in common, so that each group can be stacked and the stacks fitted together."""

import collections.abc

import numpy as np

from gpudl4.core.errors import DatasetError

__all__ = ["DatasetGroups"]


class DatasetGroups(collections.abc.Mapping):
    """Groups of datasets, a mapping of common values to `Datasets`; usually made by `Datasets.group_by`.

    Parameters
    ----------
    groups : dict
        Common value to `Datasets`.
    """

    def __init__(self, groups):
        self._groups = dict(groups)

    @classmethod
    def of(cls, datasets, key):
        """Groups of datasets; parameters as for `Datasets.group_by`."""
        value_of = key if callable(key) else lambda dataset: _column(dataset, key)
        groups = {}
        for dataset in datasets:
            value = value_of(dataset)
            try:
                groups.setdefault(value, []).append(dataset)
            except TypeError as error:
                raise DatasetError(
                    f"datasets are grouped by values that can be compared, such as numbers, texts or tuples; for '{dataset.name}' "
                    f"{type(value).__name__} was returned"
                ) from error
        return cls({value: type(datasets)(members) for value, members in groups.items()})

    def __getitem__(self, value):
        return self._groups[value]

    def __iter__(self):
        return iter(self._groups)

    def __len__(self):
        return len(self._groups)

    def stack_reduce(self, name="{}", nan_to_num=True, edisp_kernels=False):
        """Stack each group to one dataset; see `Datasets.stack_reduce`.

        Parameters
        ----------
        name : str
            Names of the stacks, ``{}`` stands for the common value.
        nan_to_num, edisp_kernels : bool
            As for `Datasets.stack_reduce`.

        Returns
        -------
        datasets : Datasets
            One dataset per group, without models.
        """
        stacked = [
            members.stack_reduce(name=name.format(value), nan_to_num=nan_to_num, edisp_kernels=edisp_kernels)
            for value, members in self._groups.items()
        ]
        return type(next(iter(self._groups.values())))(stacked) if stacked else _no_datasets()

    def __str__(self):
        rows = [f"  {value}: {', '.join(members.names)}" for value, members in self._groups.items()]
        return "\n".join([f"{type(self).__name__}, {len(self)} groups", *rows])


def _no_datasets():
    from .collection import Datasets

    return Datasets()


def _column(dataset, key):
    """Value of a column of the table of metadata; of a stacked dataset all of its values, as a tuple."""
    known = {"name": dataset.name, "type": dataset.tag}
    if key in known:
        return known[key]
    table = dataset.meta_table
    column = "TELESCOP" if key == "telescope" else key
    if table is None or column not in table.colnames:
        columns = "no table of metadata" if table is None else ", ".join(table.colnames)
        raise DatasetError(f"dataset '{dataset.name}' has no column {column!r} to group it by; it has {columns}")
    values = np.unique(np.asarray(table[column])).tolist()
    return values[0] if len(values) == 1 else tuple(values)
