"""From a dataset and its models to a `DatasetTerm`: the compile step for one dataset, on the host.

Models are sorted by what can change: frozen sources are folded once into static counts, sources with a free spectrum only keep their folded
shape, sources with a free shape are evaluated anew each time.
"""

import logging
import warnings
from types import SimpleNamespace

import numpy as np

from gpudl4.core.backend import array_namespace, backend_of, to_device
from gpudl4.core.errors import DatasetError, GeometryError, ModelError

from .alone import counts_of, fixed, fixed_points, points_key
from .aperture import RegionInstrument
from .bindings import Bindings
from .image_source import ImageSource
from .instrument import Instrument
from .response import reco_geom
from .source import PointSource
from .statistic import CASH_WEIGHTED, WSTAT, check_extras, extras_of, statistic_of, weights_of
from .terms import Background, DatasetTerm

__all__ = ["build_term", "check_dataset", "instrument_of", "is_masked", "make_source", "models_of"]

log = logging.getLogger(__name__)


def models_of(dataset, models=None):
    """Models that act on a dataset: its own, or those of `models` whose ``datasets_names`` include it."""
    if models is None:
        models = dataset.models
    if models is None:
        return []
    return [m for m in models if m.datasets_names is None or dataset.name in m.datasets_names]


def is_background(model):
    """Whether a model scales the dataset's background instead of adding a source."""
    return "fov-bkg" in ([model.tag] if isinstance(model.tag, str) else model.tag)


def check_dataset(dataset, sources):
    """Check what the engine relies on; errors name dataset and field."""
    if dataset.counts is None:
        raise DatasetError(f"dataset '{dataset.name}' has no counts: set dataset.counts, or simulate them with dataset.fake()")
    if hasattr(dataset, "check_for_fit"):  # what a kind of dataset knows about its own fields
        dataset.check_for_fit()
    geom = dataset.counts.geom
    if sources and dataset.exposure is None:
        raise DatasetError(
            f"dataset '{dataset.name}' has no exposure, which the model '{sources[0].name}' needs to predict counts: set dataset.exposure"
        )
    check_extras(dataset)
    on_off = statistic_of(dataset) == WSTAT
    for name in ("exposure", "mask_safe", "mask_fit") if on_off else ("exposure", "background", "mask_safe", "mask_fit"):
        field = getattr(dataset, name)
        if field is None:
            continue
        if not field.geom.to_image() == geom.to_image():
            raise GeometryError(
                f"dataset '{dataset.name}': {name} and counts lie on different pixels: {_describe(field.geom)} against {_describe(geom)}"
            )
        if name != "exposure" and not field.geom.axes["energy"] == geom.axes["energy"]:
            raise GeometryError(f"dataset '{dataset.name}': the energy axis of {name} differs from that of counts")


def is_masked(dataset):
    """Whether the masks of a dataset with counts leave no bin to fit."""
    if dataset.counts is None:
        return False
    weight = weights_of(dataset) if statistic_of(dataset) == CASH_WEIGHTED else getattr(dataset.mask, "data", None)
    return weight is not None and not bool((weight > 0).any())


def _describe(geom):
    ny, nx = geom.data_shape[-2:]
    return f"{nx} x {ny} pixels around {geom.center_skydir.to_string(precision=3)}"


def instrument_of(dataset, earlier=None):
    """What makes the responses or sources of a dataset: `Instrument` on maps, `RegionInstrument` on a sky region."""
    return (RegionInstrument if reco_geom(dataset).is_region else Instrument)(dataset, earlier)


def make_source(dataset, model, pack, position=None, dtype=np.float64, bindings=None, instrument=None, previous=None):
    """Source of a sky model in a dataset, or None if nothing of it can reach the fit mask.

    Parameters
    ----------
    dataset, model
        See `gpudl4.likelihood.compile`.
    pack : Pack
    position : SkyCoord, optional
        Where to take the IRFs, if not at the model's position.
    dtype : dtype
        Precision of the transforms.
    bindings : Bindings, optional
        Shared with other datasets.
    instrument : Instrument or RegionInstrument, optional
        Of the dataset, shared by its sources.
    previous : Source, optional
        Of the same model in an earlier likelihood, whose bound shape serves where it would be the same.
    """
    bindings = Bindings() if bindings is None else bindings
    instrument = instrument_of(dataset) if instrument is None else instrument
    if instrument.is_region:
        return instrument.source(model, pack, position, bindings)
    if model.spatial_model is None:
        raise ModelError(f"model '{model.name}' has no spatial model, which the map dataset '{dataset.name}' needs: add one, e.g. a point")
    response = instrument.response(model, position)
    if response is None:
        return None
    spectral = bindings.spectral(model.spectral_model, instrument.energy_edges)
    spectral_pack, spatial_pack = pack.sub(model.spectral_model.parameters), pack.sub(model.spatial_model.parameters)
    image_geom = instrument.image_geom
    shape = image_geom.data_shape
    if hasattr(model.spatial_model, "bind_point"):
        spatial = bindings.point(model.spatial_model, image_geom)
        return PointSource(model.name, response, spectral, spectral_pack, spatial, spatial_pack, shape)
    cutout = image_geom if response.width is None else image_geom.cutout(response.position, f"{response.width} deg", odd_npix=True)
    spatial = None if previous is None else previous.spatial
    if not (hasattr(spatial, "is_that_of") and spatial.is_that_of(model.spatial_model, cutout)):
        spatial = model.spatial_model.bind_image(cutout)
    return ImageSource(model.name, response, spectral, spectral_pack, spatial, spatial_pack, shape, dtype=dtype)


def build_term(dataset, models, pack, irf_positions=None, dtype=np.float64, previous=None, bindings=None, borrow=False, number=0):
    """Compile one dataset, with its arrays where the dataset keeps them.

    Parameters
    ----------
    dataset : MapDataset-like
    models : list of models
        Those that act on this dataset.
    pack : Pack
    irf_positions : dict, optional
        Model name -> SkyCoord at which PSF and energy dispersion are taken.
    dtype : dtype
        Precision of working arrays.
    previous : DatasetTerm, optional
        Of the same dataset and models: if the same pixels are wanted again, its arrays serve.
    bindings : Bindings, optional
        Shared with other datasets.
    borrow : bool
        Whether the dataset's arrays may serve as they are.
    number : int
        Of the dataset in the list of all.

    Returns
    -------
    DatasetTerm, or None if the mask leaves no bin.
    list of str
        Names of the models that contribute.
    """
    positions = irf_positions or {}
    sources, statistic = [m for m in models if not is_background(m)], statistic_of(dataset)
    if statistic == WSTAT:
        models = _without_backgrounds(dataset, models, sources)
    if previous is None:  # else it was checked before
        if is_masked(dataset):  # it adds nothing, whatever it lacks
            return None, []
        check_dataset(dataset, sources)
    mask = _mask(dataset)
    xp = array_namespace(dataset.counts.data)
    counts = xp.ascontiguousarray(dataset.counts.data)
    free, frozen, contributing = [], [], []
    exposure = None if dataset.exposure is None else dataset.exposure.data
    known = {} if previous is None else {source.name: source for source in previous.sources}
    instrument = instrument_of(dataset, None if previous is None else previous.made)
    for model in sources:
        source = make_source(dataset, model, pack, positions.get(model.name), dtype, bindings, instrument, known.get(model.name))
        if source is None:
            warnings.warn(
                f"model '{model.name}' lies outside the fit mask of dataset '{dataset.name}' and contributes nothing there", stacklevel=4
            )
            continue
        contributing.append(model.name)
        (free if source.indices else frozen).append(source)
    free = _with_fixed(free, exposure, pack.theta0, dtype, instrument.made)
    instrument.made.close()
    background = _background(dataset, [m for m in models if is_background(m)], pack)
    if background.pack is not None:
        contributing.append(background.name)
    frozen_key = points_key(frozen, pack.theta0)
    if previous is not None and previous.serves(free, frozen_key):
        return previous.with_sources(background, free, instrument.made), contributing
    static = xp.zeros(counts.shape) if frozen else None
    for source in frozen:
        counts_of(source, exposure, pack.theta0, static)
    if statistic == WSTAT or dataset.background is None:
        template = xp.zeros(counts.shape, dtype=np.float32)
    else:
        template = xp.ascontiguousarray(_background_template(dataset, models))
    extras = extras_of(dataset, statistic, mask)
    seen = exposure if any(source.response.has_exposure for source in free if source.kind != "fixed") else None
    made = instrument.made
    data = counts, template, mask, static, seen
    term = DatasetTerm(dataset.name, number, *data, background, free, made, frozen_key, statistic, extras, borrow)
    return term, contributing


def _with_fixed(sources, exposure, theta, dtype, made):
    """The free sources, those whose shape does not depend on theta as `FixedSource`: points all at once, shapes one by one."""
    still = [source for source in sources if source.kind != "fixed" and not source.spatial_pack.is_free and not source.response.psf_last]
    points = fixed_points([source for source in still if source.kind == "point"], exposure, theta, dtype, made)
    done = {id(source): one for source, one in zip((s for s in still if s.kind == "point"), points, strict=True)}
    done.update((id(source), fixed(source, exposure, theta, dtype)) for source in still if source.kind != "point")
    return [done.get(id(source), source) for source in sources]


def _without_backgrounds(dataset, models, sources):
    """The sources alone: the background of an ON-OFF dataset is that of its off region."""
    for model in models:
        if is_background(model):
            warnings.warn(
                f"background model '{model.name}' does not apply to dataset '{dataset.name}', whose background is measured", stacklevel=4
            )
    return sources


def _mask(dataset):
    xp, mask = array_namespace(dataset.counts.data), dataset.mask
    if statistic_of(dataset) == CASH_WEIGHTED:
        weight = weights_of(dataset)
        mask = None if weight is None else SimpleNamespace(data=weight > 0)
    if mask is None:
        return xp.ones(dataset.counts.data.shape, dtype=bool)
    return xp.ascontiguousarray(xp.broadcast_to(mask.data, dataset.counts.data.shape)).astype(bool, copy=False)


def _background(dataset, models, pack):
    axis = reco_geom(dataset).axes["energy"]
    n_energy = axis.nbin
    if len(models) > 1:
        names = ", ".join(f"'{m.name}'" for m in models)
        raise ModelError(f"dataset '{dataset.name}' has {len(models)} background models ({names}); keep one")
    if not models:
        return Background(n_energy)
    if dataset.background is None:
        raise DatasetError(
            f"dataset '{dataset.name}' has no background map for the model '{models[0].name}' to scale: set dataset.background"
        )
    spectral = models[0].spectral_model
    energy = axis.center.to_value("TeV")
    background = Background(n_energy, spectral.bind_evaluate(energy), pack.sub(spectral.parameters))
    background.name = models[0].name
    return background


def _background_template(dataset, models):
    """Background map, times the frozen spatial part of its model if it has one."""
    data = dataset.background.data
    for model in models:
        if is_background(model) and getattr(model, "spatial_model", None) is not None:
            free = [p.name for p in model.spatial_model.parameters if not p.frozen]
            if free:
                raise ModelError(
                    f"background model '{model.name}': its spatial parameters {free} are free, which is not supported; freeze them"
                )
            image = model.spatial_model.evaluate_geom(dataset.background.geom.to_image())
            data = data * to_device(np.asarray(getattr(image, "value", image)), backend_of(data))
    return data
