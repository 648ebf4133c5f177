"""Whatever joins pixels, bins or regions, for any values: sums are conserved, means lie in between, order and grouping do not matter.

The rules for what is missing: NaN is left out of sums and means of blocks; a sum of nothing is 0, a mean is 0 where its weights sum to 0
and NaN where there is nothing but NaN.
"""

import operator

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from regions import CircleSkyRegion

from gpudl4.maps import Map, MapAxis, RegionGeom, RegionNDMap, WcsGeom
from gpudl4.maps.map_axes import block_sums, mean_of_blocks

AXIS = MapAxis.from_energy_bounds("1 TeV", "16 TeV", nbin=4)
GEOM = WcsGeom.create(npix=(6, 4), binsz=0.5, skydir=(10, 40), axes=[AXIS])
REGION = CircleSkyRegion(SkyCoord(10, 40, unit="deg"), 0.8 * u.deg)
SHAPE = GEOM.data_shape
FEW = settings(max_examples=12, deadline=None)
TYPES = st.sampled_from(["float32", "float64", "int16", "uint8", "int32", "bool"])


@st.composite
def maps(draw, dtypes=TYPES, nan=False):
    dtype = np.dtype(draw(dtypes))
    if dtype.kind == "f":
        elements = st.floats(-1e6, 1e6, width=32) if not nan else st.one_of(st.floats(-1e6, 1e6, width=32), st.just(np.nan))
    elif dtype.kind == "b":
        elements = st.booleans()
    else:
        info = np.iinfo(dtype)
        elements = st.integers(int(info.min), int(info.max))
    return Map.from_geom(GEOM, data=draw(hnp.arrays(dtype, SHAPE, elements=elements)))


WEIGHTS = hnp.arrays(float, SHAPE, elements=st.one_of(st.just(0.0), st.floats(1e-3, 1e3)))
MASKS = hnp.arrays(bool, SHAPE)
REAL = st.sampled_from(["float32", "float64"])
NUMBERS = st.sampled_from(["float32", "float64", "int16", "uint8", "int32"])


def exact(data):
    return float(np.nansum(data.astype(float)))


def close(got, wanted, scale):
    """Equal up to the rounding of sums of values of a size, of single precision at worst."""
    np.testing.assert_allclose(np.asarray(got, dtype=float), wanted, rtol=1e-6, atol=2e-6 * max(float(scale), 1e-30))


@FEW
@given(maps(dtypes=NUMBERS))
def test_sums_are_conserved(m):
    total, scale = exact(m.data), float(np.abs(m.data.astype(float)).sum())
    for joined in (
        m.sum_over_axes(),
        m.sum_over_axes(["energy"], keepdims=False),
        m.downsample(2),
        m.downsample(2, axis_name="energy"),
        m.downsample(2).downsample(2, axis_name="energy"),
        m.resample_axis(AXIS.downsample(2)),
        m.resample(GEOM.downsample(2)),
        m.upsample(2),
        m.upsample(3, axis_name="energy"),
        m.pad(2),
        m.to_region_nd_map(),
        m.get_spectrum(),
    ):
        close(exact(joined.data), total, scale)
    stacked = Map.from_geom(GEOM, data=np.zeros(SHAPE, dtype=m.data.dtype))
    stacked.stack(m)
    stacked.coadd(m)
    close(stacked.data, 2 * m.data.astype(float), np.abs(m.data.astype(float)).max())


@FEW
@given(maps(dtypes=NUMBERS), WEIGHTS)
def test_weighted_sums_are_sums_of_products(m, weights):
    product, factors = m.data.astype(float) * weights, Map.from_geom(GEOM, data=weights)
    scale = np.abs(product).sum()
    for joined in (
        m.sum_over_axes(weights=factors),
        m.downsample(2, weights=factors),
        m.resample_axis(AXIS.squash(), weights=factors),
        m.resample(GEOM.downsample(2), weights=factors),
        m.to_region_nd_map(weights=factors),
    ):
        close(exact(joined.data), product.sum(), scale)


@FEW
@given(st.floats(-1e6, 1e6, width=32), WEIGHTS, REAL)
def test_the_mean_of_a_constant_is_that_constant_whatever_the_weights(value, weights, dtype):
    m = Map.from_geom(GEOM, data=np.full(SHAPE, value, dtype=dtype))
    factors = Map.from_geom(GEOM, data=weights)
    spectra = m.to_region_nd_map(REGION, func=np.mean), factors.to_region_nd_map(REGION, func=np.sum)
    for mean in (
        m.downsample(2, preserve_counts=False, weights=factors),
        m.downsample(2, preserve_counts=False, axis_name="energy", weights=factors),
        m.resample(GEOM.downsample(2), preserve_counts=False, weights=factors),
        m.to_region_nd_map(REGION, func=np.mean, weights=factors),
        m.to_region_nd_map(REGION, func=np.nanmean, weights=factors),
        spectra[0].downsample(2, preserve_counts=False, weights=spectra[1]),
    ):
        values = mean.data[mean.data != 0] if value else mean.data
        close(values, value, abs(value))
    for mean in (
        m.downsample(2, preserve_counts=False),
        m.to_region_nd_map(REGION, func=np.mean),
        spectra[0].downsample(2, preserve_counts=False),
    ):
        close(mean.data, value, abs(value))


@FEW
@given(maps(dtypes=st.sampled_from(["float32", "float64", "int16", "uint8"]), nan=True), WEIGHTS)
def test_a_mean_lies_between_the_least_and_the_largest(m, weights):
    factors = Map.from_geom(GEOM, data=weights)
    for given_weights in (None, factors):
        mean = m.downsample(2, preserve_counts=False, weights=given_weights).data
        blocks = m.data.astype(float).reshape(4, 2, 2, 3, 2)
        known = ~np.isnan(blocks) & (True if given_weights is None else weights.reshape(blocks.shape) > 0)
        low = np.where(known, blocks, np.inf).min(axis=(2, 4))
        high = np.where(known, blocks, -np.inf).max(axis=(2, 4))
        some = known.any(axis=(2, 4))
        margin = 1e-6 * np.abs(np.where(some, np.maximum(np.abs(low), np.abs(high)), 0))
        assert (mean[some] >= (low - margin)[some]).all()
        assert (mean[some] <= (high + margin)[some]).all()
        nothing = np.isnan(blocks).all(axis=(2, 4))
        assert np.isnan(mean[nothing]).all()
        assert (mean[~some & ~nothing] == 0).all()


@FEW
@given(maps(nan=True))
def test_sums_leave_out_what_is_masked_and_the_sum_of_nothing_is_0(m):
    nothing = Map.from_geom(GEOM, data=np.zeros(SHAPE, dtype=bool))
    for joined in (m.downsample(2, weights=nothing), m.sum_over_axes(weights=nothing), m.to_region_nd_map(REGION, weights=nothing)):
        assert not joined.data.any()
    means = m.copy(dtype=float).to_region_nd_map(REGION, func=np.nansum, weights=nothing).data
    assert (means == 0).all()


@FEW
@given(maps(dtypes=NUMBERS), maps(dtypes=NUMBERS), maps(dtypes=NUMBERS), MASKS)
def test_order_and_grouping_of_a_stack_do_not_matter(a, b, c, mask):
    safe = Map.from_geom(GEOM, data=mask)
    totals = []
    for order in ((a, b, c), (c, a, b)):
        total = Map.from_geom(GEOM, data=0.0)
        for m in order:
            total.stack(m, weights=safe)
        totals.append(total.data)
    pair = Map.from_geom(GEOM, data=0.0)
    pair.stack(b)
    pair.stack(c)
    total = Map.from_geom(GEOM, data=0.0)
    total.stack(pair, weights=safe)
    total.stack(a, weights=safe)
    scale = sum(np.abs(m.data.astype(float)).max() for m in (a, b, c))
    for other in (totals[1], total.data):
        close(other, totals[0], scale)
    close(totals[0], np.where(mask, a.data.astype(float) + b.data.astype(float) + c.data.astype(float), 0), scale)


@FEW
@given(maps(dtypes=NUMBERS), maps(dtypes=NUMBERS))
def test_arithmetic_is_that_of_numbers(a, b):
    for function in (operator.add, operator.sub, operator.mul):
        wanted = function(a.data.astype(float), b.data.astype(float))
        close(function(a, b).data, wanted, np.abs(wanted).max())
    assert (((a + b) - b) - a).data.astype(float) == pytest.approx(
        0, abs=1e-6 * (1 + np.abs(b.data.astype(float)).max() + np.abs(a.data).max())
    )


@FEW
@given(hnp.arrays(float, (2, 6), elements=st.one_of(st.floats(-1e3, 1e3), st.just(np.nan))), st.permutations(range(3)))
def test_blocks_do_not_depend_on_the_order_in_them(data, order):
    other = data.reshape(2, 2, 3)[..., list(order)].reshape(2, 6)
    np.testing.assert_allclose(block_sums(data, (1, 3)), block_sums(other, (1, 3)), rtol=1e-12, atol=1e-9)
    np.testing.assert_allclose(mean_of_blocks(data, None, (1, 3)), mean_of_blocks(other, None, (1, 3)), rtol=1e-12, atol=1e-9)


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(["CAR", "TAN", "AIT", "MOL", "ARC", "SIN", "ZEA"]), st.floats(0, 359), st.floats(-80, 80), st.floats(0.05, 1.5))
def test_areas_add_up(proj, lon, lat, binsz):
    geom = WcsGeom.create(npix=(12, 8), binsz=binsz, proj=proj, skydir=(lon, lat))
    whole = geom.solid_angle().to_value("sr")
    assert (whole >= 0).all()
    sky = geom.pix_to_lonlat(np.array([-0.5, 11.5, 11.5, -0.5]), np.array([-0.5, -0.5, 7.5, 7.5]))
    if np.isnan(sky).any():
        return
    parts = geom.upsample(4).solid_angle().to_value("sr")
    assert parts.sum() == pytest.approx(whole.sum(), rel=1e-3)
    halves = [geom.part(slice(0, 8), slice(0, 5)), geom.part(slice(0, 8), slice(5, 12))]
    assert sum(half.solid_angle().to_value("sr").sum() for half in halves) == pytest.approx(whole.sum(), rel=1e-6)


@settings(max_examples=8, deadline=None)
@given(st.floats(0.1, 1), st.floats(0, 0.8), st.sampled_from([10.0, 83.6, 359.9]), st.floats(-60, 60))
def test_regions_add_up(radius, share, lon, lat):
    """A circle is its inner circle and the ring around it; a wider circle is no smaller."""
    from regions import CircleAnnulusSkyRegion

    centre = SkyCoord(lon, lat, unit="deg")
    inner = max(share * radius, 0.02)
    outer = RegionGeom.create(CircleSkyRegion(centre, radius * u.deg), binsz_wcs=0.01 * u.deg)
    parts = [CircleSkyRegion(centre, inner * u.deg), CircleAnnulusSkyRegion(centre, inner * u.deg, radius * u.deg)]
    areas = [RegionGeom.create(part, binsz_wcs=0.01 * u.deg).solid_angle().to_value("deg2") for part in parts]
    assert sum(areas) == pytest.approx(outer.solid_angle().to_value("deg2"), rel=2e-2)
    assert areas[0] <= outer.solid_angle().to_value("deg2") * 1.001


@FEW
@given(hnp.arrays("int16", (4, 1, 1), elements=st.integers(-30000, 30000)), hnp.arrays(float, (4, 1, 1), elements=st.floats(0.01, 10)))
def test_region_maps(data, weights):
    m = RegionNDMap.create(REGION, axes=[AXIS], data=data)
    factors = RegionNDMap.create(REGION, axes=[AXIS], data=weights)
    total = int(data.astype(int).sum())
    assert m.downsample(2).data.sum() == m.sum_over_axes().data.sum() == m.resample_axis(AXIS.squash()).data.sum() == total
    mean = m.downsample(4, preserve_counts=False, weights=factors).data.item()
    assert mean == pytest.approx(float((data * weights).sum() / weights.sum()), rel=1e-12, abs=1e-9)
    assert data.min() - 1e-9 <= mean <= data.max() + 1e-9
