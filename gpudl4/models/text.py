"""Dicts and YAML text of models files: what stands in them besides the models themselves. Use `gpudl4.models.Models`."""

from ..core.errors import ModelError
from .registries import MODEL_REGISTRY

__all__ = ["components_from_dict", "from_yaml", "to_yaml"]

_KEYS = {"components", "covariance", "metadata", "checksum"}


def components_from_dict(data):
    """List of models from a dict as models files hold it; parameters with the same ``link`` become one.

    Raises
    ------
    ModelError
        If it does not describe models.
    """
    if not isinstance(data, dict) or not isinstance(data.get("components"), list):
        raise ModelError("a models file needs a list 'components'; this one has none")
    unknown = sorted(set(data) - _KEYS)
    if unknown:
        raise ModelError(f"unknown key '{unknown[0]}' beside 'components'; known: {', '.join(sorted(_KEYS))}")
    models = []
    for number, component in enumerate(data["components"]):
        if not isinstance(component, dict) or "type" not in component:
            raise ModelError(f"component {number} needs a 'type', got {component!r}")
        models.append(MODEL_REGISTRY.get_cls(component["type"]).from_dict(component))
    _resolve_links(models)
    return models


def _resolve_links(models):
    """Make one parameter of those that were read with the same ``link`` label; labels are forgotten then."""
    shared = {}
    for model in models:
        for part in model._submodels:
            for name, parameter in zip(part.default_parameters.names, part.parameters, strict=True):
                label, parameter._link = parameter._link, None
                if label is not None:
                    setattr(part, name, shared.setdefault(label, parameter))


def to_yaml(data):
    """Text of a models file from its dict."""
    import yaml

    return yaml.safe_dump(data, sort_keys=False, indent=4, width=80, default_flow_style=False)


def from_yaml(text):
    """Dict of a models file from its text; ModelError if it does not parse."""
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ModelError(f"the models do not parse as YAML: {' '.join(str(error).split())}") from error
