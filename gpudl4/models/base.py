"""What every model is: a bag of parameters that copies, prints, freezes and turns into a dict and back.

`Model` creates built-in and registered models by tag.
"""

import copy
import html

import numpy as np

from ..core.errors import ModelError, UnitMismatchError
from ..core.sealed import Sealed
from .covariance import HasCovariance
from .parameter import SCALED_BY_FLUX, Parameter
from .parameters import Parameters, parameter_from_dict
from .registries import MODEL_REGISTRY, PRIOR_REGISTRY, SPATIAL_MODEL_REGISTRY, SPECTRAL_MODEL_REGISTRY, TEMPORAL_MODEL_REGISTRY

__all__ = ["Model", "ModelBase"]

# keys that are left out of a models file when they hold the default of the class
_OPTIONAL_KEYS = ("min", "max", "error", "interp", "scale_method", "scale_transform", "frozen")


class ModelBase(HasCovariance, Sealed):
    """Base class of all models.

    Parameters are declared as class attributes; a class also takes those of its base classes::

        class MyModel(SpectralModel):
            tag = "my-model"
            index = Parameter("index", 2)

    Parameters
    ----------
    **kwargs
        Values of parameters: numbers, quantities, text like ``"1 TeV"``, or a `Parameter` of that name, which is used as it is.
        ``covariance_data`` : array[P, P], optional, sets the covariance.

    Raises
    ------
    ModelError
        If a keyword names no parameter.
    UnitMismatchError
        If a unit does not convert to the parameter's.
    """

    tag = ()
    _type = None
    default_parameters = Parameters()

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        found = {}
        for base in reversed(cls.__mro__):
            found.update({name: value for name, value in vars(base).items() if isinstance(value, Parameter)})
        cls.default_parameters = Parameters(found.values())

    def __init__(self, **kwargs):
        covariance_data = kwargs.pop("covariance_data", None)
        names = self.default_parameters.names
        unknown = [name for name in kwargs if name not in names]
        if unknown:
            raise ModelError(f"{type(self).__name__} has no parameter '{unknown[0]}'; it has: {', '.join(names) or 'none'}")
        for default in self.default_parameters:
            value = kwargs.get(default.name)
            if isinstance(value, Parameter):
                if value.name != default.name:
                    raise ModelError(f"parameter '{value.name}' was given for '{default.name}' of {type(self).__name__}")
                parameter = value
            else:
                parameter = default.copy()
                if value is not None:
                    parameter.quantity = value
            parameter._type = self._type
            setattr(self, default.name, parameter)
        if covariance_data is not None:
            self.covariance = covariance_data

    @classmethod
    def from_parameters(cls, parameters, **kwargs):
        """Model that holds these `Parameter` objects."""
        named = parameters if isinstance(parameters, Parameters) else Parameters(parameters)
        places = dict(zip(named.names, named, strict=True))
        model = cls(**{name: p for name, p in places.items() if p.name == name}, **kwargs)
        for name, p in places.items():
            if p.name != name:  # linked to a parameter of another name
                setattr(model, name, p)
        return model

    @property
    def type(self):
        """Kind of model: "spectral", "spatial", "temporal", "prior" or None."""
        return self._type

    @property
    def parameters(self):
        """Its `Parameters`, in the order of declaration."""
        names = self.default_parameters.names
        return Parameters([getattr(self, name) for name in names], names)

    @property
    def parameters_unique_names(self):
        """Names of the parameters, with the kind of the part they belong to where a model has parts."""
        return self.parameters.names

    def copy(self, **kwargs):
        """Independent copy.

        Parameters
        ----------
        **kwargs
            Parameters that shall have another value in the copy.
        """
        model = copy.deepcopy(self)
        names = model.default_parameters.names
        for name, value in kwargs.items():
            if name == "copy_data":  # asks that data of templates are copied too, which deepcopy does
                continue
            if name not in names:
                raise ModelError(f"{type(self).__name__} has no parameter '{name}'; it has: {', '.join(names)}")
            getattr(model, name).quantity = value
        return model

    # freezing

    @property
    def frozen(self):
        """Whether all parameters are frozen."""
        return all(p.frozen for p in self.parameters)

    def freeze(self):
        """Freeze all parameters."""
        self.parameters.freeze_all()

    def unfreeze(self):
        """Back to the frozen flags the class declares."""
        for parameter, default in zip(self.parameters, self.default_parameters, strict=True):
            parameter.frozen = default.frozen

    # dict

    @classmethod
    def _main_tag(cls):
        return cls.tag if isinstance(cls.tag, str) else cls.tag[0]

    def to_dict(self, full_output=False, links=None):
        """Dict as models files hold it.

        Parameters
        ----------
        full_output : bool
            True writes every key; False leaves out what equals the class's default.
        links : dict, optional
            Labels of linked parameters, from `link_labels`.

        Returns
        -------
        data : dict
            ``{kind: {"type": tag, "parameters": [...]}}``.
        """
        entries = []
        for parameter, default in zip(self.parameters, self.default_parameters, strict=True):
            entry = parameter.to_dict() | {"name": default.name}
            if not full_output:
                reference = default.to_dict()
                for key in _OPTIONAL_KEYS:
                    if key in entry and _same(entry[key], reference[key]):
                        del entry[key]
                if reference["unit"] == "" and entry["unit"] == "":
                    del entry["unit"]
            if links and id(parameter) in links:
                entry["link"] = links[id(parameter)]
            entries.append(entry)
        data = {"type": self._main_tag(), "parameters": entries}
        return data if self.type is None else {self.type: data}

    @classmethod
    def from_dict(cls, data, **kwargs):
        """Model from its dict, with or without the key of its kind around it.

        Raises
        ------
        ModelError
            If the type is another one, a parameter is unknown, or a value is not a finite number.
        """
        if cls._type in data:
            data = data[cls._type]
        tags = [cls.tag] if isinstance(cls.tag, str) else cls.tag
        if data.get("type") not in tags:
            raise ModelError(f"type '{data.get('type')}' does not belong to {cls.__name__}, whose tags are: {', '.join(tags)}")
        return cls.from_parameters(cls._parameters_from_dict(data.get("parameters") or []), **kwargs)

    @staticmethod
    def _parameter_from_dict(entry):
        return parameter_from_dict(entry)

    @classmethod
    def _parameters_from_dict(cls, entries):
        where = f"of {cls._main_tag()}"
        names = cls.default_parameters.names
        given = {}
        for entry in entries:
            if not isinstance(entry, dict) or "name" not in entry:
                raise ModelError(f"a parameter {where} needs a 'name', got {entry!r}")
            name = entry["name"]
            if name not in names:
                raise ModelError(f"unknown parameter '{name}' {where}; known: {', '.join(names)}")
            if name in given:
                raise ModelError(f"parameter '{name}' {where} is given twice")
            given[name] = entry
        parameters = []
        for default in cls.default_parameters:
            entry = {**default.to_dict(), **given.get(default.name, {})}
            try:
                parameter = cls._parameter_from_dict(entry)
            except (ValueError, TypeError) as error:
                raise ModelError(f"parameter '{default.name}' {where}: {error}") from error
            _check_read(parameter, default, where)
            parameters.append(parameter)
        return parameters

    # text

    def __str__(self):
        text = type(self).__name__
        return f"{text}\n\n{self.parameters}" if len(self.parameters) else text

    def __repr__(self):
        named = zip(self.default_parameters.names, self.parameters, strict=True)
        values = ", ".join(f"{name}={p.value:g}{' ' + str(p.unit) if str(p.unit) else ''}" for name, p in named)
        return f"{type(self).__name__}({values})"

    def _repr_html_(self):
        return f"<p>{html.escape(type(self).__name__)}</p>{self.parameters._repr_html_()}"


def _same(a, b):
    both_nan = isinstance(a, float) and isinstance(b, float) and np.isnan(a) and np.isnan(b)
    return both_nan or a == b


def _check_read(parameter, default, where):
    """What a value from a file must be; a default that is NaN itself (the centre of a template) allows NaN."""
    if not np.isfinite(parameter.value) and np.isfinite(default.value):
        raise ModelError(f"parameter '{parameter.name}' {where} has the value {parameter.value}: a finite number was wanted")
    # the unit of an amplitude depends on which IRFs apply, so the sky model checks it
    if default.unit not in SCALED_BY_FLUX and not parameter.unit.is_equivalent(default.unit):
        raise UnitMismatchError(
            f"parameter '{parameter.name}' {where} has unit '{parameter.unit}', which does not convert to '{default.unit}'"
        )


class Model:
    """Creates models by tag."""

    @staticmethod
    def create(tag, model_type=None, *args, **kwargs):
        """Model by tag.

        Parameters
        ----------
        tag : str
            Tag or class name, e.g. ``"pl"``.
        model_type : {"spectral", "spatial", "temporal", "prior", None}
            None: a complete model, e.g. ``"sky-model"``.
        *args, **kwargs
            Arguments of the class.

        Example
        -------
        >>> from gpudl4.models import Model
        >>> Model.create("pl", "spectral", index=3).index.value
        3.0
        """
        return _registry(model_type).get_cls(tag)(*args, **kwargs)

    @staticmethod
    def from_dict(data):
        """Model from its dict; the class follows from ``type``."""
        if "type" in data:
            return MODEL_REGISTRY.get_cls(data["type"]).from_dict(data)
        for kind in ("spatial", "spectral", "temporal", "prior"):
            if kind in data:
                return _registry(kind).get_cls(data[kind].get("type")).from_dict(data)
        raise ModelError(f"no 'type' found in the model's dict, whose keys are: {', '.join(map(str, data))}")


def _registry(model_type):
    registries = {
        None: MODEL_REGISTRY,
        "spectral": SPECTRAL_MODEL_REGISTRY,
        "spatial": SPATIAL_MODEL_REGISTRY,
        "temporal": TEMPORAL_MODEL_REGISTRY,
        "prior": PRIOR_REGISTRY,
    }
    if model_type not in registries:
        raise ModelError(f"unknown model_type {model_type!r}: choose one of {', '.join(repr(k) for k in registries)}")
    return registries[model_type]
