"""What all datasets share: name, fields from the table, models, masks and the statistic. Use the concrete kinds, `MapDataset` first."""

import abc
import copy
import html
import secrets

import numpy as np

from gpudl4.core.backend import backend_of, device_memory, get_backend
from gpudl4.core.errors import DatasetError
from gpudl4.core.sealed import Sealed

from .fields import check_agreement, check_value, field_table, main_map

__all__ = ["Dataset", "FieldValue", "make_name"]


def make_name(name=None):
    """The given name, or a random one of eight characters if None.

    Raises
    ------
    DatasetError
        If the name is not a string.
    """
    if name is None:
        return secrets.token_urlsafe(6).replace("_", "a").replace("-", "b")
    if not isinstance(name, str):
        raise DatasetError(f"the name of a dataset must be a string, got {name!r} of type {type(name).__name__}")
    return name


class FieldValue:
    """Attribute of a dataset that holds one field and checks what is assigned to it."""

    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, dataset, owner=None):
        return self if dataset is None else dataset._values.get(self.name)

    def __set__(self, dataset, value):
        field = dataset._fields.get(self.name)
        if field is None:
            raise DatasetError(f"dataset '{dataset.name}': a {dataset.tag} has no {self.name} that could be set")
        value = check_value(field, value, dataset.name)
        if value is not None:
            dataset._check({**dataset._values, self.name: value})
        dataset._values[self.name] = value


class Dataset(Sealed):
    """Base class of the datasets; a subclass has a ``tag`` that names its table of fields.

    Parameters
    ----------
    name : str, optional
        A random one if None.
    values : dict
        Field name to value.
    """

    tag = None
    _residual_methods = {
        "diff": "data - model",
        "diff/model": "(data - model) / model",
        "diff/sqrt(model)": "(data - model) / sqrt(model)",
    }

    def __init__(self, name, values):
        self._name = make_name(name)
        self._values = {key: check_value(self._fields[key], value, self._name) for key, value in values.items()}
        self._check(self._values)
        self._models = None

    @classmethod
    def _table(cls):
        return {field.name: field for field in field_table(cls.tag)}

    @property
    def _fields(self):
        return self._table()

    def _check(self, values):
        """Check fields that are about to become those of the dataset; see `check_agreement`."""
        check_agreement(values, self._name, field_table(self.tag))

    @property
    def name(self):
        """Name of the dataset, fixed when it is made; `copy` gives another."""
        return self._name

    @property
    def models(self):
        """Models that apply to this dataset (`gpudl4.models.Models`), or None.

        Assigning a list, a model or `Models` keeps those whose ``datasets_names`` is None or contains the dataset's name.
        """
        return self._models

    @models.setter
    def models(self, models):
        if models is not None:
            from gpudl4.models import Models

            models = Models(models).select(datasets_names=self.name)
        self._models = models

    @property
    def mask(self):
        """Bins to fit: mask_safe AND mask_fit as a boolean map; None if there is neither."""
        safe, fit = self.mask_safe, self.mask_fit
        if fit is not None and fit.data.dtype != bool:  # weights
            fit = fit.copy(data=fit.data > 0)
        if safe is None or fit is None:
            return fit if safe is None else safe
        return safe & fit

    def to_dict(self):
        """Entry of a ``*_datasets.yaml`` file: name, type, filename."""
        return {"name": self.name, "type": self.tag, "filename": f"{self.name.replace(' ', '_')}.fits"}

    def copy(self, name=None):
        """Deep copy without models.

        Parameters
        ----------
        name : str, optional
            Name of the copy, a random one if None: the models of a dataset are often tied to its name.
        """
        new = copy.copy(self)
        new._name = make_name(name)
        new._values = {key: None if value is None else value.copy() for key, value in self._values.items()}
        new._models = None
        return new

    @property
    def backend(self):
        """The `~gpudl4.core.backend.Backend` that holds the maps and responses; NumPy for a dataset without any."""
        maps = (main_map(field, self._values[name]) for name, field in self._fields.items())
        return backend_of(*(data_map.data for data_map in maps if data_map is not None))

    def to_device(self, backend="cupy"):
        """Dataset whose maps and responses live on a backend; name and models are kept, the host dataset stays as it is.

        Parameters
        ----------
        backend : {"cupy", "numpy", "auto"} or Backend
            Where to. Intervals and tables stay on the host. Arrays that are there already are shared.

        Raises
        ------
        BackendError
            If the backend is unknown or cannot be used here.
        DeviceMemoryError
            If the device has no room; the message names the field, the bytes wanted and free.
        """
        backend = get_backend(backend)
        new = copy.copy(self)
        new._values = dict(self._values)
        for name, field in self._fields.items():
            value = self._values[name]
            if main_map(field, value) is not None:
                with device_memory(f"dataset '{self.name}', field {name}"):
                    new._values[name] = value.to_device(backend)
        return new

    def to_host(self):
        """Dataset whose maps and responses are NumPy arrays."""
        return self.to_device("numpy")

    @abc.abstractmethod
    def stat_sum(self):
        """Fit statistic summed over the bins in the mask, without priors."""

    @abc.abstractmethod
    def stat_array(self):
        """Fit statistic of every bin."""

    def stat_sum_likelihood(self):
        """The same as `stat_sum`: a single dataset never adds priors."""
        return self.stat_sum()

    def _residuals(self, data, model, method):
        if method not in self._residual_methods:
            raise DatasetError(f"unknown residuals method {method!r}; known: {', '.join(self._residual_methods)}")
        with np.errstate(invalid="ignore", divide="ignore"):
            if method == "diff":
                return data - model
            return (data - model) / (model if method == "diff/model" else model**0.5)

    def __add__(self, other):
        from .collection import Datasets

        if isinstance(other, Dataset):
            return Datasets([self, other])
        if isinstance(other, Datasets | list):
            return Datasets([self, *other])
        return NotImplemented

    def _repr_html_(self):
        return f"<pre>{html.escape(str(self))}</pre>"
