"""Which models meet conditions on name, datasets, tag and frozen parameters. Use `gpudl4.models.Models.select`."""

__all__ = ["is_selected"]


def is_selected(model, name_substring=None, datasets_names=None, tag=None, model_type=None, frozen=None):
    """Whether a model meets all conditions; arguments as for `gpudl4.models.Models.select`."""
    part = model if model_type is None else getattr(model, f"{model_type}_model", None)
    part_tags = [] if part is None else _listed(part.tag)
    names = _listed(datasets_names)
    return (
        (name_substring is None or name_substring in model.name)
        and (names is None or model.datasets_names is None or any(name in model.datasets_names for name in names))
        and (tag is None or any(wanted in part_tags for wanted in _listed(tag)))
        and (frozen is None or model.frozen == frozen)
    )


def _listed(texts):
    """A list of texts from one or several; None stays."""
    return [texts] if isinstance(texts, str) else texts
