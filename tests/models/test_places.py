"""Models by their place on the sky, and by the datasets they belong to, beside gammapy's answers."""

import astropy.units as u
import numpy as np
import pytest

from gpudl4.core.errors import ModelError
from gpudl4.maps import Map, MapAxis, RegionGeom, WcsGeom
from gpudl4.models import FoVBackgroundModel, Models, PowerLawSpectralModel, SkyModel
from tests.factory import get_library, make_models

PLACES = {"near": (0.2, 0.1), "border": (1.4, 0), "outside": (3, 0), "far": (90, 40)}


def make(library="gpudl4"):
    """Point sources and Gaussians at places around a map of 2 degrees, and a spectrum without a place."""
    models = get_library(library).models
    found = []
    for name, (lon, lat) in PLACES.items():
        place = {"lon_0": lon * u.deg, "lat_0": lat * u.deg, "frame": "galactic"}
        shapes = {"point": models.PointSpatialModel(**place), "gauss": models.GaussianSpatialModel(sigma=0.15 * u.deg, **place)}
        for shape, spatial in shapes.items():
            found.append(models.SkyModel(models.PowerLawSpectralModel(), spatial, name=f"{name}-{shape}", datasets_names=["run1", "run10"]))
    return models.Models([*found, models.FoVBackgroundModel(dataset_name="run1")])


def geom(library="gpudl4"):
    maps = get_library(library).maps
    return maps.WcsGeom.create(
        skydir=(0, 0), width=2, binsz=0.1, frame="galactic", axes=[maps.MapAxis.from_energy_bounds("1 TeV", "10 TeV", 2)]
    )


@pytest.mark.parametrize("margin", ["0 deg", "0.9 deg", "6 deg"])
def test_selection_by_geometry_is_gammapys(margin):
    mine, theirs = (make(library).select_from_geom(geom(library), margin=margin).names for library in ("gpudl4", "gammapy"))
    assert mine == theirs
    assert ("outside-point" in mine) == (margin == "6 deg")
    assert "near-point" in mine


def test_selection_by_position_and_by_region_is_gammapys():
    region = "galactic;circle(0.2, 0.1, 0.5)"
    for select in (
        lambda models, library: models.select_from_geom(geom(library), use_evaluation_region=False),
        lambda models, library: models.select_region(region),
    ):
        mine, theirs = (select(make(library), library).names for library in ("gpudl4", "gammapy"))
        assert mine == theirs == ["near-point", "near-gauss"]


def test_selection_by_mask():
    inside = Map.from_geom(geom(), data=np.zeros(geom().data_shape, dtype=bool))
    inside.data[1, :, :3] = True  # the left edge, at one energy: longitudes above 0.7 deg
    assert make().select_mask(inside).names == ["near-gauss", "border-gauss"]
    assert make().select_mask(inside, use_evaluation_region=False).names == []
    model = make()["border-gauss"]
    assert model.contributes(inside) is True
    assert make()["outside-point"].contributes(inside) is False
    region = RegionGeom.create("galactic;circle(1.4, 0, 0.2)", axes=[MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=1)])
    assert make().select_from_geom(region).names == ["border-point", "border-gauss"]
    spectrum = SkyModel(PowerLawSpectralModel(), name="spectrum")
    assert spectrum.contributes(inside)


def test_geometry_around_all_models():
    models = make()[:4]
    assert isinstance(models.wcs_geom, WcsGeom)
    assert models.wcs_geom.contains(models.positions).all()
    theirs = get_library("gammapy").models.Models(make("gammapy")[:4])
    width = theirs.wcs_geom.width.to_value("deg").ravel()
    assert np.allclose(models.wcs_geom.width.to_value("deg").ravel(), width, atol=0.11)
    with pytest.raises(ModelError, match="none of the models has a region"):
        _ = Models([FoVBackgroundModel(dataset_name="run1")]).wcs_geom


def test_models_move_to_other_datasets():
    models = make()
    moved = models.reassign("run1", "run2")
    assert moved["near-point"].datasets_names == ["run2", "run10"]
    assert moved[-1].datasets_names == ["run2"]
    assert models["near-point"].datasets_names == ["run1", "run10"]
    assert models.reassign(["run1", "run10"], ["a", "b"])["far-gauss"].datasets_names == ["a", "b"]
    assert Models([SkyModel(PowerLawSpectralModel(), name="all")]).reassign("run1", "run2")["all"].datasets_names is None
    with pytest.raises(ModelError, match="as many new names"):
        models.reassign(["run1", "run10"], "a")


def test_bounds_of_several_models():
    models = make_models()
    models.set_parameters_bounds("gauss", "spatial", "sigma", min=0.01, max=1, value=0.3)
    sigma = models["gauss"].spatial_model.sigma
    assert (sigma.min, sigma.max, sigma.value) == (0.01, 1, 0.3)
    before = models["point"].spectral_model.index.value
    models.set_parameters_bounds("pl", "spectral", ["index"], min=1)
    index = models["point"].spectral_model.index
    assert index.min == 1
    assert np.isnan(index.max)
    assert index.value == before
