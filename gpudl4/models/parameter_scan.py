"""Where the statistic is scanned along a parameter, and where its confidence limits are searched. Part of `Parameter`."""

import numpy as np

from .transforms import TRANSFORMS, checked

__all__ = ["ParameterScan"]


class ParameterScan:
    """Scans of a `~gpudl4.models.Parameter`."""

    @property
    def interp(self):
        """Spacing of scans."""
        return self._interp

    @interp.setter
    def interp(self, value):
        self._interp = checked(value, TRANSFORMS, f"interp of parameter '{self._name}'")

    @property
    def _step(self):
        return self._error if self._error > 0 else abs(self._value)

    @property
    def scan_min(self):
        """Where a scan begins."""
        return self._value - self._step * self.scan_n_sigma if self._scan_min is None else self._scan_min

    @scan_min.setter
    def scan_min(self, value):
        self._scan_min = value

    @property
    def scan_max(self):
        """Where a scan ends."""
        return self._value + self._step * self.scan_n_sigma if self._scan_max is None else self._scan_max

    @scan_max.setter
    def scan_max(self, value):
        self._scan_max = value

    @property
    def scan_n_sigma(self):
        """Half width of a scan in errors."""
        return self._scan_n_sigma

    @scan_n_sigma.setter
    def scan_n_sigma(self, value):
        self._scan_n_sigma = int(value)

    @property
    def scan_values(self):
        """Values of a scan, array[scan_n_values]; evenly spaced where `interp` has no value at one of the ends, as a logarithm of -1."""
        if self._scan_values is not None:
            return self._scan_values
        is_defined = self._interp != "log" or min(self.scan_min, self.scan_max) > 0
        forward, inverse = TRANSFORMS[self._interp if is_defined else "lin"]
        return inverse(np.linspace(forward(self.scan_min), forward(self.scan_max), self.scan_n_values))

    @scan_values.setter
    def scan_values(self, values):
        self._scan_values = None if values is None else np.array(values, dtype=np.float64)

    @property
    def conf_min(self):
        """Lower end of the bracket in which confidence limits are searched."""
        if not np.isnan(self.min):
            return self.min
        return min(self._value - self._step * self.scan_n_sigma, -max(self._step, abs(self._value)) * 1e5)

    @property
    def conf_max(self):
        """Upper end of the bracket in which confidence limits are searched."""
        if not np.isnan(self.max):
            return self.max
        return max(self._value + self._step * self.scan_n_sigma, max(self._step, abs(self._value)) * 1e5)
