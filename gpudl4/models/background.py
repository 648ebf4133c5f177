"""Correction of the instrumental background of one dataset: a norm that may depend on energy."""

from ..core.errors import ModelError, UnitMismatchError
from .composite import CompositeModel, check_keys, part_from_dict
from .naming import make_name
from .registries import MODEL_REGISTRY, SPATIAL_MODEL_REGISTRY, SPECTRAL_MODEL_REGISTRY
from .spectral import PowerLawNormSpectralModel

__all__ = ["FoVBackgroundModel"]

_KEYS = {"name", "type", "spectral", "spatial", "datasets_names", "filename", "covariance"}


class FoVBackgroundModel(CompositeModel):
    """Multiplies the background of a dataset by a norm spectrum, evaluated at the centres of the reconstructed energy bins.

    Parameters
    ----------
    dataset_name : str, optional
        Dataset it acts on.
    spectral_model : SpectralModel, optional
        A norm model (its class name contains "Norm"). Default: `PowerLawNormSpectralModel`.
    spatial_model : SpatialModel, optional
        Factor that depends on the position; the unit of its value is dropped.
    covariance_data : array[P, P], optional
    name : str, optional
        Default: the dataset's name followed by ``-bkg``.
    datasets_names : list with one str, optional
        Other way to give the dataset's name.

    Raises
    ------
    ModelError
        If not exactly one dataset is named or the spectral model is no norm model.
    """

    tag = ["FoVBackgroundModel", "fov-bkg"]

    def __init__(self, dataset_name=None, spectral_model=None, spatial_model=None, covariance_data=None, name=None, datasets_names=None):
        if (dataset_name is None) == (datasets_names is None):
            raise ModelError("FoVBackgroundModel needs the name of its dataset: give either dataset_name or datasets_names")
        self.datasets_names = dataset_name if datasets_names is None else datasets_names
        self.spectral_model = PowerLawNormSpectralModel() if spectral_model is None else spectral_model
        self.spatial_model = spatial_model
        self._name = f"{self.datasets_names[0]}-bkg" if name is None else make_name(name)
        super().__init__(covariance_data=covariance_data)

    @property
    def datasets_names(self):
        """List with the name of the one dataset it acts on."""
        return self._datasets_names

    @datasets_names.setter
    def datasets_names(self, names):
        CompositeModel.datasets_names.fset(self, names)
        if self._datasets_names is None or len(self._datasets_names) != 1:
            raise ModelError(f"FoVBackgroundModel acts on exactly one dataset, got {names!r}: make one model per dataset")

    @property
    def spectral_model(self):
        """Norm spectrum."""
        return self._spectral_model

    @spectral_model.setter
    def spectral_model(self, model):
        CompositeModel.spectral_model.fset(self, model)
        if not model.is_norm_spectral_model:
            raise ModelError(f"a norm spectral model is needed, e.g. PowerLawNormSpectralModel, got {type(model).__name__}")

    def evaluate(self, energy, lon=None, lat=None):
        """Norm at energies, times the spatial factor at sky coordinates if the model has one."""
        value = self.spectral_model(energy)
        if self.spatial_model is None:
            return value
        if lon is None or lat is None:
            raise ModelError(f"model '{self.name}' has a spatial part: lon and lat are needed")
        return value * self.spatial_model(lon, lat).value

    __call__ = evaluate

    def evaluate_geom(self, geom):
        """Norm at the bin centres of a geometry with an axis ``energy``, shape (energy, 1, 1) or (energy, lat, lon)."""
        value = self.spectral_model(geom.axes["energy"].center)[:, None, None]
        return value if self.spatial_model is None else value * self.spatial_model.evaluate_geom(geom.to_image()).value

    def reset_to_default(self):
        """Put the parameters of the norm spectrum back to their default values."""
        for parameter, default in zip(self.spectral_model.parameters, self.spectral_model.default_parameters, strict=True):
            parameter.quantity = default.quantity

    def copy(self, name=None, **kwargs):
        """Independent copy.

        Parameters
        ----------
        name : str, optional
            Default: follows from the dataset's name.
        **kwargs
            Other arguments of `FoVBackgroundModel` that shall differ.
        """
        kwargs = self._copy_arguments(kwargs)
        if "dataset_name" not in kwargs and "datasets_names" not in kwargs:
            kwargs["datasets_names"] = self.datasets_names
            name = self.name if name is None else name
        return type(self)(**kwargs, name=name)

    def to_dict(self, full_output=False, links=None):
        """Dict as models files hold it; the name is left out where it follows from the dataset's."""
        data = {"type": self._main_tag(), "datasets_names": list(self.datasets_names)}
        if self.name != f"{self.datasets_names[0]}-bkg":
            data["name"] = self.name
        return self._add_parts(data, full_output, links)

    @classmethod
    def from_dict(cls, data):
        """Model from its dict.

        Raises
        ------
        ModelError
            If a key or type is unknown or the dataset's name is missing.
        """
        names = data.get("datasets_names")
        if names is None:
            raise ModelError("a FoVBackgroundModel needs 'datasets_names' with the name of its dataset")
        what = f"background model of dataset {names!r}"
        check_keys(data, _KEYS, what)
        try:
            spectral = part_from_dict(data, "spectral", SPECTRAL_MODEL_REGISTRY)
            spatial = part_from_dict(data, "spatial", SPATIAL_MODEL_REGISTRY)
        except (ModelError, UnitMismatchError) as error:
            raise type(error)(f"{what}: {error}") from error
        return cls(datasets_names=names, spectral_model=spectral, spatial_model=spatial, name=data.get("name"))


MODEL_REGISTRY.append(FoVBackgroundModel)
