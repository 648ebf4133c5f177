"""From a dataset and its models to a `DatasetTerm`: the compile step for one dataset, on the host.

Models are sorted by what can change: frozen sources are folded once into static counts, sources with a free spectrum only keep their folded
shape, sources with a free shape are evaluated anew each time.
"""

import logging
import warnings

import numpy as np

from gpudl4.core.errors import DatasetError, GeometryError, ModelError

from .component import TemplateComponent
from .image import ImageComponent
from .point import PointComponent
from .region import ActiveRegion
from .response import make_response, reco_geom
from .terms import Background, DatasetTerm

__all__ = ["build_term", "check_dataset", "make_component", "models_of", "render"]

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
    geom = dataset.counts.geom
    if sources and dataset.exposure is None:
        raise DatasetError(
            f"dataset '{dataset.name}' has no exposure, which the model '{sources[0].name}' needs to predict counts: set dataset.exposure"
        )
    for name in ("exposure", "background", "mask_safe", "mask_fit"):
        field = getattr(dataset, name)
        if field is None:
            continue
        if not field.geom.to_image() == geom.to_image():
            raise GeometryError(
                f"dataset '{dataset.name}': {name} and counts lie on different pixels: {_describe(field.geom)} against {_describe(geom)}"
            )
        if name != "exposure" and not field.geom.axes["energy"] == geom.axes["energy"]:
            raise GeometryError(f"dataset '{dataset.name}': the energy axis of {name} differs from that of counts")


def _describe(geom):
    ny, nx = geom.data_shape[-2:]
    return f"{nx} x {ny} pixels around {geom.center_skydir.to_string(precision=3)}"


def make_component(dataset, model, pack, position=None, dtype=np.float64, draft=False):
    """Component of a sky model in a dataset, or None if nothing of it can reach the fit mask.

    Parameters
    ----------
    dataset, model
        See `gpudl4.likelihood.compile`.
    pack : Pack
    position : SkyCoord, optional
        Where to take the IRFs, if not at the model's position.
    dtype : dtype
        Precision of the FFTs.
    draft : bool
        See `ImageComponent`.
    """
    if model.spatial_model is None:
        raise ModelError(f"model '{model.name}' has no spatial model, which the map dataset '{dataset.name}' needs: add one, e.g. a point")
    response = make_response(dataset, model, position)
    if response is None:
        return None
    if not np.all(np.isfinite(response.exposure)) or response.exposure.min() < 0:
        response = _mend_exposure(dataset, model, response)
    energy = dataset.exposure.geom.axes["energy_true"].edges
    spectral = model.spectral_model.bind_integral(energy[:-1], energy[1:])
    spectral_pack, spatial_pack = pack.sub(model.spectral_model.parameters), pack.sub(model.spatial_model.parameters)
    image_geom = dataset.exposure.geom.to_image()
    shape = image_geom.data_shape
    if hasattr(model.spatial_model, "bind_point"):
        spatial = model.spatial_model.bind_point(image_geom)
        return PointComponent(model.name, response, spectral, spectral_pack, spatial, spatial_pack, shape)
    cutout = image_geom if response.width is None else image_geom.cutout(response.position, f"{response.width} deg", odd_npix=True)
    spatial = model.spatial_model.bind_image(cutout)
    return ImageComponent(model.name, response, spectral, spectral_pack, spatial, spatial_pack, shape, dtype=dtype, draft=draft)


def _mend_exposure(dataset, model, response):
    """NaN or negative exposure counts as zero outside the fit mask, as in gammapy's stacking; inside the mask it is an error."""
    bad = ~np.isfinite(response.exposure) | (response.exposure < 0)
    mask = dataset.mask
    rows, columns = response.box.slices
    inside = np.ones(response.box.shape, dtype=bool) if mask is None else np.asarray(mask.data[:, rows, columns]).any(axis=0)
    if (count := int((bad & inside).sum())) > 0:
        raise DatasetError(
            f"dataset '{dataset.name}': exposure is NaN or negative in {count} bins inside the fit mask near model '{model.name}'; "
            "exclude these pixels with mask_safe or mask_fit"
        )
    exposure = np.where(bad, 0, response.exposure)
    return type(response)(**{**response.__dict__, "exposure": exposure})


def render(component, thetas, map_shape, n_energy, into=None):
    """Counts of one component on the whole map, float64 array[K, ny, nx], added to `into` if given."""
    out = np.zeros((n_energy, *map_shape)) if into is None else into
    start = ActiveRegion.whole(map_shape).starts(component.box)
    state = component.begin(thetas)
    component.add(state, component.workspace(len(thetas)), start, out.reshape(1, n_energy, -1))
    return out


def build_term(dataset, models, pack, irf_positions=None, dtype=np.float64, draft=False):
    """Compile one dataset.

    Parameters
    ----------
    dataset : MapDataset-like
    models : list of models
        Those that act on this dataset.
    pack : Pack
    irf_positions : dict, optional
        Model name -> SkyCoord at which PSF and energy dispersion are taken.
    dtype : dtype
        Precision of the FFTs.
    draft : bool
        See `ImageComponent`.

    Returns
    -------
    DatasetTerm, or None if the mask leaves no bin.
    list of str
        Names of the models that contribute.
    """
    positions = irf_positions or {}
    sources = [m for m in models if not is_background(m)]
    check_dataset(dataset, sources)
    mask = _mask(dataset)
    if not mask.any():
        return None, []
    counts = np.ascontiguousarray(dataset.counts.data)
    n_energy, map_shape = counts.shape[0], counts.shape[-2:]
    free, static, contributing = [], None, []
    for model in sources:
        component = make_component(dataset, model, pack, positions.get(model.name), dtype, draft)
        if component is None:
            warnings.warn(
                f"model '{model.name}' lies outside the fit mask of dataset '{dataset.name}' and contributes nothing there", stacklevel=4
            )
            continue
        contributing.append(model.name)
        if not component.indices:
            static = render(component, pack.theta0[np.newaxis], map_shape, n_energy, static)
        elif not component.spatial_pack.is_free and not component.response.psf_last:
            state = component.begin(pack.theta0[np.newaxis])
            free.append(TemplateComponent(component, state, component.workspace(1)))
        else:
            free.append(component)
    background = _background(dataset, [m for m in models if is_background(m)], pack)
    if background.pack is not None:
        contributing.append(background.name)
    if dataset.background is None:
        template = np.zeros(counts.shape, dtype=np.float32)
    else:
        template = np.ascontiguousarray(_background_template(dataset, models))
    return DatasetTerm(dataset.name, counts, template, mask, static, background, free), contributing


def _mask(dataset):
    mask = dataset.mask
    if mask is None:
        return np.ones(dataset.counts.data.shape, dtype=bool)
    return np.ascontiguousarray(np.broadcast_to(mask.data, dataset.counts.data.shape), dtype=bool)


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
            data = data * np.asarray(getattr(image, "value", image))
    return data
