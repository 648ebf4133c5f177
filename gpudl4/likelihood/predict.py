"""Predicted counts on the whole map, for people: what `MapDataset.npred` and its relatives are made of.

Everything is compiled for the call and dropped afterwards, so the answer depends on the dataset and models as they are now.
"""

import numpy as np

from gpudl4.core.backend import array_namespace, backend_of, to_device

from .alone import counts_of
from .build import _background, _background_template, instrument_of, is_background, make_source, models_of
from .pack import Pack
from .response import reco_geom
from .wide import slices_within, widened

__all__ = ["background", "npred_by_model", "npred_signal"]


def npred_by_model(dataset, models=None):
    """Predicted counts of each source.

    Parameters
    ----------
    dataset : MapDataset
    models : Models, optional
        Instead of the dataset's own.

    Returns
    -------
    dict
        Model name -> float64 array[K, ny, nx]; models that cannot reach the dataset are left out.
    """
    with _home(dataset).entered():
        return _npred_by_model(dataset, models)


def _home(dataset):
    """Backend that holds a dataset's arrays."""
    fields = (dataset.counts, dataset.background, dataset.exposure)
    return backend_of(*(field.data for field in fields if field is not None))


def _npred_by_model(dataset, models):
    where, dataset = slices_within(dataset), widened(dataset)
    shape = reco_geom(dataset).data_shape
    sources = [m for m in models_of(dataset, models) if not is_background(m)]
    pack, instrument, out = Pack(sources), instrument_of(dataset), {}
    for model in sources:
        source = make_source(dataset, model, pack, instrument=instrument)
        if source is not None:
            exposure = dataset.exposure.data
            out[model.name] = array_namespace(exposure).zeros(shape)
            counts_of(source, exposure, pack.theta0, out[model.name])
            if where is not None:
                out[model.name] = out[model.name][(..., *where)]
    return out


def npred_signal(dataset, models=None):
    """Predicted counts of all sources together, float64 array[K, ny, nx], where the dataset's arrays are."""
    home = _home(dataset)
    with home.entered():
        out = home.xp.zeros(reco_geom(dataset).data_shape)
        for counts in npred_by_model(dataset, models).values():
            out += counts
        return out


def background(dataset, models=None):
    """Background after its model, array[K, ny, nx], or None if the dataset has none."""
    if dataset.background is None:
        return None
    own = [m for m in models_of(dataset, models) if is_background(m)]
    norm, _ = _background(dataset, own, Pack([])).norm(np.zeros((1, 0)))
    with _home(dataset).entered():
        if not own:
            return dataset.background.data.copy()
        template = _background_template(dataset, own)
        return to_device(norm[0][:, np.newaxis, np.newaxis], backend_of(template)) * template
