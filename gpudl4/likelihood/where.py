"""Where a likelihood runs, and whether what is to be compiled can be at all."""

import os

import numpy as np

from gpudl4.core.backend import backend_of, get_backend
from gpudl4.core.errors import BackendError, DatasetError

__all__ = ["WORTH_A_GPU", "checked"]

WORTH_A_GPU = 300_000  # bins of all datasets; a prediction from launch costs (about 0.2 ms per evaluation), not a measurement


def _as_list(datasets):
    is_list = hasattr(datasets, "__iter__") and not hasattr(datasets, "counts") and not isinstance(datasets, str)
    return list(datasets) if is_list else [datasets]


def checked(datasets, backend, dtype):
    """List of datasets, and the backend to run on."""
    datasets = _as_list(datasets)
    for dataset in datasets:
        if not hasattr(dataset, "models"):
            raise DatasetError(f"a dataset, a list of datasets or Datasets was wanted, got {dataset!r}")
    if not datasets:
        raise DatasetError("no dataset was given: pass a dataset, a list of datasets or Datasets")
    if str(np.dtype(dtype)) not in ("float32", "float64"):
        raise BackendError(f"dtype {dtype!r} is not supported: choose 'float64' or 'float32'")
    return datasets, _choose_backend(datasets, backend)


def _choose_backend(datasets, name):
    """Backend to run on. Data on a device is computed there and nowhere else: nothing crosses unless it is asked for."""
    with_counts = [d for d in datasets if getattr(d, "counts", None) is not None]  # flux points go where the others are
    homes = {backend_of(d.counts.data).name: backend_of(d.counts.data) for d in with_counts}
    if len(homes) > 1:
        raise BackendError("the datasets live on different devices: move all of them with to_device() or to_host()")
    home = next(iter(homes.values()), get_backend("numpy"))
    if home.name == "cupy":
        if name != "auto" and get_backend(name).name != "cupy":
            raise BackendError("the datasets live on a GPU: bring them back with datasets.to_host(), or use backend='auto' or 'cupy'")
        return home
    if name != "auto" or os.environ.get("GPUDL4_BACKEND"):
        return get_backend(name)
    n_bins = sum(d.counts.data.size for d in with_counts)
    return get_backend("auto") if n_bins >= WORTH_A_GPU else home
