import pytest

import gpudl4.modeling
import gpudl4.models


def test_gammapys_import_paths():
    from gpudl4.modeling import Covariance, Parameter, Parameters
    from gpudl4.modeling.models import MODEL_REGISTRY, Models, SkyModel

    assert SkyModel is gpudl4.models.SkyModel
    assert Models is gpudl4.models.Models
    assert MODEL_REGISTRY is gpudl4.models.MODEL_REGISTRY
    assert (Covariance, Parameter, Parameters) == (gpudl4.models.Covariance, gpudl4.models.Parameter, gpudl4.models.Parameters)
    assert gpudl4.modeling.models.__all__ == gpudl4.models.__all__
    assert "Fit" in dir(gpudl4.modeling)
    with pytest.raises(AttributeError, match=r"module 'gpudl4.modeling' has no attribute 'Sampler'"):
        _ = gpudl4.modeling.Sampler


@pytest.mark.peer
def test_every_name_exists_in_gammapy():
    peer = pytest.importorskip("gammapy.modeling.models")
    own = {"Covariance", "Parameter", "Parameters", "PriorParameter", "PriorParameters", "make_name"}
    assert set(gpudl4.models.__all__) - own <= set(dir(peer))
