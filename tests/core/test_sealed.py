import copy
import pickle

import pytest

from gpudl4 import Fit
from gpudl4.core.errors import UnknownAttributeError
from gpudl4.core.nearest import meant, nearest
from gpudl4.core.sealed import Sealed
from gpudl4.datasets import Datasets, MapDataset
from gpudl4.models import FoVBackgroundModel, GaussianPrior, Models, Parameter, PowerLawSpectralModel, SkyModel, SpectralModel


@pytest.mark.parametrize(
    ("make", "name", "message"),
    [
        (PowerLawSpectralModel, "indx", "PowerLawSpectralModel has no attribute 'indx' that could be set; did you mean 'index'?"),
        (lambda: SkyModel.create("pl", "point"), "spectral_modle", "did you mean 'spectral_model'"),
        (lambda: FoVBackgroundModel(dataset_name="x"), "dataset_names", "did you mean 'datasets_names'"),
        (GaussianPrior, "sgima", "did you mean 'sigma'"),
        (lambda: Parameter("a", 1), "forzen", "did you mean 'frozen'"),
        (Models, "covarience", "did you mean 'covariance'"),
        (lambda: MapDataset(name="x"), "mask_fti", "MapDataset has no attribute 'mask_fti' that could be set; did you mean 'mask_fit'?"),
        (Datasets, "modles", "did you mean 'models'"),
        (Fit, "covariance_form", "did you mean 'covariance_from'"),
        (Fit, "qqq", "Fit has no attribute 'qqq' that could be set$"),
    ],
)
def test_attributes_nobody_reads_are_refused(make, name, message):
    for one in (make(), copy.deepcopy(make()), copy.copy(make()), pickle.loads(pickle.dumps(make()))):
        with pytest.raises(UnknownAttributeError, match=message):
            setattr(one, name, 2.7)
        assert not hasattr(one, name)


def test_what_a_class_makes_itself_can_be_set():
    class Own(SpectralModel):
        index = Parameter("index", 2)
        limit = 3

        def __init__(self, table):
            self.table = table
            super().__init__()

        def evaluate(self, energy, index):
            return index * energy

    model = Own(table=[1, 2])
    model.table, model.limit, model._anything = [3], 4, 5
    assert (model.table, model.limit, Own.limit) == ([3], 4, 3)
    with pytest.raises(UnknownAttributeError, match="did you mean 'table'"):
        model.tabel = 1
    assert isinstance(model, Sealed)


def test_an_error_in_init_is_that_error():
    class Broken(Sealed):
        def __init__(self):
            raise KeyError("x")

    with pytest.raises(KeyError, match="x"):
        Broken()


def test_nearest_names():
    assert nearest("nHit9", ["nHit-8", "nHit-9", "crab"])[0] == "nHit-9"
    assert nearest("CRAB", ["crab", "geminga"]) == ["crab"]
    assert (nearest("x", []), meant("x", ["crab"]), meant("crb", ["crab"])) == ([], "", "; did you mean 'crab'?")
