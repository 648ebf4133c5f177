"""ON-OFF datasets for tests of the likelihood: stand-ins with the fields that it reads, and the same in gammapy."""

from types import SimpleNamespace

import numpy as np

from gpudl4.maps import Map
from tests.factory import get_library, make_dataset

__all__ = ["make_peer", "make_values", "moved", "on_off", "weighted"]


def make_values(dataset, seed=7):
    """Counts, counts_off, acceptance, acceptance_off of a dataset of `make_dataset`, with every border somewhere inside the mask."""
    rng = np.random.default_rng(seed)
    shape = dataset.counts.data.shape
    acceptance = np.ones(shape, dtype="float32")
    acceptance_off = rng.uniform(3, 9, shape).astype("float32")
    off = rng.poisson(dataset.background.data * acceptance_off * 0.6).astype("float32")
    counts = dataset.counts.data.astype("float32")
    acceptance[1, 8:10, 12] = 0  # alpha = 0
    acceptance_off[2, 9:11, 14] = 0  # alpha = 3.4e38
    counts[2, 10, 14] = off[2, 9, 14] = 0
    return counts, off, acceptance, acceptance_off


def on_off(dataset, seed=7, **changes):
    """Stand-in for an ON-OFF map dataset with the instrument, models and masks of a dataset; no background."""
    counts, off, acceptance, acceptance_off = make_values(dataset, seed)
    with np.errstate(divide="ignore"):
        alpha = np.nan_to_num(acceptance / acceptance_off)
    geom = dataset.counts.geom
    fields = {name: Map.from_geom(geom, data=data) for name, data in (("counts", counts), ("counts_off", off), ("alpha", alpha))}
    for name in ("exposure", "psf", "edisp", "mask", "mask_safe", "mask_fit"):
        fields[name] = getattr(dataset, name)
    models = None if dataset.models is None else [m for m in dataset.models if "fov-bkg" not in m.tag]
    fields.update(name=dataset.name, tag="MapDatasetOnOff", background=None, models=models, stat_type="wstat", **changes)
    return SimpleNamespace(**fields)


def moved(stand_in, backend):
    """The same with all maps on a backend."""
    fields = {name: value.to_device(backend) if hasattr(value, "to_device") else value for name, value in vars(stand_in).items()}
    return SimpleNamespace(**fields)


def weighted(dataset, seed=9):
    """Stand-in for a dataset whose mask_fit holds weights, some of them 0."""
    rng = np.random.default_rng(seed)
    weight = rng.uniform(0.2, 2, dataset.counts.data.shape).astype("float32") * (rng.random(dataset.counts.data.shape) < 0.9)
    names = ("name", "tag", "counts", "background", "exposure", "psf", "edisp", "mask_safe", "models")
    fields = {name: getattr(dataset, name) for name in names}
    fields["mask_fit"] = Map.from_geom(dataset.counts.geom, data=weight.astype("float32"))
    fields["mask"] = dataset.mask_safe
    return SimpleNamespace(**fields, stat_type="cash_weighted")


def make_peer(seed=7, **kwargs):
    """gammapy's MapDatasetOnOff that equals ``on_off(make_dataset(**kwargs))``."""
    plain, lib = make_dataset(library="gammapy", **kwargs), get_library("gammapy")
    names = "counts", "counts_off", "acceptance", "acceptance_off"
    values = make_values(make_dataset(**kwargs), seed)
    maps = {name: lib.maps.Map.from_geom(plain.counts.geom, data=data) for name, data in zip(names, values, strict=True)}
    fields = {name: getattr(plain, name) for name in ("exposure", "psf", "edisp", "mask_safe", "mask_fit")}
    out = lib.datasets.MapDatasetOnOff(**maps, **fields, name=plain.name)
    out.models = [m for m in plain.models if "fov-bkg" not in m.tag]
    return out
