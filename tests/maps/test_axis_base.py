"""What all kinds of axes have in common."""

import astropy.units as u
import numpy as np
import pytest
from astropy.time import Time

from gpudl4.core.errors import GeometryError
from gpudl4.maps import LabelMapAxis, MapAxis, TimeMapAxis

AXES = [
    MapAxis.from_edges([1, 2, 3, 4], name="one"),
    MapAxis.from_nodes([1, 2, 3], name="one"),
    TimeMapAxis([0, 2, 4] * u.h, [1, 3, 5] * u.h, Time("2020-01-01"), name="one"),
    LabelMapAxis(["a", "b", "c"], name="one"),
]


@pytest.mark.parametrize("axis", AXES, ids=lambda axis: f"{type(axis).__name__}-{axis.node_type}")
def test_names_and_bins(axis):
    assert axis.rename("two").name == "two"
    assert axis.name == "one"
    axis.assert_name("one")
    with pytest.raises(GeometryError, match="'two' is needed, got: 'one'"):
        axis.assert_name("two")
    np.testing.assert_array_equal(axis.pix_to_idx([-1, 0, 2, 3]), [-1, 0, 2, -1])
    np.testing.assert_array_equal(axis.pix_to_idx([-1, 0, 2, 3], clip=True), [0, 0, 2, 2])
    assert axis.slice(slice(1, None)).nbin == 2
    assert axis.slice(2).nbin == 1
    assert axis.slice(-1) == axis.slice(2)
    assert axis.slice(-2) == axis.slice(1)
    with pytest.raises(GeometryError, match=r"slice\(3, None, None\) selects none of the 3 bins of axis 'one'"):
        axis.slice(slice(3, None))
    assert type(axis.slice(0)) is type(axis)
