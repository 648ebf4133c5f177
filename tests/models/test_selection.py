"""Conditions on models, one by one."""

import pytest

from gpudl4.models import FoVBackgroundModel, SkyModel
from gpudl4.models.selection import is_selected

SOURCE = SkyModel.create("pl", "gauss", name="source-1", datasets_names=["one", "two"])
BACKGROUND = FoVBackgroundModel(dataset_name="three")


@pytest.mark.parametrize(
    ("model", "conditions", "expected"),
    [
        (SOURCE, {}, True),
        (SOURCE, {"name_substring": "ce-1"}, True),
        (SOURCE, {"name_substring": "background"}, False),
        (SOURCE, {"datasets_names": "two"}, True),
        (SOURCE, {"datasets_names": ["three", "four"]}, False),
        (SOURCE, {"tag": "sky-model"}, True),
        (SOURCE, {"tag": ["gauss", "point"], "model_type": "spatial"}, True),
        (SOURCE, {"tag": "gauss", "model_type": "spectral"}, False),
        (BACKGROUND, {"tag": "gauss", "model_type": "spatial"}, False),
        (BACKGROUND, {"datasets_names": "three", "frozen": False}, True),
        (SOURCE, {"name_substring": "source", "frozen": True}, False),
    ],
)
def test_conditions(model, conditions, expected):
    assert is_selected(model, **conditions) == expected
