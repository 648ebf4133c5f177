"""`Models`: the list of models of a fit, looked up by name or number, with one covariance.

What a model must be to be selected is in `selection`, where models are on the sky in `places`, dicts and YAML are in `text`, tables and
HTML in `overview`.
"""

import collections.abc
import copy

import numpy as np

from ..core.errors import ModelError
from ..core.sealed import Sealed
from .background import FoVBackgroundModel
from .composite import CompositeModel
from .covariance import HasCovariance
from .overview import html_table, models_html, parameters_table
from .parameters import Parameters, link_labels
from .places import ModelPlaces
from .selection import is_selected
from .text import components_from_dict, from_yaml, to_yaml

__all__ = ["DatasetModels", "Models"]


class DatasetModels(collections.abc.Sequence, HasCovariance, ModelPlaces, Sealed):
    """Models in a fixed order; the list cannot be changed, the models in it can.

    Parameters
    ----------
    models : model, list of models or Models, optional
    covariance_data : array[P, P], optional
        Default: what the models' parameters remember of their errors and correlations.

    Raises
    ------
    ModelError
        If a name occurs twice, or a dataset has two background models.
    """

    def __init__(self, models=None, covariance_data=None):
        if models is None:
            models = []
        elif isinstance(models, CompositeModel):
            models = [models]
        elif not isinstance(models, (list, tuple, DatasetModels)):
            raise ModelError(f"models must be a model, a list of models or Models, got {models!r}")
        self._models = list(models)
        self._check()
        if covariance_data is not None:
            self.covariance = covariance_data

    def _check(self):
        seen, backgrounds = set(), {}
        for model in self._models:
            if not isinstance(model, CompositeModel):
                raise ModelError(f"Models holds SkyModel and FoVBackgroundModel objects, got {model!r}")
            if model.name in seen:
                raise ModelError(f"two models are named '{model.name}': give each its own name")
            seen.add(model.name)
            if isinstance(model, FoVBackgroundModel):
                dataset = model.datasets_names[0]
                if dataset in backgrounds:
                    raise ModelError(
                        f"dataset '{dataset}' has two background models, '{backgrounds[dataset]}' and '{model.name}': keep one"
                    )
                backgrounds[dataset] = model.name

    # list

    def __len__(self):
        return len(self._models)

    def index(self, key):
        """Position of a model given by name, number or itself.

        Raises
        ------
        ModelError
            If there is no such model; the message lists the names.
        """
        if isinstance(key, (int, np.integer)):
            return int(key)
        if isinstance(key, str):
            if key in self.names:
                return self.names.index(key)
            raise ModelError(f"no model named '{key}'; there are: {', '.join(self.names) or 'none'}")
        for number, model in enumerate(self._models):
            if model is key:
                return number
        raise ModelError(f"{key!r} is not one of the models: {', '.join(self.names) or 'none'}")

    def __getitem__(self, key):
        """By number, name or model; a slice or boolean array gives a collection."""
        if isinstance(key, slice):
            return type(self)(self._models[key])
        if isinstance(key, np.ndarray) and key.dtype == bool:
            return type(self)([m for m, wanted in zip(self._models, key, strict=True) if wanted])
        return self._models[self.index(key)]

    def __contains__(self, item):
        return item in self.names if isinstance(item, str) else any(m is item for m in self._models)

    def __add__(self, other):
        if isinstance(other, CompositeModel):
            return Models([*self, other])
        if isinstance(other, (list, DatasetModels)):
            return Models([*self, *other])
        return NotImplemented

    def __radd__(self, other):
        return Models([*other, *self]) if isinstance(other, list) else NotImplemented

    @property
    def _submodels(self):
        return tuple(self._models)

    @property
    def names(self):
        """Names of the models."""
        return [m.name for m in self._models]

    @property
    def background_models(self):
        """Dict from names of datasets to names of their background models."""
        return {m.datasets_names[0]: m.name for m in self._models if isinstance(m, FoVBackgroundModel)}

    # parameters

    @property
    def parameters(self):
        """All `Parameters`; a linked one stands in it more than once."""
        return Parameters.from_stack([m.parameters for m in self._models])

    @property
    def parameters_unique_names(self):
        """Names like ``source.spectral.index``, in the order of `parameters`."""
        return [f"{m.name}.{name}" for m in self._models for name in m.parameters_unique_names]

    def _links(self):
        owners = [m.name for m in self._models for _ in m.parameters]
        return link_labels(self.parameters, owners)

    @property
    def frozen(self):
        """Whether all parameters are frozen."""
        return all(m.frozen for m in self._models)

    def freeze(self, model_type=None):
        """Freeze the parameters of all models, or those of one kind of part."""
        for model in self._models:
            model.freeze(model_type)

    def unfreeze(self, model_type=None):
        """Put the frozen flags of all models, or of one kind of part, back to what the classes declare."""
        for model in self._models:
            model.unfreeze(model_type)

    def restore_status(self, restore_values=True):
        """Context manager that puts values, frozen flags and the covariance back at its end.

        Parameters
        ----------
        restore_values : bool
            False restores flags and covariance only.
        """
        return _RestoreModels(self, restore_values)

    def to_parameters_table(self):
        """`~astropy.table.Table` with one row per parameter, the model's name first."""
        table = parameters_table(self.parameters, self._links())
        table.add_column([m.name for m in self._models for _ in m.parameters], name="model", index=0)
        return table

    def update_parameters_from_table(self, t):
        """Take values, units, bounds and frozen flags from a table as `to_parameters_table` gives it.

        Raises
        ------
        ModelError
            If the table does not have one row per parameter.
        """
        if len(t) != len(self.parameters):
            raise ModelError(f"{len(self.parameters)} parameters need a table of as many rows, got {len(t)}")
        for parameter, row in zip(self.parameters, t, strict=True):
            parameter.update_from_dict(dict(zip(t.colnames, row, strict=True)))

    # selections

    def selection_mask(self, name_substring=None, datasets_names=None, tag=None, model_type=None, frozen=None):
        """Boolean array of the models that meet all conditions, see `select`."""
        kept = (is_selected(m, name_substring, datasets_names, tag, model_type, frozen) for m in self._models)
        return np.fromiter(kept, dtype=bool, count=len(self))

    def select(self, name_substring=None, datasets_names=None, tag=None, model_type=None, frozen=None):
        """Models that meet all conditions.

        Parameters
        ----------
        name_substring : str, optional
        datasets_names : str or list of str, optional
            Models that act on one of these datasets.
        tag : str or list of str, optional
            Tags of the model, or of its part of the kind `model_type`.
        model_type : {"spectral", "spatial"}, optional
        frozen : bool, optional
            Whether all parameters of the model are frozen.
        """
        return self[self.selection_mask(name_substring, datasets_names, tag, model_type, frozen)]

    def set_parameters_bounds(self, tag, model_type, parameters_names=None, min=None, max=None, value=None):
        """Set bounds or values of parameters of several models.

        Parameters
        ----------
        tag : str or list of str
            Tags of the spectral or spatial models.
        model_type : {"spectral", "spatial"}
            Part of the models.
        parameters_names : str or list of str, optional
            Names; all parameters of the part if None.
        min, max, value : float, optional
            What to set, in the units of the parameters.
        """
        for parameter in self.select(tag=tag, model_type=model_type).parameters.select(name=parameters_names, type=model_type):
            parameter.min = parameter.min if min is None else min
            parameter.max = parameter.max if max is None else max
            parameter.value = parameter.value if value is None else value

    def reassign(self, dataset_name, new_dataset_name):
        """Copies of the models that belong to other datasets.

        Parameters
        ----------
        dataset_name, new_dataset_name : str or list of str
            Names of the datasets, and what they become; models of other datasets keep theirs.
        """
        old, new = ([names] if isinstance(names, str) else list(names) for names in (dataset_name, new_dataset_name))
        if len(old) != len(new):
            raise ModelError(f"as many new names as old ones are needed, got {len(old)} and {len(new)}")
        renamed, models = dict(zip(old, new, strict=True)), self.copy()
        for model in models:
            if model.datasets_names is not None:
                model.datasets_names = [renamed.get(name, name) for name in model.datasets_names]
        return type(self)(models)

    # copies, files, text

    def copy(self, copy_data=False):
        """Independent copy with the same names, links and data; `copy_data` stands in gammapy's signature and has no effect."""
        return copy.deepcopy(self)

    def to_dict(self, full_output=False, overwrite_templates=False):
        """Dict as models files hold it; see `write` for `overwrite_templates`.

        Parameters
        ----------
        full_output : bool
            True writes every key of every parameter, False leaves out defaults.
        """
        links = self._links()
        return {"components": [m.to_dict(full_output=full_output, links=links) for m in self._models]}

    @classmethod
    def from_dict(cls, data, path=""):
        """From a dict as models files hold it; parameters with the same ``link`` become one.

        If it names a covariance file in the folder `path` or the working folder, that is read; a warning tells where it cannot be.

        Raises
        ------
        ModelError
            If it does not describe models.
        """
        models = cls(components_from_dict(data))
        if data.get("covariance") is not None:
            from ..io.models_yaml import add_covariance

            add_covariance(models, data["covariance"], path)
        return models

    @classmethod
    def read(cls, filename, checksum=False):
        """Read a models YAML file and the covariance beside it, see `gpudl4.io.models_yaml.read_models`."""
        from ..io.models_yaml import read_models

        return read_models(filename, checksum=checksum, cls=cls)

    def write(self, path, overwrite=False, full_output=False, overwrite_templates=False, write_covariance=True, checksum=False):
        """Write a models YAML file and the covariance beside it, see `gpudl4.io.models_yaml.write_models`.

        `overwrite_templates` stands in gammapy's signature and has no effect, as no model carries a template file.
        """
        from ..io.models_yaml import write_models

        write_models(self, path, overwrite=overwrite, full_output=full_output, write_covariance=write_covariance, checksum=checksum)

    def to_yaml(self, full_output=False, overwrite_templates=False):
        """Text of a models YAML file, without covariance."""
        return to_yaml(self.to_dict(full_output=full_output))

    @classmethod
    def from_yaml(cls, yaml_str, path=""):
        """From the text of a models YAML file, see `from_dict`; ModelError if it does not parse or does not describe models."""
        return cls.from_dict(from_yaml(yaml_str), path=path)

    def __str__(self):
        lines = [type(self).__name__, ""]
        for number, model in enumerate(self._models):
            lines += [f"Component {number}: {model}", ""]
        return "\n".join(lines)

    def __repr__(self):
        return f"{type(self).__name__}({self._models!r})"

    def _repr_html_(self):
        return models_html(self._models) + html_table(self.to_parameters_table(), "Parameters")

    def _ipython_key_completions_(self):
        return self.names


class Models(DatasetModels, collections.abc.MutableSequence):
    """Models of a fit: a list that can be changed.

    Parameters
    ----------
    models : model, list of models or Models, optional
    covariance_data : array[P, P], optional

    Example
    -------
    >>> from gpudl4.models import FoVBackgroundModel, Models, SkyModel
    >>> models = Models([SkyModel.create("pl", "point", name="source"), FoVBackgroundModel(dataset_name="cta")])
    >>> models.names
    ['source', 'cta-bkg']
    """

    def _replace(self, models):
        before, self._models = self._models, models
        try:
            self._check()
        except ModelError:
            self._models = before
            raise

    def __delitem__(self, key):
        models = list(self._models)
        del models[key if isinstance(key, slice) else self.index(key)]
        self._replace(models)

    def __setitem__(self, key, model):
        models = list(self._models)
        models[self.index(key)] = model
        self._replace(models)

    def insert(self, idx, model):
        """Insert a model before a position."""
        models = list(self._models)
        models.insert(idx, model)
        self._replace(models)

    def remove(self, value):
        """Remove a model given by itself or its name."""
        del self[value]

    def set_prior(self, parameters, priors):
        """Set priors on parameters, one by one.

        Parameters
        ----------
        parameters : sequence of Parameter
        priors : sequence of Prior
        """
        for parameter, prior in zip(parameters, priors, strict=True):
            parameter.prior = prior


class _RestoreModels:
    def __init__(self, models, restore_values):
        self._models, self._covariance = models, models.covariance.data
        self._parameters = models.parameters.restore_status(restore_values)

    def __enter__(self):
        return self._models

    def __exit__(self, *_):
        self._parameters.__exit__()
        self._models.covariance = self._covariance
