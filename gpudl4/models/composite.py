"""What `SkyModel` and `FoVBackgroundModel` share: a name, a spectral and maybe a spatial part, and the datasets they act on."""

from ..core.errors import ModelError
from .base import ModelBase
from .parameters import Parameters
from .spatial import SpatialModel
from .spectral import SpectralModel

__all__ = ["CompositeModel"]


class CompositeModel(ModelBase):
    """A model made of a spectral and maybe a spatial model, with a name."""

    def __init__(self, covariance_data=None):
        super().__init__(covariance_data=covariance_data)

    @property
    def _submodels(self):
        return tuple(m for m in (self.spectral_model, self.spatial_model) if m is not None)

    @property
    def name(self):
        """Name, unique among the models of a fit."""
        return self._name

    @property
    def spectral_model(self):
        """`SpectralModel`."""
        return self._spectral_model

    @spectral_model.setter
    def spectral_model(self, model):
        if not isinstance(model, SpectralModel):
            raise ModelError(f"spectral_model must be a SpectralModel, got {model!r}")
        self._spectral_model = model

    @property
    def spatial_model(self):
        """`SpatialModel`, or None."""
        return self._spatial_model

    @spatial_model.setter
    def spatial_model(self, model):
        if model is not None and not isinstance(model, SpatialModel):
            raise ModelError(f"spatial_model must be a SpatialModel or None, got {model!r}")
        self._spatial_model = model

    @property
    def datasets_names(self):
        """Names of the datasets it acts on, or None for all."""
        return self._datasets_names

    @datasets_names.setter
    def datasets_names(self, names):
        self._datasets_names = _dataset_list(names)

    @property
    def parameters(self):
        """Parameters of the spectral, then of the spatial model."""
        return Parameters.from_stack([m.parameters for m in self._submodels])

    @property
    def parameters_unique_names(self):
        """Names like ``spectral.index``."""
        return [f"{m.type}.{name}" for m in self._submodels for name in m.parameters.names]

    def _parts(self, model_type):
        kinds = ("spectral", "spatial", "temporal")
        if model_type is not None and model_type not in kinds:
            raise ModelError(f"unknown model_type {model_type!r}: choose one of {', '.join(kinds)} or None")
        return [m for m in self._submodels if model_type in (None, m.type)]

    def freeze(self, model_type=None):
        """Freeze parameters.

        Parameters
        ----------
        model_type : {None, "spectral", "spatial", "temporal"}
            None: all of them.
        """
        for model in self._parts(model_type):
            model.freeze()

    def unfreeze(self, model_type=None):
        """Back to the frozen flags the classes declare.

        Parameters
        ----------
        model_type : {None, "spectral", "spatial", "temporal"}
            None: all of them.
        """
        for model in self._parts(model_type):
            model.unfreeze()

    def _copy_arguments(self, kwargs):
        """Arguments of a copy: copies of the parts, and what is given besides; `copy_data` is gammapy's, data are always copied."""
        parts = {"spectral_model": self.spectral_model, "spatial_model": self.spatial_model}
        given = {key: value for key, value in kwargs.items() if key != "copy_data"}
        return {"covariance_data": self.covariance.data} | {key: None if m is None else m.copy() for key, m in parts.items()} | given

    def _add_parts(self, data, full_output, links):
        """A dict as models files hold it, with the dicts of the parts in it."""
        for part in self._submodels:
            data.update(part.to_dict(full_output=full_output, links=links))
        return data

    def reassign(self, datasets_names, new_datasets_names):
        """Copy that acts on other datasets.

        Parameters
        ----------
        datasets_names, new_datasets_names : str or list of str
            Names to replace and their replacements, one by one.
        """
        old, new = _dataset_list(datasets_names), _dataset_list(new_datasets_names)
        if len(old) != len(new):
            raise ModelError(f"{len(old)} datasets_names need as many new_datasets_names, got {len(new)}")
        model = self.copy(name=self.name)
        if model.datasets_names is not None:
            names = dict(zip(old, new, strict=True))
            model.datasets_names = [names.get(name, name) for name in model.datasets_names]
        return model

    def __add__(self, other):
        from .collection import Models

        if isinstance(other, CompositeModel):
            return Models([self, other])
        if isinstance(other, (list, Models)):
            return Models([self, *other])
        return NotImplemented

    def _head(self):
        """Rows of the description, label and text."""
        names = "all" if self.datasets_names is None else ", ".join(self.datasets_names)
        return [
            ("Name", self.name),
            ("Datasets names", names),
            ("Spectral model type", type(self.spectral_model).__name__),
            ("Spatial  model type", "" if self.spatial_model is None else type(self.spatial_model).__name__),
        ]

    def __str__(self):
        lines = [type(self).__name__, ""]
        lines += [f"  {label:26}: {text}" for label, text in self._head()]
        lines += ["  Parameters:", *(f"    {line}" for line in parameter_lines(self.parameters))]
        return "\n".join(lines)

    def __repr__(self):
        parts = ", ".join(f"{m.type}_model={m!r}" for m in self._submodels)
        return f"{type(self).__name__}({parts}, name={self.name!r})"


def parameter_lines(parameters):
    """One aligned line per parameter: name, value, error or "frozen", unit."""
    lines = []
    for name, p in zip(parameters.names, parameters, strict=True):
        small = p.value != 0 and not 1e-3 <= abs(p.value) < 1e5
        value = f"{p.value:12.3e}" if small else f"{p.value:12.4f}"
        error = "(frozen)" if p.frozen else f"+/- {p.error:.2g}" if p.error else ""
        lines.append(f"{name:20} {value}  {error:14} {p.unit}".rstrip())
    return lines


def _dataset_list(names):
    if names is None:
        return None
    names = [names] if isinstance(names, str) else list(names)
    for name in names:
        if not isinstance(name, str):
            raise ModelError(f"datasets_names must be names of datasets, got {name!r}")
    return names


def part_from_dict(data, kind, registry):
    """Spectral or spatial model of a component, None if it has none."""
    if data.get(kind) is None:
        return None
    if not isinstance(data[kind], dict) or "type" not in data[kind]:
        raise ModelError(f"'{kind}' needs a 'type', got {data[kind]!r}")
    part = data[kind]
    known = {"type", "parameters", "frame"} if kind == "spatial" else {"type", "parameters"}
    cls = registry.get_cls(part["type"])
    unknown = sorted(key for key, value in part.items() if key not in known and value is not None)
    # a user's model that reads its own dict may have keys of its own
    if unknown and not hasattr(cls, "dict_keys"):
        raise ModelError(f"unknown key '{unknown[0]}' in '{kind}' of type '{part['type']}'; known: {', '.join(sorted(known))}")
    return cls.from_dict({kind: part})


def check_keys(data, known, what):
    """Refuse keys of a component that nobody would read."""
    unknown = sorted(key for key in data if key not in known)
    if unknown:
        raise ModelError(f"unknown key '{unknown[0]}' in {what}; known: {', '.join(sorted(known))}")
    if data.get("filename") is not None:
        raise ModelError(f"{what} refers to the file '{data['filename']}': models that live in a file of their own are not supported yet")
