"""What must not change the answer: units of axes, frames of models, order, links, cuts of the mask, padding, limits of shapes.

Each test writes the same question down in two ways. Statistic, prediction and gradient agree to 1e-9 for every kind of dataset.
"""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord

import gpudl4
from gpudl4.datasets import Datasets
from gpudl4.datasets.fields import field_table, main_map
from gpudl4.maps import Map, MapAxis
from gpudl4.models import (
    FoVBackgroundModel,
    GaussianSpatialModel,
    Models,
    PointSpatialModel,
    PowerLawSpectralModel,
    SkyModel,
)
from tests.arrays import host
from tests.datasets.makers import KINDS, make_kind
from tests.factory import CENTRE, make_dataset

RTOL = 1e-9
ON_MAPS = [kind for kind in KINDS if not kind.startswith("Spectrum")]


def _sources(kind, frame="galactic"):
    """A point and an elongated Gaussian where the kind has its data; models of a frame, the same on the sky."""
    lon, lat = CENTRE["icrs" if kind.startswith("Spectrum") else "galactic"]
    sky = SkyCoord(lon, lat, unit="deg", frame="icrs" if kind.startswith("Spectrum") else "galactic")
    offset = 0.05 if kind.startswith("Spectrum") else 0.33
    places = [sky.directional_offset_by(angle * u.deg, offset * u.deg) for angle in (40, 215)]
    spectra = [
        PowerLawSpectralModel(index=2.2, amplitude="3e-12 cm-2 s-1 TeV-1", reference="2 TeV"),
        PowerLawSpectralModel(index=1.9, amplitude="6e-12 cm-2 s-1 TeV-1", reference="1 TeV"),
    ]
    point, gauss = PointSpatialModel(frame=frame), GaussianSpatialModel(sigma="0.18 deg", e=0.6, frame=frame)
    for model, place in zip((point, gauss), places, strict=True):
        model.position = place
    # the position angle of the same line on the sky, 30 deg from the galactic north
    along = places[1].galactic.directional_offset_by(30 * u.deg, 1e-3 * u.deg)
    gauss.phi.quantity = places[1].transform_to(frame).position_angle(along.transform_to(frame)).to("deg")
    return [SkyModel(spectra[0], point, name="point"), SkyModel(spectra[1], gauss, name="gauss")]


def _models(kind, name="test", frame="galactic"):
    models = _sources(kind, frame)
    if not kind.endswith("OnOff"):
        models.append(FoVBackgroundModel(dataset_name=name))
        models[-1].spectral_model.norm.value = 1.1
        models[-1].spectral_model.tilt.value = 0.1
    return Models(models)


def _made(kind, name="test", seed=0, frame="galactic", **kwargs):
    dataset = make_kind(kind, name=name, seed=seed, **kwargs)
    dataset.models = _models(kind, name, frame)
    return dataset


def _agree(one, other, rtol=RTOL):
    """Statistic, prediction and gradient of two datasets or collections; parameters are found by name and compared by relative changes."""
    assert other.stat_sum() == pytest.approx(one.stat_sum(), rel=rtol)
    first, second = (value if isinstance(value, Datasets) else Datasets([value]) for value in (one, other))
    for name in first.names:
        want, got = host(first[name].npred()), host(second[name].npred())
        np.testing.assert_allclose(got, want, rtol=rtol, atol=1e-12 * want.max())
    _agree_likelihoods(gpudl4.compile(first), gpudl4.compile(second), rtol)


def _agree_likelihoods(first, second, rtol=RTOL, names=None):
    names = first.names if names is None else names
    where = [second.names.index(name) for name in names]
    own = [first.names.index(name) for name in names]
    stat, gradient = first.value_and_gradient(first.theta0)
    again, slope = second.value_and_gradient(second.theta0)
    assert again == pytest.approx(stat, rel=rtol)
    curvature = np.diag(first.fisher(first.theta0))[own]
    sigma = np.sqrt(2 / np.where(curvature > 0, curvature, np.inf))  # 0 for what one spectrum cannot see
    change = second.theta0[where] / first.theta0[own]  # another unit
    np.testing.assert_allclose(slope[where] * sigma * change, gradient[own] * sigma, rtol=1e-7, atol=1e-9 * abs(stat))


# ------------------------------------------------------------------------------------------------------------------ units of energies


def _in_unit(dataset, unit):
    """The same dataset with all its energies in another unit."""

    def axis(old):
        if old.name not in ("energy", "energy_true"):
            return old
        return MapAxis.from_edges(old.edges.to(unit), interp=old.interp, name=old.name)

    def changed(value):
        geom = value.geom.to_image().to_cube([axis(old) for old in value.geom.axes])
        return Map.from_geom(geom, data=value.data, unit=value.unit, meta=value.meta)

    values = {}
    for field in field_table(dataset.tag):
        value = dataset._values[field.name]
        if value is None or field.kind in ("gti", "table"):
            continue
        if field.kind in ("psf", "edisp"):
            values[field.name] = type(value)(changed(main_map(field, value)), changed(value.exposure_map))
        else:
            values[field.name] = changed(value)
    return type(dataset)(**values, models=dataset.models, name=dataset.name, stat_type=dataset.stat_type)


@pytest.mark.parametrize("unit", ["keV", "MeV"])
@pytest.mark.parametrize("edisp", ["kernel", "migra"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_unit_of_the_energies(kind, edisp, unit):
    dataset = _made(kind, edisp=edisp)
    if edisp == "migra" and kind.startswith("Spectrum"):
        sharp = dataset.edisp.edisp_map.data
        sharp[:, 25:35] = 1  # migration around 1
    other = _in_unit(dataset, unit)
    assert str(other._geom.axes["energy"].unit) == unit
    _agree(dataset, other)


@pytest.mark.parametrize("kind", KINDS)
def test_the_units_of_the_parameters(kind):
    one, other = _made(kind), _made(kind)
    for model in other.models[:2]:
        spectrum = model.spectral_model
        spectrum.amplitude.quantity = spectrum.amplitude.quantity.to("m-2 s-1 MeV-1")
        spectrum.reference.quantity = spectrum.reference.quantity.to("keV")
        for name in ("lon_0", "lat_0"):
            getattr(model.spatial_model, name).quantity = getattr(model.spatial_model, name).quantity.to("rad")
    other.models["gauss"].spatial_model.sigma.quantity = other.models["gauss"].spatial_model.sigma.quantity.to("arcmin")
    _agree(one, other)


# ---------------------------------------------------------------------------------------------------------------------------- frames


@pytest.mark.parametrize("kind", KINDS)
def test_the_frame_of_the_models(kind, kernel_backend):
    one, other = (_made(kind, frame=frame) for frame in ("galactic", "icrs"))
    one, other = one.to_device(kernel_backend), other.to_device(kernel_backend)
    one.models, other.models = (_models(kind, frame=frame) for frame in ("galactic", "icrs"))
    assert {m.spatial_model.frame for m in list(other.models)[:2]} == {"icrs"}
    want, got = host(one.npred()), host(other.npred())
    np.testing.assert_allclose(got, want, rtol=RTOL, atol=RTOL * want.max())
    assert other.stat_sum() == pytest.approx(one.stat_sum(), rel=RTOL)
    first, second = gpudl4.compile(one), gpudl4.compile(other)
    names = [name for name in first.names if not name.endswith(("lon_0", "lat_0"))]  # other directions
    _agree_likelihoods(first, second, names=names)


# ------------------------------------------------------------------------------------------------------------------------------ order


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_of_the_models(kind):
    one, other = _made(kind), _made(kind)
    other.models = Models(list(other.models)[::-1])
    assert gpudl4.compile(other).names != gpudl4.compile(one).names
    _agree(one, other)


def _mix():
    """One dataset of each kind with one spectrum in common, and backgrounds of their own."""
    datasets = Datasets([_made(kind, name=kind, seed=i) for i, kind in enumerate(KINDS)])
    shared = datasets[0].models["point"].spectral_model
    for dataset in datasets:
        point, gauss, *background = dataset.models
        point = SkyModel(shared, point.spatial_model, name=f"point {dataset.name}")
        dataset.models = [point, SkyModel(gauss.spectral_model, gauss.spatial_model, name=f"gauss {dataset.name}"), *background]
    return datasets


def test_the_order_of_the_datasets(kernel_backend):
    datasets = _mix()
    models = [dataset.models for dataset in datasets]
    there = datasets.to_device(kernel_backend)
    for dataset, own in zip(there, models, strict=True):
        dataset.models = own
    first = gpudl4.compile(there)
    for order in ([3, 2, 1, 0], [1, 3, 0, 2]):
        other = Datasets([there[i] for i in order])
        second = gpudl4.compile(other)
        assert sorted(map(id, second.parameters)) == sorted(map(id, first.parameters))
        where = [next(i for i, p in enumerate(second.parameters) if p is parameter) for parameter in first.parameters]
        stat, gradient = first.value_and_gradient(first.theta0)
        again, slope = second.value_and_gradient(second.theta0)
        assert again == pytest.approx(stat, rel=RTOL)
        np.testing.assert_allclose(slope[where], gradient, rtol=1e-8)
        assert other.stat_sum() == pytest.approx(there.stat_sum(), rel=RTOL)


# ------------------------------------------------------------------------------------------------------------------------------ links


@pytest.mark.parametrize("kind", KINDS)
def test_a_linked_parameter_is_a_single_one(kind):
    """Two sources of half the flux with linked parameters are one; a link's gradient is the sum of the two."""
    one, split, loose = _made(kind), _made(kind), _made(kind)
    for dataset in (split, loose):
        point = dataset.models["point"]
        point.spectral_model.amplitude.value /= 2
        second = point.copy(name="second")
        dataset.models = Models([*dataset.models, second])
    first, second = split.models["point"], split.models["second"]
    for name in ("amplitude", "index"):
        setattr(second.spectral_model, name, getattr(first.spectral_model, name))
    for name in ("lon_0", "lat_0"):
        setattr(second.spatial_model, name, getattr(first.spatial_model, name))
    want, got, free = gpudl4.compile(one), gpudl4.compile(split), gpudl4.compile(loose)
    assert got.names == want.names
    assert len(free.names) == len(want.names) + 4
    _agree(one, split)
    assert loose.stat_sum() == pytest.approx(one.stat_sum(), rel=RTOL)
    slopes = free.value_and_gradient(free.theta0)[1]
    linked = got.value_and_gradient(got.theta0)[1]
    for name in ("index", "amplitude", "lon_0", "lat_0"):
        parts = slopes[free.names.index(f"point.{name}")] + slopes[free.names.index(f"second.{name}")]
        assert linked[got.names.index(f"point.{name}")] == pytest.approx(parts, rel=RTOL)


# --------------------------------------------------------------------------------------------------------------------- masks and pixels


@pytest.mark.parametrize("kind", KINDS)
def test_disjoint_halves_add_up(kind, kernel_backend):
    whole = _made(kind)
    models = whole.models
    here = whole.to_device(kernel_backend)
    here.models = models
    half = np.indices(whole.counts.data.shape).sum(axis=0) % 2 == 0
    fit = np.ones(half.shape, dtype=bool) if whole.mask_fit is None else whole.mask_fit.data
    parts = []
    for chosen in (half, ~half):
        part = _made(kind)
        part.mask_fit = Map.from_geom(whole.counts.geom, data=fit & chosen)
        part = part.to_device(kernel_backend)
        part.models = models
        parts.append(part)
    assert sum(part.stat_sum() for part in parts) == pytest.approx(here.stat_sum(), rel=RTOL)
    likelihood = gpudl4.compile(here)
    theta = likelihood.theta0 * 1.001
    value, gradient = likelihood.value_and_gradient(theta)
    fisher = likelihood.fisher(theta)
    total, slopes, metric = 0, 0, 0
    for part in parts:
        own = gpudl4.compile(part)
        assert own.names == likelihood.names
        stat, slope = own.value_and_gradient(theta)
        total, slopes, metric = total + stat, slopes + slope, metric + own.fisher(theta)
    assert total == pytest.approx(value, rel=RTOL)
    curvature = np.diag(fisher)
    sigma = np.sqrt(2 / np.where(curvature > 0, curvature, np.inf))
    np.testing.assert_allclose(slopes * sigma, gradient * sigma, rtol=1e-9, atol=1e-9 * abs(value))
    np.testing.assert_allclose(metric * np.outer(sigma, sigma), fisher * np.outer(sigma, sigma), rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("pad", [1, 3, (2, 5)])
@pytest.mark.parametrize("kind", ON_MAPS)
def test_masked_padding_changes_nothing(kind, pad, kernel_backend):
    """Added pixels are masked. As in gammapy shapes are folded with the PSF before the exposure, so they have to end inside the map."""
    dataset = _made(kind)
    dataset.models["gauss"].spatial_model.sigma.value = 0.1
    models = dataset.models
    wide = dataset.pad(pad, name="test").to_device(kernel_backend)
    dataset = dataset.to_device(kernel_backend)
    dataset.models = wide.models = models
    assert wide.stat_sum() == pytest.approx(dataset.stat_sum(), rel=RTOL)
    nx, ny = (pad, pad) if isinstance(pad, int) else pad
    want, got = host(dataset.npred()), host(wide.npred())[:, ny:-ny, nx:-nx]
    np.testing.assert_allclose(got, want, rtol=RTOL, atol=1e-12 * want.max())
    _agree_likelihoods(gpudl4.compile(dataset), gpudl4.compile(wide))


def _reaching_out(dataset, shape):
    """All of the map is fitted, and one model reaches over its edge at 1.2 deg: a point is shared among four pixels."""
    dataset.mask_fit, dataset.mask_safe = None, Map.from_geom(dataset.counts.geom, data=np.ones(dataset.counts.data.shape, dtype=bool))
    model = dataset.models[shape]
    if shape == "gauss":
        model.spatial_model.sigma.value = 0.4
    else:
        model.spatial_model.position = dataset.counts.geom.center_skydir.directional_offset_by(90 * u.deg, 1.17 * u.deg)
    return dataset


@pytest.mark.parametrize("shape", ["gauss", "point"])
@pytest.mark.parametrize("kind", ON_MAPS)
def test_without_psf_masked_padding_changes_nothing_for_any_shape(kind, shape, kernel_backend):
    dataset = _reaching_out(_made(kind), shape)
    dataset.psf = None
    models = dataset.models
    wide = dataset.pad(3, name="test").to_device(kernel_backend)
    dataset = dataset.to_device(kernel_backend)
    dataset.models = wide.models = models
    assert wide.stat_sum() == pytest.approx(dataset.stat_sum(), rel=RTOL)
    want, got = host(dataset.npred()), host(wide.npred())[:, 3:-3, 3:-3]
    np.testing.assert_allclose(got, want, rtol=RTOL, atol=1e-12 * want.max())


@pytest.mark.parametrize("shape", ["gauss", "point"])
@pytest.mark.parametrize("kind", ON_MAPS)
def test_padding_wider_than_the_psf_changes_no_more(kind, shape):
    """What lies beyond the edge needs pixels as far as the PSF reaches; more of them add nothing."""
    dataset = _reaching_out(_made(kind), shape)
    npreds = []
    for pad in (8, 12):
        wide = dataset.pad(pad, name="test")
        assert not wide.exposure.data[:, :pad].any()
        assert not wide.mask_safe.data[:, :pad].any()
        wide.models = dataset.models
        npreds.append(wide.npred().data[:, pad:-pad, pad:-pad])
        assert np.abs(wide.npred_signal().data).sum() == pytest.approx(wide.npred_signal().data[:, pad:-pad, pad:-pad].sum(), rel=1e-12)
    np.testing.assert_allclose(npreds[1], npreds[0], rtol=RTOL, atol=1e-9 * npreds[0].max())
    assert np.abs(npreds[0] - dataset.npred().data).max() > 1e-3 * npreds[0].max()


@pytest.mark.peer
@pytest.mark.parametrize("pad", [1, 3])
@pytest.mark.parametrize("shape", ["gauss", "point"])
def test_padding_lets_in_what_lies_beyond_the_edge_as_in_gammapy(shape, pad):
    """A shape that is cut off by the edge leaks back in through the PSF once its other part has pixels, whatever their exposure."""
    pytest.importorskip("gammapy")
    dataset = _reaching_out(_made("MapDataset"), shape)
    theirs = gpudl4.to_gammapy(dataset)
    wide, peer = dataset.pad(pad, name="test"), theirs.pad(pad, name="test")
    wide.models, peer.models = dataset.models, theirs.models
    change = wide.npred().data[:, pad:-pad, pad:-pad] - dataset.npred().data
    wanted = peer.npred().data[:, pad:-pad, pad:-pad] - theirs.npred().data
    assert change.max() > 1e-3 * dataset.npred().data.max()
    np.testing.assert_allclose(change, wanted, atol=2e-6 * dataset.npred().data.max())
    assert wide.stat_sum() == pytest.approx(peer.stat_sum(), rel=1e-5)


# -------------------------------------------------------------------------------------------------------------------- limits of shapes


@pytest.mark.parametrize("kind", KINDS)
def test_phi_does_not_matter_for_a_round_gaussian(kind, kernel_backend):
    stats, npreds = [], []
    for phi in (0, 37, 90, 301):
        dataset = _made(kind).to_device(kernel_backend)
        dataset.models = _models(kind)
        shape = dataset.models["gauss"].spatial_model
        shape.e.value, shape.phi.value, shape.phi.frozen = 0, phi, False
        likelihood = gpudl4.compile(dataset)
        gradient = likelihood.value_and_gradient(likelihood.theta0)[1]
        stats.append(dataset.stat_sum())
        npreds.append(host(dataset.npred()))
        slope = gradient[likelihood.names.index("gauss.phi")]
        assert abs(slope) * 180 < 1e-9 * abs(stats[-1])
    np.testing.assert_allclose(stats, stats[0], rtol=RTOL)
    for npred in npreds[1:]:
        np.testing.assert_allclose(npred, npreds[0], rtol=RTOL, atol=RTOL * npred.max())


def _at(dataset, spatial):
    dataset.models = [SkyModel(PowerLawSpectralModel(amplitude="5e-12 cm-2 s-1 TeV-1"), spatial, name="source")]
    return host(dataset.npred_signal())


@pytest.mark.parametrize("reco_psf", [False, True])
def test_a_narrow_gaussian_in_the_middle_of_a_pixel_is_a_point(reco_psf):
    """In the middle of a pixel both shapes fill this pixel alone: equal once the Gaussian ends inside the pixel."""
    dataset = make_dataset(models=None, reco_psf=reco_psf)
    centre = dataset.counts.geom.to_image().pix_to_coord((11, 9))
    at = {"lon_0": centre[0], "lat_0": centre[1], "frame": "galactic"}
    want = _at(dataset, PointSpatialModel(**at))
    differences = []
    for sigma in (0.05, 0.02, 0.01, 0.005):
        got = _at(dataset, GaussianSpatialModel(**at, sigma=sigma * u.deg))
        differences.append(np.abs(got - want).max() / want.max())
    assert np.all(np.diff(differences) < 0)
    assert differences[-1] < 1e-6, differences


def test_a_narrow_gaussian_elsewhere_is_a_point_for_larger_scales():
    """Beside the middle of a pixel a point is shared among four pixels but a Gaussian is not: position and total agree, not each pixel."""
    dataset = make_dataset(models=None, mask=False)
    image = dataset.counts.geom.to_image()
    centre = image.pix_to_coord((11.3, 9.2))
    at = {"lon_0": centre[0], "lat_0": centre[1], "frame": "galactic"}
    want = _at(dataset, PointSpatialModel(**at))
    got = _at(dataset, GaussianSpatialModel(**at, sigma="0.01 deg"))
    np.testing.assert_allclose(got.sum(), want.sum(), rtol=0.02)  # the exposure of another pixel
    assert np.abs(got - want).max() < 0.35 * want.max()
