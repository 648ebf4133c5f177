"""The engine's view of a spectral model: plain arrays in, values and exact derivatives out.

A bound spectrum is a snapshot: it keeps the node energies, the factors of the parameters' units and a function; nothing of the model it
came from. All parts have ``value(values[B, P])`` and ``value_and_gradient(values[B, P])``, where values are in the parameters' own units.

* `FormulaBinding`: a function of arrays that returns value and derivatives (the built-in models);
* `NumericBinding`: a user's `evaluate` with quantities, derivatives by central differences;
* `LogLogIntegral`: gammapy's quadrature on top of either;
* `GaussIntegral`: Gauss-Legendre quadrature in ln(energy), accurate to rounding for smooth spectra.
"""

import astropy.units as u
import numpy as np

from ...core.errors import ModelError
from ..differences import central_differences
from ..units import as_tev, engine_factor, engine_unit

__all__ = ["FormulaBinding", "GaussIntegral", "LogLogIntegral", "NumericBinding", "energy_bins", "quadrature_nodes"]

NODES_PER_DECADE = 100  # gammapy's integrate_spectrum
PANELS_PER_DECADE = 5
NODES_PER_PANEL = 16


def energy_bins(energy_min, energy_max):
    """Edges of bins as TeV arrays[L], and the largest number of decades a bin spans.

    Decades are counted in the unit the edges are given in: converting first can move the node count of `quadrature_nodes` by one.

    Raises
    ------
    ModelError
        If the shapes differ or a bin is not positive and increasing.
    """
    low, high = np.atleast_1d(as_tev(energy_min, "energy_min")), np.atleast_1d(as_tev(energy_max, "energy_max"))
    if low.shape != high.shape or low.ndim != 1:
        raise ModelError(f"energy_min and energy_max must be arrays of one shape [L], got {low.shape} and {high.shape}")
    if not np.all((low > 0) & (high > low) & np.isfinite(high)):
        raise ModelError("energy bins must be positive and increasing: check energy_min and energy_max")
    if isinstance(energy_min, u.Quantity) and isinstance(energy_max, u.Quantity):
        if energy_min.unit == energy_max.unit:
            ratio = energy_max.value / energy_min.value
        else:
            ratio = (energy_max / energy_min).to_value("")
    else:
        ratio = high / low
    return low, high, float(np.max(np.log10(ratio)))


def quadrature_nodes(low, high, decades, ndecade=NODES_PER_DECADE):
    """Nodes array[L, N] of gammapy's quadrature: N follows from the widest bin of the call."""
    number = int(max(ndecade * decades, 2))
    return np.geomspace(low, high, num=number, axis=-1)


def _rows(values, n_par):
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] != n_par:
        raise ModelError(f"values of shape [B, {n_par}] were wanted, got {values.shape}")
    return values


class FormulaBinding:
    """A function of plain arrays with its derivatives.

    Parameters
    ----------
    function : callable
        ``function(*energies, *parameters) -> value[B, K], derivatives``: energies array[K] in TeV, parameters array[B, 1] in engine units,
        derivatives one array (broadcastable to [B, K]) per parameter.
    energies : tuple of array[K]
    units : sequence of units
        Own units of the parameters.
    """

    def __init__(self, function, energies, units):
        self._function = function
        self._energies = tuple(np.array(e, dtype=np.float64) for e in energies)
        self._factors = np.array([engine_factor(unit) for unit in units], dtype=np.float64)
        self._plain = bool(np.all(self._factors == 1))

    def _evaluate(self, values):
        values = _rows(values, len(self._factors))
        if not self._plain:
            values = values * self._factors
        with np.errstate(over="ignore", invalid="ignore"):  # a trial step of a fit may overflow; the caller sees inf
            return self._function(*self._energies, *(values[:, i : i + 1] for i in range(values.shape[1])))

    def value(self, values):
        """Values array[B, K]."""
        value = self._evaluate(values)[0]
        return np.ascontiguousarray(np.broadcast_to(value, (len(values), len(self._energies[0]))))

    def value_and_gradient(self, values):
        """Values array[B, K] and derivatives array[B, P, K] with respect to the own-unit parameter values."""
        value, derivatives = self._evaluate(values)
        n_row, n_energy = len(values), len(self._energies[0])
        gradient = np.empty((n_row, len(self._factors), n_energy))
        for i, derivative in enumerate(derivatives):
            gradient[:, i] = derivative
        if not self._plain:
            gradient *= self._factors[:, np.newaxis]
        return np.ascontiguousarray(np.broadcast_to(value, (n_row, n_energy))), gradient


class NumericBinding:
    """A user's function of quantities; derivatives by central differences of its values.

    Parameters
    ----------
    function : callable
        ``function(*energies, **parameters) -> Quantity`` of the energies' shape.
    energies : tuple of array[K]
        In TeV.
    parameters : Parameters
        Names, units, bounds and step sizes are copied from here.
    names : list of str
        The function's names of the parameters.
    """

    def __init__(self, function, energies, parameters, names):
        self._function = function
        self._energies = tuple(np.array(e, dtype=np.float64) * u.TeV for e in energies)
        self._names = tuple(names)
        self._units = tuple(p.unit for p in parameters)
        self._bounds = np.array([[p.min, p.max] for p in parameters], dtype=np.float64).reshape(-1, 2)

    def _row(self, row):
        kwargs = {}
        for name, value, unit in zip(self._names, row, self._units, strict=True):
            quantity = value * unit
            # gammapy hands energies over in the unit of the energy argument
            kwargs[name] = quantity.to(u.TeV) if unit.physical_type == "energy" else quantity
        result = u.Quantity(self._function(*self._energies, **kwargs))
        value = result.to_value(engine_unit(result.unit))
        return np.broadcast_to(value, self._energies[0].shape).astype(np.float64)

    def value(self, values):
        """Values array[B, K]."""
        return np.array([self._row(row) for row in _rows(values, len(self._names))])

    def value_and_gradient(self, values):
        """Values array[B, K] and derivatives array[B, P, K] with respect to the own-unit parameter values."""
        values = _rows(values, len(self._names))
        value = self.value(values)
        gradient = np.array([central_differences(self._row, row, self._bounds, centre) for row, centre in zip(values, value, strict=True)])
        return value, gradient.reshape(len(values), len(self._names), -1)


class LogLogIntegral:
    """Integrals over bins by the log-log trapezoid, and their exact derivatives.

    Parameters
    ----------
    bind : callable
        Gives the bound spectrum (`FormulaBinding` or `NumericBinding`) at an array of energies.
    nodes : array[L, N]
        In TeV.
    power : int
        The integrand is energy^power times the spectrum; 1 gives energy fluxes.
    """

    def __init__(self, bind, nodes, power=0):
        from ... import kernels

        self._kernel = kernels.cpu("spectral")
        self._nodes = np.ascontiguousarray(nodes)
        self._length = np.log(self._nodes[:, 1:] / self._nodes[:, :-1])
        self._spectrum = bind(self._nodes.ravel())
        self._weight = None if power == 0 else self._nodes**power

    def value(self, values):
        """Integrals array[B, L]."""
        y = self._spectrum.value(values).reshape(-1, *self._nodes.shape)
        if self._weight is not None:
            y = y * self._weight
        integral = np.empty(y.shape[:2])
        self._kernel.loglog_integral(y, self._nodes, self._length, integral)
        return integral

    def value_and_gradient(self, values):
        """Integrals array[B, L] and derivatives array[B, P, L] with respect to the own-unit parameter values."""
        y, dy = self._spectrum.value_and_gradient(values)
        y, dy = y.reshape(-1, *self._nodes.shape), dy.reshape(*dy.shape[:2], *self._nodes.shape)
        if self._weight is not None:
            y, dy = y * self._weight, dy * self._weight
        integral, gradient = np.empty(y.shape[:2]), np.empty(dy.shape[:3])
        self._kernel.loglog_integral_gradient(y, dy, self._nodes, self._length, integral, gradient)
        return integral, gradient


class GaussIntegral:
    """Integrals over bins by Gauss-Legendre quadrature in ln(energy), and their derivatives.

    Each bin is cut into equal panels of at most 1 / `PANELS_PER_DECADE` decades with `NODES_PER_PANEL` nodes each.

    Parameters
    ----------
    bind : callable
        Gives the bound spectrum at an array of energies.
    low, high : array[L]
        Edges of the bins in TeV.
    """

    def __init__(self, bind, low, high):
        panels = int(np.ceil(np.max(np.log10(high / low)) * PANELS_PER_DECADE))
        x, w = np.polynomial.legendre.leggauss(NODES_PER_PANEL)
        x = ((np.arange(panels)[:, np.newaxis] + 0.5 * (x + 1)) / panels).ravel()
        w = np.tile(0.5 * w / panels, panels)
        log_low, size = np.log(low)[:, np.newaxis], np.log(high / low)[:, np.newaxis]
        energy = np.exp(log_low + size * x)
        self._weights = w * size * energy
        self._spectrum = bind(energy.ravel())

    def value(self, values):
        """Integrals array[B, L]."""
        y = self._spectrum.value(values)
        return np.einsum("bln,ln->bl", y.reshape(-1, *self._weights.shape), self._weights)

    def value_and_gradient(self, values):
        """Integrals array[B, L] and derivatives array[B, P, L] with respect to the own-unit parameter values."""
        y, dy = self._spectrum.value_and_gradient(values)
        shape = self._weights.shape
        integral = np.einsum("bln,ln->bl", y.reshape(-1, *shape), self._weights)
        return integral, np.einsum("bpln,ln->bpl", dy.reshape(*dy.shape[:2], *shape), self._weights)
