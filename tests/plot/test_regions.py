"""Regions, models' regions and positions on the sky, beside gammapy's."""

import astropy.units as u
import matplotlib.pyplot as plt
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from matplotlib.colors import to_hex
from matplotlib.patheffects import withStroke

from gpudl4.core.errors import GeometryError, ModelError
from gpudl4.maps import MapAxis, RegionGeom, RegionNDMap, WcsGeom
from gpudl4.models import Models, PowerLawSpectralModel, SkyModel
from tests.factory import make_models

regions = pytest.importorskip("regions")
CENTER = SkyCoord(83.63, 22.01, unit="deg")
SHAPES = {
    "circle": regions.CircleSkyRegion(CENTER, 0.3 * u.deg),
    "ellipse": regions.EllipseSkyRegion(CENTER, 0.6 * u.deg, 0.3 * u.deg, 40 * u.deg),
    "annulus": regions.CircleAnnulusSkyRegion(CENTER, 0.2 * u.deg, 0.5 * u.deg),
    "rectangle": regions.RectangleSkyRegion(CENTER, 0.6 * u.deg, 0.3 * u.deg, 10 * u.deg),
    "point": regions.PointSkyRegion(CENTER),
    "union": regions.CircleSkyRegion(CENTER, 0.3 * u.deg).union(regions.PointSkyRegion(SkyCoord(84.3, 22.3, unit="deg"))),
}


def sky_axes(frame="icrs"):
    geom = WcsGeom.create(skydir=CENTER, width=3, binsz=0.02, frame=frame)
    return plt.figure().add_subplot(projection=geom.wcs)


def looks(ax):
    """Where outlines lie and how they look; where points lie and how they look."""
    patches = [
        (patch.get_path().transformed(patch.get_patch_transform()).vertices, to_hex(patch.get_edgecolor()), patch.get_linewidth())
        for patch in ax.patches
    ]
    points = [(np.ravel(line.get_xydata()), to_hex(line.get_markeredgecolor()), line.get_markeredgewidth()) for line in ax.lines]
    return patches + points, [line.get_marker() for line in ax.lines]


@pytest.mark.parametrize("options", [{}, {"color": "red", "linewidth": 2.5}, {"edgecolor": "green", "kwargs_point": {"marker": "o"}}])
@pytest.mark.parametrize("frame", ["icrs", "galactic"])
@pytest.mark.parametrize("shape", SHAPES)
def test_regions_are_drawn_where_gammapy_draws_them(shape, frame, options):
    peer = pytest.importorskip("gammapy.maps")
    drawn = []
    for cls in (RegionGeom, peer.RegionGeom):
        ax = sky_axes(frame)
        arguments = {key: dict(value) if isinstance(value, dict) else value for key, value in options.items()}
        assert cls.create(SHAPES[shape]).plot_region(ax=ax, **arguments) is ax
        drawn.append(looks(ax))
    (mine, markers), (other, their_markers) = drawn
    assert markers == their_markers
    assert len(mine) == len(other) > 0
    for one, two in zip(mine, other, strict=True):
        np.testing.assert_allclose(one[0], two[0], rtol=1e-9)
        assert one[1:] == two[1:]


def test_axes_are_made_around_a_region():
    geom = RegionGeom.create(SHAPES["annulus"], axes=[MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=2)])
    ax = RegionNDMap(geom).plot_region(facecolor="yellow")
    (patch,) = ax.patches
    box = patch.get_path().transformed(patch.get_patch_transform()).get_extents()
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    assert left < box.x0 < box.x1 < right
    assert bottom < box.y0 < box.y1 < top
    assert right - left < 1.5 * box.width
    assert ax.coords[0].get_axislabel() == "Right ascension"
    assert geom.plot_region() is ax  # the current ones show the sky
    assert len(ax.patches) == 2
    plt.figure().add_subplot()
    assert geom.plot_region().figure is not ax.figure
    assert len(RegionGeom.create(SHAPES["point"]).plot_region(ax=sky_axes()).lines) == 1


def test_effects_and_what_cannot_be_drawn():
    effect = withStroke(linewidth=3, foreground="white")
    ax = RegionGeom.create(SHAPES["union"]).plot_region(ax=sky_axes(), path_effect=effect)
    assert all(artist.get_path_effects() == [effect] for artist in (*ax.patches, *ax.lines))
    with pytest.raises(GeometryError, match="Region definition required"):
        RegionGeom.create(None).plot_region()
    with pytest.raises(GeometryError, match="no sky projection"):
        RegionGeom.create(SHAPES["circle"]).plot_region(ax=plt.figure().add_subplot())


def test_models_on_the_sky():
    models = make_models()
    ax = models.plot_regions(color="red", size_factor=2)
    assert (len(ax.patches), len(ax.lines)) == (1, 1)
    gauss, point = models["gauss"], models["point"]
    (patch,) = ax.patches
    scale = np.abs(ax.wcs.proj_plane_pixel_scales()[0].to_value("deg"))
    assert max(patch.width, patch.height) * scale == pytest.approx(2 * 2 * gauss.spatial_model.sigma.value, rel=1e-3)
    np.testing.assert_allclose(ax.lines[0].get_xydata().ravel(), ax.wcs.world_to_pixel(point.position))
    assert models.plot_positions(ax=ax, marker="x") is ax
    np.testing.assert_allclose(ax.collections[-1].get_offsets(), np.transpose(ax.wcs.world_to_pixel(models.positions)))
    assert len(models.plot_positions(ax=sky_axes(), color="k").collections) == 1
    nowhere = Models([SkyModel(PowerLawSpectralModel(), name="nowhere")])
    with pytest.raises(ModelError, match="none of the models has a region"):
        nowhere.plot_regions()
    with pytest.raises(ModelError, match="none of the models has a position"):
        nowhere.plot_positions()


def test_errors_of_a_model_on_the_sky():
    model = make_models()["gauss"].spatial_model
    ax = model.plot_error(which="all")
    assert (len(ax.patches), len(ax.collections)) == (0, 1)  # the position only
    model.lon_0.error, model.lat_0.error, model.sigma.error = 0.01, 0.02, 0.03
    ax = model.plot_error(ax=sky_axes("galactic"), which=["position", "extension"], kwargs_position={"color": "blue"})
    ring, ellipse = ax.patches
    assert to_hex(ellipse.get_edgecolor()) == to_hex("blue")
    assert ring.get_alpha() == 0.15
    assert len(model.plot_error(ax=sky_axes("galactic")).patches) == 1
    ax = model.plot_position_error(ax=plt.figure().add_subplot(projection=ax.wcs), marker="+")
    np.testing.assert_allclose(ax.collections[0].get_offsets()[0], ax.wcs.world_to_pixel(model.position))
    assert len(ax.patches) == 1
    plt.close("all")
    (ellipse,) = model.plot_position_error().patches
    assert ellipse.height > 10  # pixels of new axes
    with pytest.raises(ModelError, match=r"which=.'shape'. cannot be drawn; known: position, extension, all"):
        model.plot_error(which="shape")
