"""Models that no dataset takes, most often because a name is misspelt; and words about them."""

import warnings

from ..core.nearest import nearest
from .background import FoVBackgroundModel

__all__ = ["unused_models", "usage_problems", "warn_of_left_out", "warn_of_unused"]


def unused_models(models, datasets):
    """Models that act on none of the datasets.

    Parameters
    ----------
    models : Models or list of models
    datasets : Datasets or list of datasets

    Returns
    -------
    list of models
    """
    names = {dataset.name for dataset in datasets}
    return [model for model in models if model.datasets_names is not None and not names.intersection(model.datasets_names)]


def usage_problems(models, datasets, every_name=False):
    """One line for each model that acts on none of the datasets, or names one that is spelt otherwise; with the nearest known names.

    Parameters
    ----------
    models : Models or list of models
    datasets : Datasets or list of datasets
    every_name : bool
        Whether each name must be that of a dataset. By default a name of one that is not here is no fault: a file of models may serve many.

    Returns
    -------
    list of str
    """
    names, lines = [dataset.name for dataset in datasets], []
    unused = unused_models(models, datasets)
    for model in models:
        if any(model is one for one in unused):
            lines.append(
                f"model '{model.name}' acts on no dataset: its datasets_names are {_quoted(model.datasets_names)}, {_hint(model, names)}"
            )
            continue
        for wanted in model.datasets_names or ():
            meant = nearest(wanted, names) if every_name else [name for name in names if _plain(name) == _plain(wanted)]
            if wanted not in names and (meant or every_name):
                question = f": is '{meant[0]}' meant?" if meant else ", which does not exist"
                lines.append(f"model '{model.name}' has '{wanted}' among its datasets_names{question}")
    return lines


def warn_of_unused(models, datasets):
    """Warn with the lines of `usage_problems`."""
    for line in usage_problems(models, datasets):
        warnings.warn(line, UserWarning, stacklevel=4)


def warn_of_left_out(models, taken, dataset):
    """Warn where a dataset got models and took none, or got backgrounds and took none although it has one.

    Lists of models are handed to each of several datasets, which take what is theirs; so a model that is left out is no fault by itself.
    """
    backgrounds = [model for model in models if isinstance(model, FoVBackgroundModel)]
    what, left = "models", list(models)
    if taken and backgrounds and getattr(dataset, "background", None) is not None:
        if any(isinstance(model, FoVBackgroundModel) for model in taken):
            return
        what, left = "background models", backgrounds
    elif taken or not left:
        return
    named = [name for model in left for name in model.datasets_names]
    warnings.warn(
        f"none of the {what} given ({_quoted([m.name for m in left])}) acts on dataset '{dataset.name}': "
        f"they name {_quoted(dict.fromkeys(named))}. Rename with models.reassign(old_name, new_name), or give the dataset its own",
        UserWarning,
        stacklevel=4,
    )


def _plain(name):
    return "".join(c for c in name.casefold() if c.isalnum())


def _hint(model, names):
    near = list(dict.fromkeys(name for wanted in model.datasets_names for name in nearest(wanted, names)))
    if near:
        return f"the nearest known names {_quoted(near)}"
    return f"the datasets are called {_quoted(names[:5])}{' ...' if len(names) > 5 else ''}"


def _quoted(names):
    return ", ".join(f"'{name}'" for name in names)
