"""Reference times in headers."""

import numpy as np
import pytest
from astropy import units as u
from astropy.time import Time

from gpudl4.core.errors import DataFileError
from gpudl4.maps.time_tables import time_reference, time_reference_cards


@pytest.mark.parametrize("scale", ["utc", "tt", "tdb"])
def test_nanoseconds_survive(scale):
    time = Time("2020-03-19T07:11:13.123456789", scale=scale)
    back = time_reference(time_reference_cards(time))
    assert back.scale == scale
    assert abs((back - time).to_value("ns")) < 1e-2


def test_gammapy_reads_the_same_instant():
    from gammapy.utils.time import time_ref_from_dict, time_ref_to_dict

    time = Time("2020-03-19T07:11:13.5", scale="utc")
    assert abs((time_ref_from_dict(time_reference_cards(time)) - time).to_value("us")) < 1
    assert abs((time_reference(time_ref_to_dict(time)) - time.tt).to_value("us")) < 100


def test_texts_and_missing_keywords():
    cards = {"MJDREFI": "51910", "MJDREFF": "7.428703703703703D-4"}
    assert time_reference(cards).mjd == pytest.approx(51910.0007428703703)
    with pytest.raises(DataFileError, match="'MJDREFF' is missing"):
        time_reference({"MJDREFI": 1})
    with pytest.raises(DataFileError, match="must be numbers"):
        time_reference({"MJDREFI": 1, "MJDREFF": "x"})
    assert np.isclose((Time(51910, format="mjd", scale="tt") + 64.184 * u.s).mjd, time_reference(cards).mjd)
