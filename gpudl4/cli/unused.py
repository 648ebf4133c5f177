"""Models that take no part in a fit, as their names of datasets are wrong or no dataset can use them."""

import difflib

from ..core.errors import ModelError

__all__ = ["check_all_used", "unused_models"]


def unused_models(models, datasets):
    """Why models take no part, or not where they say.

    Parameters
    ----------
    models : Models
    datasets : Datasets

    Returns
    -------
    list of str
        One line for each model that is not used as it says.
    """
    lines = []
    for model in models:
        wanted = model.datasets_names
        wanted = [wanted] if isinstance(wanted, str) else wanted
        unknown = [name for name in wanted or () if name not in datasets.names]
        if unknown:
            lines.append(f"model '{model.name}' is for {', '.join(_with_nearest(name, datasets.names) for name in unknown)}")
        elif not any(_takes(dataset, model) for dataset in datasets):
            lines.append(f"model '{model.name}' ({type(model).__name__}) is taken by none of the datasets")
    return lines


def check_all_used(models, datasets):
    """Raise a `ModelError` that names the models which take no part, if there are any."""
    lines = unused_models(models, datasets)
    if lines:
        raise ModelError(f"{'; '.join(lines)}. Known datasets: {', '.join(datasets.names)}. Mend the names, or pass --allow-unused")


def _with_nearest(name, known):
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"the dataset '{name}', which does not exist" + (f" (did you mean '{near[0]}'?)" if near else "")


def _takes(dataset, model):
    return dataset.models is not None and any(taken is model for taken in dataset.models)
