"""Where a likelihood runs, and whether what is to be compiled can be at all."""

import os
import warnings

import numpy as np

from gpudl4.core.backend import backend_of, bytes_free, get_backend
from gpudl4.core.errors import BackendError, DatasetError

from .memory import readable

__all__ = ["WORTH_A_GPU", "checked"]

WORTH_A_GPU = 300_000  # bins of all datasets; a prediction from launch costs (about 0.2 ms per evaluation), not a measurement
ROOM = 0.8  # of the free memory of a device that a likelihood may want; a fit compiles anew beside what is there


def _as_list(datasets):
    is_list = hasattr(datasets, "__iter__") and not hasattr(datasets, "counts") and not isinstance(datasets, str)
    return list(datasets) if is_list else [datasets]


def checked(datasets, backend, dtype, needed):
    """List of datasets, and the backend to run on.

    Parameters
    ----------
    datasets, backend, dtype
        As for `gpudl4.likelihood.compile`.
    needed : callable
        ``needed(datasets, backend)`` is the `Memory` that the likelihood would take on a backend. Asked only where "auto" may choose.
    """
    datasets = _as_list(datasets)
    for dataset in datasets:
        if not hasattr(dataset, "models"):
            raise DatasetError(f"a dataset, a list of datasets or Datasets was wanted, got {dataset!r}")
    if not datasets:
        raise DatasetError("no dataset was given: pass a dataset, a list of datasets or Datasets")
    if str(np.dtype(dtype)) not in ("float32", "float64"):
        raise BackendError(f"dtype {dtype!r} is not supported: choose 'float64' or 'float32'")
    return datasets, _choose_backend(datasets, backend, needed)


def _choose_backend(datasets, name, needed):
    """Backend to run on. Data on a device is computed there and nowhere else: nothing crosses unless it is asked for."""
    with_counts = [d for d in datasets if getattr(d, "counts", None) is not None]  # flux points go where the others are
    homes = {home.device: home for home in (backend_of(d.counts.data) for d in with_counts)}
    if len(homes) > 1:
        where = ", ".join(sorted(homes))
        raise BackendError(f"the datasets live on different devices ({where}): move all of them with to_device() or to_host()")
    home = next(iter(homes.values()), get_backend("numpy"))
    if home.name == "cupy":
        if name != "auto" and get_backend(name).name != "cupy":
            raise BackendError("the datasets live on a GPU: bring them back with datasets.to_host(), or use backend='auto' or 'cupy'")
        return home
    if name != "auto" or os.environ.get("GPUDL4_BACKEND"):
        return get_backend(name)
    n_bins = sum(d.counts.data.size for d in with_counts)
    if n_bins < WORTH_A_GPU:
        return home
    device = get_backend("auto")
    return device if device.name == "numpy" or _has_room(device, needed(datasets, device).total) else home


def _has_room(device, wanted):
    """Whether a likelihood fits into the memory of a device; a warning says why not."""
    free = bytes_free(device)
    if free is None or wanted <= ROOM * free:
        return True
    warnings.warn(
        f"the likelihood is computed on the host: it would take {readable(wanted)} on the GPU, where {readable(free)} are free. "
        "dtype='float32' takes half of it; backend='cupy' tries nevertheless, backend='numpy' asks for the host",
        stacklevel=5,
    )
    return False
