"""From one `MapDataset` to another: cut out, masked, stacked."""

from .base import make_name
from .fields import MAP_FIELDS

__all__ = ["MapTransforms"]


class MapTransforms:
    """Verbs that give a new map dataset or add to one, mixed into `MapDataset`."""

    def cutout(self, position, width, mode="trim", name=None):
        """Part of the field of view, without models.

        Parameters
        ----------
        position : SkyCoord
            Centre.
        width : Angle, float (deg) or pair of them
            Size along longitude and latitude.
        mode : {"trim", "partial", "strict"}
            What to do at the border of the map.
        name : str, optional
            A random one if None.
        """
        fields = {}
        for field in MAP_FIELDS:
            value = self._values[field.name]
            if value is not None and field.kind in ("gti", "table"):
                value = value.copy()
            elif value is not None:
                value = value.cutout(position=position, width=width, mode=mode)
            fields[field.name] = value
        return type(self)(**fields, name=make_name(name), stat_type=self.stat_type)

    def to_masked(self, name=None, nan_to_num=True):
        """Dataset in which everything outside mask_safe is zero, as stacking needs it; without models.

        Parameters
        ----------
        name : str, optional
            A random one if None.
        nan_to_num : bool
            Replace values that are not finite by zero.
        """
        dataset = type(self).from_geoms(**self.geoms, name=name).to_device(self.backend)
        dataset.stack(self, nan_to_num=nan_to_num)
        return dataset

    def stack(self, other, nan_to_num=True):
        """Add another dataset to this one in place, weighted by the other's mask_safe; see `gpudl4.datasets.stack`."""
        from .stack import stack_in_place

        stack_in_place(self, other, nan_to_num)
