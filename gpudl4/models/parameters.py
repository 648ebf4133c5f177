"""A list of parameters, looked up by name, number or the parameter itself."""

import collections.abc
import copy

import numpy as np

from ..core.errors import ModelError
from .overview import html_table, parameters_table
from .parameter import Parameter

__all__ = ["Parameters", "PriorParameters", "link_labels"]


def link_labels(parameters, owners=None):
    """Labels ``name@owner`` of the parameters that stand in the list more than once.

    Parameters
    ----------
    parameters : sequence of Parameter
    owners : sequence of str, optional
        Name of the model that holds each parameter.

    Returns
    -------
    labels : dict
        From ``id(parameter)`` to a label that is unique among them.
    """
    seen, labels = {}, {}
    for number, parameter in enumerate(parameters):
        key = id(parameter)
        if key not in seen:
            seen[key] = number
        elif key not in labels:
            owner = "shared" if owners is None else owners[seen[key]]
            label, count = f"{parameter.name}@{owner}", 1
            while label in labels.values():
                count += 1
                label = f"{parameter.name}@{owner}-{count}"
            labels[key] = label
    return labels


class Parameters(collections.abc.Sequence):
    """Parameters in a fixed order. A linked parameter may stand in it more than once.

    Parameters
    ----------
    parameters : iterable of Parameter, optional
    names : iterable of str, optional
        What they are called here, by default their own names. A parameter that is linked to one of another name, ``lp.alpha = pl.index``,
        is called "alpha" in one model and "index" in the other.

    Example
    -------
    >>> from gpudl4.models import PowerLawSpectralModel
    >>> parameters = PowerLawSpectralModel().parameters
    >>> parameters["index"].value = 2.3
    >>> parameters.free_parameters.names
    ['index', 'amplitude']
    """

    def __init__(self, parameters=None, names=None):
        self._parameters = [] if parameters is None else list(parameters)
        for parameter in self._parameters:
            if not isinstance(parameter, Parameter):
                raise ModelError(f"Parameters holds Parameter objects, got {parameter!r}")
        if names is None:
            names = parameters.names if isinstance(parameters, Parameters) else [p.name for p in self._parameters]
        self._names = list(names)
        if len(self._names) != len(self._parameters):
            raise ModelError(f"{len(self._parameters)} parameters need as many names, got {len(self._names)}")

    @classmethod
    def from_stack(cls, parameters_list):
        """One list from several."""
        lists = [one if isinstance(one, Parameters) else cls(one) for one in parameters_list]
        return cls([p for one in lists for p in one], [name for one in lists for name in one.names])

    def __len__(self):
        return len(self._parameters)

    def __getitem__(self, key):
        """By number, name, Parameter; a slice or boolean array gives a `Parameters`."""
        if isinstance(key, np.ndarray) and key.dtype == bool:
            if key.shape != (len(self),):
                raise ModelError(f"a mask for {len(self)} parameters was wanted, got shape {key.shape}")
            return self._at(np.flatnonzero(key))
        if isinstance(key, slice):
            return self._at(range(len(self))[key])
        return self._parameters[self.index(key)]

    def _at(self, places):
        return type(self)([self._parameters[i] for i in places], [self._names[i] for i in places])

    def index(self, val):
        """Position of a parameter given by name, number or itself (its first place).

        Raises
        ------
        IndexError
            If there is no such parameter; the message lists the names.
        """
        if isinstance(val, (int, np.integer)):
            return int(val)
        if isinstance(val, Parameter):
            for number, parameter in enumerate(self._parameters):
                if parameter is val:
                    return number
            raise IndexError(f"parameter '{val.name}' is not in this list: {', '.join(self.names)}")
        if isinstance(val, str):
            if val in self.names:
                return self.names.index(val)
            raise IndexError(f"no parameter named '{val}'; there are: {', '.join(self.names)}")
        raise ModelError(f"parameters are looked up by name, number or Parameter, got {val!r}")

    def __contains__(self, item):
        if isinstance(item, str):
            return item in self.names
        return any(parameter is item for parameter in self._parameters)

    def __eq__(self, other):
        return isinstance(other, Parameters) and len(self) == len(other) and all(a is b for a, b in zip(self, other, strict=True))

    __hash__ = None

    def __add__(self, other):
        if not isinstance(other, Parameters):
            return NotImplemented
        return Parameters.from_stack([self, other])

    def copy(self):
        """Independent copy; links inside the list stay."""
        return copy.deepcopy(self)

    # columns

    @property
    def names(self):
        """Names under which they stand here."""
        return list(self._names)

    @property
    def types(self):
        """Kinds of the models they belong to."""
        return [p.type for p in self._parameters]

    @property
    def prior(self):
        """Priors, None where there is none."""
        return [p.prior for p in self._parameters]

    @property
    def value(self):
        """Values in the own units, float64 array[P]."""
        return np.array([p.value for p in self._parameters], dtype=np.float64)

    @value.setter
    def value(self, values):
        self._assign("value", values)

    @property
    def min(self):
        """Lower bounds, float64 array[P]."""
        return np.array([p.min for p in self._parameters], dtype=np.float64)

    @min.setter
    def min(self, values):
        self._assign("min", values)

    @property
    def max(self):
        """Upper bounds, float64 array[P]."""
        return np.array([p.max for p in self._parameters], dtype=np.float64)

    @max.setter
    def max(self, values):
        self._assign("max", values)

    def _assign(self, attribute, values):
        values = list(values)
        if len(values) != len(self):
            raise ModelError(f"{len(self)} parameters need as many numbers for '{attribute}', got {len(values)}")
        for parameter, value in zip(self._parameters, values, strict=True):
            setattr(parameter, attribute, value)

    # selections

    @property
    def free_parameters(self):
        """Those that are fitted."""
        return self._at([i for i, p in enumerate(self._parameters) if not p.frozen])

    @property
    def unique_parameters(self):
        """Each parameter once, under its first name."""
        first = {}
        for i, p in enumerate(self._parameters):
            first.setdefault(id(p), i)
        return self._at(first.values())

    @property
    def free_unique_parameters(self):
        """Those that are fitted, each once: the parameters of the likelihood."""
        return self.unique_parameters.free_parameters

    def select(self, name=None, type=None, frozen=None):
        """Parameters that meet all conditions.

        Parameters
        ----------
        name : str or list of str, optional
        type : {"spectral", "spatial", "temporal"}, optional
        frozen : bool, optional
        """
        names = [name] if isinstance(name, str) else name
        keep = [
            (names is None or own in names) and (type is None or p.type == type) and (frozen is None or p.frozen == frozen)
            for p, own in zip(self._parameters, self._names, strict=True)
        ]
        return self[np.array(keep, dtype=bool)]

    # verbs

    def freeze_all(self):
        """Freeze every parameter."""
        for parameter in self._parameters:
            parameter.frozen = True

    def unfreeze_all(self):
        """Free every parameter, also those frozen by default."""
        for parameter in self._parameters:
            parameter.frozen = False

    def autoscale(self):
        """Choose the scale of every parameter."""
        for parameter in self._parameters:
            parameter.autoscale()

    def prior_stat_sum(self):
        """Sum of what the priors add to the statistic; a linked parameter is one parameter and counts once."""
        return sum(p.prior_stat_sum() for p in self.unique_parameters)

    def restore_status(self, restore_values=True):
        """Context manager that puts values and frozen flags back at its end.

        Parameters
        ----------
        restore_values : bool
            False restores the frozen flags only.
        """
        return _RestoreParameters(self, restore_values)

    # text and files

    def to_dict(self):
        """List of dicts as models files hold it."""
        return [p.to_dict() for p in self._parameters]

    @classmethod
    def from_dict(cls, data):
        """From a list of dicts with the arguments of `Parameter`, and ``link`` for linked ones.

        Raises
        ------
        ModelError
            If a key is unknown.
        """
        return cls(parameter_from_dict(entry) for entry in data)

    def to_table(self):
        """`~astropy.table.Table` with one row per parameter."""
        return parameters_table(self, link_labels(self))

    def __str__(self):
        return "\n".join(self.to_table().pformat(max_lines=-1, max_width=-1))

    def __repr__(self):
        return f"{type(self).__name__}({self._parameters!r})"

    def _repr_html_(self):
        return html_table(self.to_table())


class PriorParameters(Parameters):
    """Parameters of a prior."""


class _RestoreParameters:
    def __init__(self, parameters, restore_values):
        self._parameters, self._restore_values = parameters, restore_values
        self._kept = [(p.value, p.frozen) for p in parameters]

    def __enter__(self):
        return self._parameters

    def __exit__(self, *_):
        for parameter, (value, frozen) in zip(self._parameters, self._kept, strict=True):
            if self._restore_values:
                parameter.value = value
            parameter.frozen = frozen


_KEYS = {"name", "value", "unit", "error", "min", "max", "frozen", "interp", "scale_method", "scale_transform", "prior", "link", "scale"}
_OLD_KEYS = {"is_norm"}  # written by gammapy 0.19 to 1.1, has no use any more


def parameter_from_dict(entry, cls=Parameter):
    """One parameter from its dict; the label of a link is kept for `components_from_dict`."""
    unknown = set(entry) - _KEYS - _OLD_KEYS
    if unknown:
        raise ModelError(f"unknown key '{sorted(unknown)[0]}' of parameter '{entry.get('name')}'; known: {', '.join(sorted(_KEYS))}")
    for key in ("name", "value"):
        if key not in entry:
            raise ModelError(f"parameter {entry} has no '{key}'")
    kwargs = {key: entry[key] for key in _KEYS - {"link"} if key in entry}
    parameter = cls(**kwargs)
    parameter._link = entry.get("link")
    return parameter
