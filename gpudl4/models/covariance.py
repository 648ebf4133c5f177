"""Covariance of parameters, and the rule by which models share it.

The errors of the parameters are the truth for the diagonal: a model's covariance is computed when asked for, from the matrix that was set
last and the errors as they are now. Where an error was changed since, the correlations of that parameter are dropped.
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
        _put_block(self._data, index, covar.data)

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


def _put_block(data, index, block):
    place = np.ix_(index, index)
    # variances of amplitudes are of order 1e-26: only a relative comparison means something
    if not np.allclose(data[place], block, rtol=1e-9, atol=0, equal_nan=True):
        data[index, :] = 0
        data[:, index] = 0
    data[place] = block


class HasCovariance:
    """Gives a model or a collection of models a `covariance`. A class that uses it has ``parameters`` and ``_submodels``."""

    _submodels = ()
    _stored_covariance = None

    @property
    def covariance(self):
        """Covariance of the parameters; setting it (array[P, P] or `Covariance`) sets the parameters' errors."""
        parameters = self.parameters
        stored = self._stored_covariance
        known = stored is not None and stored.parameters == parameters
        data = stored.data.copy() if known else np.zeros((len(parameters), len(parameters)))
        if self._submodels:
            blocks = [model.covariance for model in self._submodels]
        else:
            blocks = [Covariance([p], [[p.error**2]]) for p in parameters]
        for block in blocks:
            index = [parameters.index(p) for p in block.parameters]
            if known:
                _put_block(data, index, block.data)
            else:
                data[np.ix_(index, index)] = block.data
        return Covariance(parameters, data)

    @covariance.setter
    def covariance(self, value):
        covariance = Covariance(self.parameters, value.data if isinstance(value, Covariance) else value)
        self._stored_covariance = covariance
        for model in self._submodels:
            model.covariance = covariance.get_subcovariance(model.parameters).data
        if not self._submodels:
            for parameter, variance in zip(covariance.parameters, np.diag(covariance.data), strict=True):
                parameter.error = np.sqrt(variance)
