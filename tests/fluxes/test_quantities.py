"""The tables of SED types and quantities, and gammapy's."""

import pytest

from gpudl4.core.errors import DatasetError
from gpudl4.fluxes.quantities import REQUIRED_COLUMNS, SED_UNITS, all_quantities, checked_sed_type, guess_sed_type, stored_name


@pytest.mark.parametrize("sed_type", REQUIRED_COLUMNS)
def test_quantities_are_gammapys(sed_type):
    from gammapy.estimators import FluxPoints as Peer
    from gammapy.estimators.map.core import DEFAULT_UNIT
    from gammapy.estimators.map.core import REQUIRED_COLUMNS as PEER_COLUMNS

    assert all_quantities(sed_type) == list(dict.fromkeys(Peer.all_quantities(sed_type)))
    assert list(REQUIRED_COLUMNS[sed_type]) == PEER_COLUMNS[sed_type]
    assert guess_sed_type(REQUIRED_COLUMNS[sed_type]) == sed_type
    if sed_type != "likelihood":
        assert SED_UNITS[sed_type] == DEFAULT_UNIT[sed_type]


def test_names():
    assert stored_name("likelihood") == "norm"
    assert stored_name("flux") == "flux"
    assert guess_sed_type(["e_ref", "energy"]) is None
    with pytest.raises(DatasetError, match="Unknown SED type"):
        checked_sed_type("sed")
