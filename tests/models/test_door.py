"""What cannot be fitted is refused before anything is compiled, with the parameter and what to do; values out of bounds are moved."""

import numpy as np
import pytest

from gpudl4 import Datasets, Fit, compile
from gpudl4.core.errors import DatasetError, ModelError
from gpudl4.models import GaussianPrior, Parameter, PowerLawSpectralModel, UniformPrior
from tests.factory import make_dataset


def _set(name, **attributes):
    model, parameter = name.split(".")

    def change(models):
        for key, value in attributes.items():
            setattr(models[model].parameters[parameter], key, value)

    return change


FAULTS = [
    (_set("point.index", value=np.nan), "parameter 'point.index' is nan: set a finite value"),
    (_set("point.amplitude", value=np.inf), "parameter 'point.amplitude' is inf .*: set a finite value"),
    (_set("point.reference", value=np.nan), "parameter 'point.reference' is nan TeV: set a finite value"),
    (_set("point.index", min=3, max=1), "parameter 'point.index' has min 3.0 above max 1.0"),
    (_set("point.reference", min=3, max=1), "parameter 'point.reference' has min 3.0 above max 1.0"),
    (_set("point.lat_0", value=91), "parameter 'point.lat_0' is 91 deg: a latitude lies between -90 and 90 deg"),
    (_set("gauss.lat_0", quantity="-1.6 rad"), "parameter 'gauss.lat_0' is -1.6 rad: a latitude lies between"),
    (_set("point.reference", value=0), "parameter 'point.reference' is 0 TeV: an energy above zero is wanted"),
    (_set("test-bkg.reference", value=-1), "parameter 'test-bkg.reference' is -1 TeV: an energy above zero"),
    (_set("point.index", prior=GaussianPrior(mu=2, sigma=0)), "'point.index' has a GaussianPrior with sigma 0: a sigma above zero"),
    (_set("point.index", prior=UniformPrior(min=2, max=2)), "'point.index' has a UniformPrior from 2 to 2"),
    (_set("point.index", prior=GaussianPrior(mu=np.nan, sigma=1)), "has a GaussianPrior whose parameters are not all finite"),
]


@pytest.mark.parametrize(("change", "message"), FAULTS)
def test_values_that_cannot_be_fitted(change, message, recwarn):
    dataset = make_dataset()
    change(dataset.models)
    for call in (Fit().run, compile, lambda d: Fit().stat_profile(d, "point.index")):
        with pytest.raises(ModelError, match=message):
            call(dataset)
    assert not [w for w in recwarn if issubclass(w.category, RuntimeWarning)]


@pytest.mark.parametrize("datasets", [None, "datasets.yaml", 3, ["a"], [None]])
def test_what_is_no_dataset(datasets):
    with pytest.raises(DatasetError, match="a dataset, a list of datasets or Datasets was wanted, got"):
        Fit().run(datasets)


def test_values_outside_their_bounds_are_moved_inside_with_a_warning():
    dataset = make_dataset()
    dataset.models["gauss"].spatial_model.freeze()
    index = dataset.models["point"].spectral_model.index
    index.value, index.min, index.max = 5.0, 1.0, 3.0
    with pytest.warns(UserWarning, match=r"values outside their bounds are moved inside: point\.index \(5 to 3\)"):
        result = Fit().run(Datasets([dataset]))
    assert result.success
    assert result.total_stat == pytest.approx(Fit().run(dataset).total_stat, abs=1e-6)
    assert 2.0 < index.value < 2.5


def test_bounds_are_refused_at_once_where_both_are_known():
    with pytest.raises(ModelError, match=r"parameter 'a' cannot have min 3.0 above max 1.0"):
        Parameter("a", 2, min=3, max=1)
    index = PowerLawSpectralModel().index
    index.set_lim(0, 4)
    with pytest.raises(ModelError, match=r"cannot have min 5.0 above max 4.0"):
        index.set_lim(min=5)
    assert (index.min, index.max) == (0, 4)
    index.set_lim(5, 6)
    assert (index.min, index.max) == (5, 6)


def test_a_uniform_prior_and_own_bounds_both_hold():
    p = Parameter("a", 2, min=1, max=5, prior=UniformPrior(min=0, max=3))
    assert (p.min, p.max) == (1, 3)
    p.min, p.max = np.nan, np.nan
    assert (p.min, p.max) == (0, 3)
