"""A likelihood on paper: the layout of its work tables before any large array is made, to know how much memory it would take.

Sources get their real boxes, PSF kernels and planes. Arrays that would be large are `Planned`: they have a shape and a type, and no
elements.
"""

import warnings
from types import SimpleNamespace

import numpy as np

from gpudl4.core.backend import backend_of

from .bindings import Bindings
from .build import _background, check_dataset, instrument_of, is_background, is_masked, make_source, models_of
from .coarse import drafted, original
from .flux_term import FluxTerm, has_fluxes
from .fluxes import Fluxes
from .image_source import ImageSource
from .memory import account
from .pack import Pack
from .region import ActiveRegion
from .source import FixedSource, PointSource
from .statistic import CASH, EXTRAS, WSTAT, statistic_of, weights_of
from .tables import Layout
from .terms import Background

__all__ = ["Planned", "estimate"]


class Planned:
    """An array that is not there.

    Parameters
    ----------
    shape : tuple of int
    dtype : dtype
    """

    def __init__(self, shape, dtype):
        self.shape, self.dtype = tuple(int(n) for n in shape), np.dtype(dtype)

    @property
    def size(self):
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def nbytes(self):
        """Bytes it would take."""
        return self.size * self.dtype.itemsize


def estimate(datasets, models, backend, real, irf_positions=None, draft=False):
    """Memory of the likelihood that `gpudl4.likelihood.compile` would make of the same arguments.

    Counts outside of all sources that need a bin of their own are not known before values are looked at, and not counted.

    Parameters
    ----------
    datasets : list of datasets
    models : Models or None
    backend : Backend
        Where it would run.
    real : dtype
        Of working arrays.
    irf_positions, draft
        As for `compile`.

    Returns
    -------
    Memory
    """
    datasets = [drafted(d, models_of(original(d), models)) if draft else original(d) for d in datasets]
    per_dataset = [models_of(d, models) for d in datasets]
    pack = Pack(list({id(m): m for own in per_dataset for m in own}.values()))
    terms, fluxes, compiling, bindings, real = [], [], {}, Bindings(), np.dtype(real)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what there is to say is said when it is compiled
        for dataset, own in zip(datasets, per_dataset, strict=True):
            if has_fluxes(dataset):
                fluxes.append(FluxTerm(dataset, own))
                continue
            term = _term(dataset, own, pack, irf_positions or {}, real, bindings, compiling)
            if term is not None:
                terms.append(term)
    on_device = any(not isinstance(d.counts.data, np.ndarray) for d in datasets if not has_fluxes(d))
    return account(Layout(terms, len(pack.names), Fluxes(fluxes, pack)), backend, real, on_device, compiling=compiling)


def _term(dataset, models, pack, positions, real, bindings, compiling):
    """Stand-in for a `DatasetTerm`; None if the mask leaves no bin. Bytes of sources that are folded once go to `compiling`."""
    sources = [m for m in models if not is_background(m)]
    if is_masked(dataset):
        return None
    check_dataset(dataset, sources)
    exposure, shape = dataset.exposure, dataset.counts.data.shape
    free, static, points = [], None, []
    instrument = instrument_of(dataset)
    for model in sources:
        source = _source(dataset, model, pack, positions.get(model.name), real, bindings, instrument)
        if source is None:
            continue
        what = f"dataset {dataset.name}, source {model.name}"
        if not source.indices:
            static = Planned(shape, np.float64)
            compiling[what] = _alone([source], exposure, np.dtype(np.float64), len(pack.names)) + static.nbytes
        elif source.kind == "fixed":
            free.append(source)
        elif not source.spatial_pack.is_free and not source.response.psf_last:
            if source.kind == "point":
                points.append(source)  # all of them are folded together
            else:
                compiling[what] = _alone([source], exposure, real, len(pack.names))
            free.append(_fixed(source, pack.theta0, real))
        else:
            free.append(source)
    if points:
        compiling[f"dataset {dataset.name}, points"] = _alone(points, exposure, real, len(pack.names))
    seen = any(source.response.has_exposure for source in free if source.kind != "fixed")
    on_off = statistic_of(dataset) == WSTAT
    background = _background(dataset, [] if on_off else [m for m in models if is_background(m)], pack)
    template = np.dtype(np.float32) if on_off or dataset.background is None else dataset.background.data.dtype
    region = ActiveRegion([source.box for source in free], shape[-2:])
    out = _stand_in(dataset.name, shape, region, background, free, dataset.counts.data.dtype, template, exposure if seen else None, static)
    out.statistic, out.has_template = statistic_of(dataset), not on_off
    out.extras = {name: Planned(out.counts.shape, _type_of_extra(dataset, name)) for name in EXTRAS[out.statistic]}
    return out


def _type_of_extra(dataset, name):
    """Type of an array that the statistic needs beside counts and prediction."""
    if name != "weight":
        return getattr(dataset, name).data.dtype
    given = weights_of(dataset)
    return given.dtype if given is not None and given.dtype.kind == "f" else np.dtype(np.float32)


def _stand_in(name, shape, region, background, sources, counts, template, exposure, static):
    planned = shape[0], region.size
    return SimpleNamespace(
        name=name,
        shape=shape,
        region=region,
        background=background,
        sources=tuple(sources),
        has_template=True,
        counts=Planned(planned, counts),
        template=Planned(planned, template),
        mask=Planned(planned, bool),
        exposure=None if exposure is None else Planned((exposure.data.shape[0], region.size), exposure.data.dtype),
        static=None if static is None else Planned(planned, static.dtype),
        special_bins=(),
        statistic=CASH,
        extras={},
        row_lengths=[region.size] * shape[0],
    )


def _source(dataset, model, pack, position, real, bindings, instrument):
    """Source of a model: points as they are, shapes with planned arrays; None if it cannot reach the mask."""
    if instrument.is_region or hasattr(model.spatial_model, "bind_point") or model.spatial_model is None:
        return make_source(dataset, model, pack, position, real, bindings, instrument)
    response = instrument.response(model, position)
    if response is None:
        return None
    geom = dataset.exposure.geom.to_image()
    cutout = geom if response.width is None else geom.cutout(response.position, f"{response.width} deg", odd_npix=True)
    packs = pack.sub(model.spectral_model.parameters), pack.sub(model.spatial_model.parameters)
    spectral = bindings.spectral(model.spectral_model, instrument.energy_edges)
    source = ImageSource(model.name, response, spectral, packs[0], None, packs[1], geom.data_shape, dtype=real, with_transfer=False)
    source.spatial = _shape(model.spatial_model, geom, cutout)
    ny, nx = source.padded
    transfer = Planned((len(response.psf), ny, nx // 2 + 1), np.result_type(real, np.complex64))
    source.transfer = transfer if source.has_psf else None
    source.is_planned = True
    return source


def _shape(model, geom, cutout):
    """Stand-in for a bound shape with planned arrays. To see whether the kernels know it as a Gaussian, it is bound to one pixel."""
    pixel = model.bind_image(geom.cutout(geom.center_skydir, geom.pixel_scales.min()))
    if not hasattr(pixel, "sampling"):  # bound in a way of its own
        return SimpleNamespace()
    sampling = model.sampling(cutout)
    rows, columns, factor = sampling.rows, sampling.columns, sampling.factor
    height, width = rows.stop - rows.start, columns.stop - columns.start
    weights = Planned((height, width), np.float64)
    if hasattr(pixel, "vectors"):
        vectors = Planned((height * width, factor**2, 3), np.float64)
        return SimpleNamespace(vectors=vectors, weights=weights, window=(rows.start, columns.start, height, width))
    fine = height * factor, width * factor
    return SimpleNamespace(weights=weights, lonlat=(Planned(fine, np.float64), Planned(fine, np.float64)), sky=Planned(fine, bool))


def _fixed(source, theta, real):
    """`FixedSource` with planned templates."""
    box = source.box
    if isinstance(source, PointSource):
        box = source.placed_box(theta) or type(box)(box.y0, box.x0, 1, 1)
    return FixedSource(source, Planned((source.n_planes, *box.shape), real), box)


def _alone(sources, exposure, real, n_free):
    """Bytes while sources are folded by themselves (`alone.py`)."""
    map_shape, n_reco = sources[0].map_shape, sources[0].response.edisp.shape[1]
    region = ActiveRegion([source.box for source in sources], map_shape)
    seen, single = exposure if any(source.response.has_exposure for source in sources) else None, np.dtype(np.float32)
    term = _stand_in(sources[0].name, (n_reco, *map_shape), region, Background(n_reco), sources, single, single, seen, None)
    term.has_template = False
    return account(Layout([term], n_free), backend_of(exposure.data), real, second=False).total
