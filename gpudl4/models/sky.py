"""A source on the sky: spectrum times shape.

`SkyModel` is what a fit is made of, next to `FoVBackgroundModel` (background.py); `Models` (collection.py) holds them.
"""

from collections import UserDict

import astropy.units as u

from ..core.errors import ModelError, UnitMismatchError
from .base import Model
from .composite import CompositeModel, check_keys, part_from_dict
from .naming import make_name
from .places import contributes
from .registries import MODEL_REGISTRY, SPATIAL_MODEL_REGISTRY, SPECTRAL_MODEL_REGISTRY, TEMPORAL_MODEL_REGISTRY

__all__ = ["SkyModel"]

IRFS = ("exposure", "psf", "edisp")
_KEYS = {"name", "type", "spectral", "spatial", "temporal", "apply_irf", "datasets_names", "filename", "covariance"}


class _Switches(UserDict):
    """Which IRFs apply; only True or False for a known one can be set, and none can be removed."""

    def __setitem__(self, key, value):
        if key not in IRFS or not isinstance(value, bool):
            raise ModelError(f"apply_irf must map {', '.join(IRFS)} to True or False, got {{{key!r}: {value!r}}}")
        self.data[key] = value

    def __delitem__(self, key):
        raise ModelError(f"apply_irf always holds {', '.join(IRFS)}: set '{key}' to True or False instead of removing it")


class SkyModel(CompositeModel):
    """Source with a spectrum and a shape.

    Parameters
    ----------
    spectral_model : SpectralModel
    spatial_model : SpatialModel, optional
        Normalised to 1 on the sky.
    temporal_model : None
        Time dependence is not supported yet.
    name : str, optional
        Default: random characters.
    apply_irf : dict, optional
        Which IRFs apply, ``{"exposure": True, "psf": True, "edisp": True}``; missing keys are True.
    datasets_names : str or list of str, optional
        Datasets the model acts on. Default: all.
    covariance_data : array[P, P], optional

    Raises
    ------
    ModelError
        If an argument is of the wrong kind.
    UnitMismatchError
        If the model's value has the wrong unit: ``cm-2 s-1 TeV-1`` is wanted, ``TeV-1`` where no exposure applies.
    """

    tag = ["SkyModel", "sky-model"]

    def __init__(
        self, spectral_model, spatial_model=None, temporal_model=None, name=None, apply_irf=None, datasets_names=None, covariance_data=None
    ):
        if temporal_model is not None:
            raise ModelError("temporal models are not supported yet: leave temporal_model at None")
        self.spectral_model = spectral_model
        self.spatial_model = spatial_model
        self._name = make_name(name)
        self.apply_irf = apply_irf
        self.datasets_names = datasets_names
        self._check_unit()
        super().__init__(covariance_data=covariance_data)

    @classmethod
    def create(cls, spectral_model, spatial_model=None, temporal_model=None, **kwargs):
        """Model from the tags of its parts.

        Parameters
        ----------
        spectral_model, spatial_model, temporal_model : str or None
        **kwargs
            Other arguments of the class.
        """
        kinds = {"spectral": spectral_model, "spatial": spatial_model, "temporal": temporal_model}
        parts = {f"{kind}_model": None if tag is None else Model.create(tag, kind) for kind, tag in kinds.items()}
        return cls(**parts, **kwargs)

    def _check_unit(self):
        wanted = u.Unit("cm-2 s-1 TeV-1") if self.apply_irf["exposure"] else u.Unit("TeV-1")
        unit = self.spectral_model(1 * u.TeV).unit
        if not unit.is_equivalent(wanted):
            raise UnitMismatchError(
                f"model '{self.name}': its spectrum has unit '{unit}', which does not convert to '{wanted}': "
                f"check the units of {', '.join(self.spectral_model.parameters.names)}"
            )

    @property
    def apply_irf(self):
        """Which IRFs apply: a mapping to bool, whose entries can be set."""
        return self._apply_irf

    @apply_irf.setter
    def apply_irf(self, value):
        self._apply_irf = _Switches(dict.fromkeys(IRFS, True) | dict(value or {}))

    @property
    def temporal_model(self):
        """None: time dependence is not supported yet."""
        return None

    @property
    def position(self):
        """Position of the spatial model, None if it has none."""
        return getattr(self.spatial_model, "position", None) if hasattr(self.spatial_model, "lon_0") else None

    @property
    def position_lonlat(self):
        """Position (lon, lat) in radian in the frame of the spatial model, None if it has none."""
        return self.spatial_model.position_lonlat if hasattr(self.spatial_model, "lon_0") else None

    @property
    def frame(self):
        """Frame of the spatial model, None without one."""
        return getattr(self.spatial_model, "frame", None)

    @property
    def evaluation_radius(self):
        """Evaluation radius of the spatial model, None without one."""
        return getattr(self.spatial_model, "evaluation_radius", None)

    @property
    def evaluation_bin_size_min(self):
        """Largest bin size that resolves the spatial model, None without one."""
        return getattr(self.spatial_model, "evaluation_bin_size_min", None)

    @property
    def evaluation_region(self):
        """Sky region in which the spatial model is evaluated, None without one."""
        return getattr(self.spatial_model, "evaluation_region", None)

    def contributes(self, mask, margin="0 deg"):
        """Whether the model reaches into a mask; see `gpudl4.models.places.contributes`."""
        return contributes(self, mask, margin)

    def evaluate(self, lon, lat, energy):
        """Differential surface brightness at sky coordinates in the model's frame and energies; arguments broadcast."""
        value = self.spectral_model(energy)
        if self.spatial_model is None:
            return value
        if self.spatial_model.is_energy_dependent:
            return value * self.spatial_model(lon, lat, energy)
        return value * self.spatial_model(lon, lat)

    __call__ = evaluate

    def evaluate_geom(self, geom):
        """Differential surface brightness at the pixel centres, a quantity of shape (energy_true, lat, lon)."""
        value = self.spectral_model(geom.axes["energy_true"].center)[:, None, None]
        return value if self.spatial_model is None else value * self.spatial_model.evaluate_geom(geom)

    def integrate_geom(self, geom, oversampling_factor=None):
        """Flux per pixel and energy bin.

        Parameters
        ----------
        geom : `~gpudl4.maps.WcsGeom`
            With an axis ``energy_true``.
        oversampling_factor : int, optional
            See `SpatialModel.integrate_geom`.

        Returns
        -------
        flux : `~gpudl4.maps.WcsNDMap`
            In cm-2 s-1.
        """
        import numpy as np

        from ..maps import Map

        edges = geom.axes["energy_true"].edges
        flux = self.spectral_model.integral(edges[:-1], edges[1:])
        data = flux.value[:, np.newaxis, np.newaxis]
        if self.spatial_model is not None:
            data = data * self.spatial_model.integrate_geom(geom.to_image(), oversampling_factor).data
        return Map.from_geom(geom, data=np.broadcast_to(data, geom.data_shape).copy(), unit=flux.unit)

    def copy(self, name=None, **kwargs):
        """Independent copy.

        Parameters
        ----------
        name : str, optional
            Default: random characters.
        **kwargs
            Other arguments of `SkyModel` that shall differ.
        """
        kwargs = self._copy_arguments(kwargs)
        return type(self)(name=make_name(name), **({"apply_irf": self.apply_irf, "datasets_names": self.datasets_names} | kwargs))

    def to_dict(self, full_output=False, links=None):
        """Dict as models files hold it."""
        data = {"name": self.name, "type": self._main_tag()}
        if not all(self._apply_irf.values()):
            data["apply_irf"] = dict(self._apply_irf)
        if self.datasets_names is not None:
            data["datasets_names"] = list(self.datasets_names)
        return self._add_parts(data, full_output, links)

    @classmethod
    def from_dict(cls, data):
        """Model from its dict.

        Raises
        ------
        ModelError
            If a key or type is unknown or something is missing.
        """
        if data.get("name") is None:
            raise ModelError(f"a {cls.__name__} needs a 'name', got the keys {', '.join(map(str, data))}")
        what = f"model '{data['name']}'"
        check_keys(data, _KEYS, what)
        try:
            if data.get("temporal") is not None:
                TEMPORAL_MODEL_REGISTRY.get_cls(data["temporal"].get("type"))
            spectral = part_from_dict(data, "spectral", SPECTRAL_MODEL_REGISTRY)
            spatial = part_from_dict(data, "spatial", SPATIAL_MODEL_REGISTRY)
            if spectral is None:
                raise ModelError("a 'spectral' part is missing")
        except (ModelError, UnitMismatchError) as error:
            raise type(error)(f"{what}: {error}") from error
        return cls(
            spectral,
            spatial_model=spatial,
            name=str(data["name"]),
            apply_irf=data.get("apply_irf"),
            datasets_names=data.get("datasets_names"),
        )


MODEL_REGISTRY.append(SkyModel)
