from astropy.io import fits

from gpudl4 import __version__
from gpudl4.datasets import MapDatasetMetaData


def test_header_round_trip_names_the_present_writer():
    meta = MapDatasetMetaData.from_header(
        fits.Header({"CREATOR": "Gammapy 2.1", "CREATED": "2024-07-05", "ORIGIN": "HAWC", "EVT_TYPE": "3"})
    )
    assert (meta.creation.creator, meta.creation.date, meta.creation.origin) == ("Gammapy 2.1", "2024-07-05", "HAWC")
    cards = meta.to_header()
    assert cards["CREATOR"] == f"gpudl4 {__version__}"
    assert cards["CREATED"] > "2024-07-05"
    assert cards["ORIGIN"] == "HAWC"
    assert cards["EVT_TYPE"] == "3"


def test_header_without_cards():
    meta = MapDatasetMetaData.from_header(fits.Header())
    assert meta.creation.creator is None
    assert set(meta.to_header()) == {"CREATOR", "CREATED"}


def test_new_metadata():
    assert MapDatasetMetaData().creation.creator == f"gpudl4 {__version__}"
