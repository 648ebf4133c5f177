"""Covariance of parameters, and the rule by which models share it.

Every parameter remembers the covariance that was set on it last, together with those it was set with. So any collection of models, a part
of one, or a copy knows the correlations between its parameters: there is no list of models that alone holds them. The errors are the truth
for the diagonal. Where an error was changed since, or set with other parameters, the old correlations of that parameter are dropped.
"""

import numpy as np

from ..core.errors import ModelError
from .parameters import Parameters

__all__ = ["Covariance"]


class Covariance:
    """Covariance matrix of a list of parameters, in their own units.

    Parameters
    ----------
    parameters : Parameters
    data : array[P, P], optional
        Default: diagonal, from the parameters' errors. A linked parameter uses its first row and column; the others stay zero.
    """

    def __init__(self, parameters, data=None):
        self.parameters = parameters if isinstance(parameters, Parameters) else Parameters(parameters)
        if data is None:
            data = np.diag([p.error**2 for p in self.parameters]) if len(self.parameters) else np.zeros((0, 0))
        self.data = data

    @property
    def shape(self):
        """(P, P)."""
        return len(self.parameters), len(self.parameters)

    @property
    def data(self):
        """Matrix, float64 array[P, P]."""
        return self._data

    @data.setter
    def data(self, value):
        value = np.array(value, dtype=np.float64)
        if value.shape != self.shape:
            raise ModelError(f"a covariance of shape {self.shape} was wanted for the parameters, got {value.shape}")
        self._data = value

    @classmethod
    def from_stack(cls, covar_list):
        """Block matrix of several covariances, zero between them."""
        covariances = list(covar_list)
        covariance = cls(Parameters.from_stack([c.parameters for c in covariances]))
        for block in covariances:
            covariance.set_subcovariance(block)
        return covariance

    @classmethod
    def from_free(cls, parameters, matrix):
        """Expand the matrix of the free unique parameters: zero for frozen ones and for repeated links.

        Parameters
        ----------
        parameters : Parameters
            All parameters.
        matrix : array[F, F]
            In the order of ``parameters.free_unique_parameters``.
        """
        parameters = parameters if isinstance(parameters, Parameters) else Parameters(parameters)
        index = [parameters.index(p) for p in parameters.free_unique_parameters]
        matrix = np.asarray(matrix, dtype=np.float64)
        if matrix.shape != (len(index), len(index)):
            raise ModelError(f"{len(index)} free parameters need a matrix of shape {(len(index), len(index))}, got {matrix.shape}")
        data = np.zeros((len(parameters), len(parameters)))
        data[np.ix_(index, index)] = matrix
        return cls(parameters, data)

    def get_subcovariance(self, parameters):
        """Covariance of some of the parameters, given as objects, names or numbers."""
        index = [self.parameters.index(p) for p in parameters]
        return Covariance(Parameters(self.parameters[i] for i in index), self._data[np.ix_(index, index)])

    def set_subcovariance(self, covar):
        """Replace a block; where it differs from the old one, the correlations with other parameters become zero."""
        index = [self.parameters.index(p) for p in covar.parameters]
        place = np.ix_(index, index)
        if not np.allclose(self._data[place], covar.data, rtol=1e-9, atol=0, equal_nan=True):
            self._data[index, :] = 0
            self._data[:, index] = 0
        self._data[place] = covar.data

    @property
    def expanded(self):
        """Matrix in which a linked parameter has its row and column at each of its places, array[P, P]: what errors are propagated with."""
        first = {}
        rows = [first.setdefault(id(p), place) for place, p in enumerate(self.parameters)]
        return self._data[np.ix_(rows, rows)]

    @property
    def correlation(self):
        """Correlation matrix, 0 where an error is 0."""
        error = np.sqrt(np.diag(self._data))
        scale = np.outer(error, error)
        return np.divide(self._data, scale, out=np.zeros_like(self._data), where=scale > 0)

    def plot_correlation(self, figsize=None, **kwargs):
        """Draw the correlation matrix; see `gpudl4.plot.models.plot_correlation`."""
        from ..plot.models import plot_correlation

        return plot_correlation(self, figsize, **kwargs)

    def __array__(self, dtype=None, copy=None):
        return np.array(self._data, dtype=dtype)

    def __str__(self):
        return str(self._data)


class _Record:
    """A covariance matrix that was set on several parameters at once; copies of the parameters made together share a copy of it."""

    def __init__(self, matrix):
        self.matrix = matrix

    def __deepcopy__(self, memo):
        return _Record(self.matrix)  # the matrix is never written again


class _Share:
    """A parameter's row in a `_Record`, and the factor by which its unit has changed since."""

    def __init__(self, record, row, factor=1.0):
        self.record, self.row, self.factor = record, row, factor

    def scaled(self, factor):
        """The same row for a parameter in another unit."""
        return _Share(self.record, self.row, self.factor * factor)

    def holds(self, error):
        """Whether the parameter's error is still the one that was set."""
        variance = self.record.matrix[self.row, self.row] * self.factor**2
        # variances of amplitudes are of order 1e-26: only a relative comparison means something
        return bool(np.isclose(error**2, variance, rtol=1e-9, atol=0, equal_nan=True))


def _known(parameters):
    """Covariance of parameters as they remember it, array[P, P]; of a repeated one in its first row and column."""
    data, records, seen = np.zeros((len(parameters), len(parameters))), {}, set()
    for place, parameter in enumerate(parameters):
        if id(parameter) in seen:
            continue
        seen.add(id(parameter))
        share = parameter._share
        if share is not None and share.holds(parameter.error):
            records.setdefault(id(share.record), (share.record.matrix, []))[1].append((place, share))
        else:
            data[place, place] = parameter.error**2
    for matrix, members in records.values():
        places, shares = zip(*members, strict=True)
        rows, factors = [share.row for share in shares], np.array([share.factor for share in shares])
        data[np.ix_(places, places)] = matrix[np.ix_(rows, rows)] * np.outer(factors, factors)
    return data


def _remember(parameters, data):
    """Set the errors of parameters and let them remember how they are correlated."""
    same = np.allclose(_known(parameters), data, rtol=1e-9, atol=0, equal_nan=True)  # then correlations with others hold as well
    record, seen = _Record(data), set()
    for row, parameter in enumerate(parameters):
        if id(parameter) in seen:
            continue
        seen.add(id(parameter))
        parameter.error = np.sqrt(data[row, row])
        if not same:
            parameter._share = _Share(record, row)


class HasCovariance:
    """Gives a model or a collection of models a `covariance`. A class that uses it has ``parameters``."""

    @property
    def covariance(self):
        """Covariance of the parameters; setting it (array[P, P] or `Covariance`) sets the parameters' errors."""
        parameters = self.parameters
        return Covariance(parameters, _known(parameters))

    @covariance.setter
    def covariance(self, value):
        covariance = Covariance(self.parameters, value.data if isinstance(value, Covariance) else value)
        _remember(covariance.parameters, covariance.data)
