"""What an optimiser may see of a parameter: ``factor = transform(value) / scale``, of order one. Part of `Parameter`."""

import numpy as np

from .transforms import TRANSFORMS, checked

__all__ = ["SCALE_METHODS", "ParameterScale"]

SCALE_METHODS = ("scale10", "factor1", None)


class ParameterScale:
    """Scale and factor of a `~gpudl4.models.Parameter`."""

    @property
    def scale(self):
        """Scale, positive for "scale10"."""
        return self._scale

    @property
    def factor(self):
        """Transformed value divided by the scale."""
        return float(self.transform(self._value))

    @factor.setter
    def factor(self, factor):
        self._value = float(self.inverse_transform(float(factor)))

    @property
    def factor_min(self):
        """Lower bound as the optimiser sees it."""
        return float(self.transform(self.min))

    @property
    def factor_max(self):
        """Upper bound as the optimiser sees it."""
        return float(self.transform(self.max))

    def transform(self, value):
        """Factor of a value."""
        return TRANSFORMS[self._scale_transform][0](value) / self._scale

    def inverse_transform(self, factor):
        """Value of a factor."""
        return TRANSFORMS[self._scale_transform][1](factor * self._scale)

    def autoscale(self):
        """Choose the scale from the value.

        "scale10": a power of ten, so that 1 <= abs(factor) < 10. "factor1": the value itself, so that factor is 1. None: as it is.
        A value of zero changes nothing.
        """
        value = float(TRANSFORMS[self._scale_transform][0](self._value))
        if value == 0 or not np.isfinite(value):
            return
        if self._scale_method == "scale10":
            self._scale = 10.0 ** np.floor(np.log10(abs(value)))
        elif self._scale_method == "factor1":
            self._scale = value

    def reset_autoscale(self):
        """Back to scale 1."""
        self._scale = 1.0

    @property
    def scale_method(self):
        """How `autoscale` works. Setting it resets the scale to 1."""
        return self._scale_method

    @scale_method.setter
    def scale_method(self, value):
        self._scale_method = checked(value, SCALE_METHODS, f"scale_method of parameter '{self._name}'")
        self.reset_autoscale()

    @property
    def scale_transform(self):
        """Transformation before the scale. Setting it resets the scale to 1."""
        return self._scale_transform

    @scale_transform.setter
    def scale_transform(self, value):
        self._scale_transform = checked(value, TRANSFORMS, f"scale_transform of parameter '{self._name}'")
        self.reset_autoscale()
