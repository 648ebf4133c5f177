"""Look into an evaluation: how long each kernel and each Fourier transform takes, where it stands in the evaluation itself.

::

    with Spy(likelihood) as spy:
        likelihood.value_and_gradient(theta)
    spy.seconds["fold.fold"], spy.arguments["fold.fold"]

Numbers are taken in place, with the caches as the step before left them. For the CPU only: launches on a GPU return at once.
"""

import inspect
import itertools
import time
from types import SimpleNamespace

import numpy as np

from gpudl4.likelihood import transforms

__all__ = ["Spy", "Unseen"]

TRANSFORMS = ("to_spectrum", "to_planes")


class Spy:
    """Context in which the kernels of a likelihood are timed.

    Parameters
    ----------
    likelihood : Likelihood
        On the host.

    Attributes
    ----------
    seconds : dict of list of float
        By ``stem.function`` and, for transforms, ``fft.to_spectrum`` or ``fft.to_planes``, each with "in" or "out" for the side of the PSF.
    arguments : dict of dict
        Of the last call of each kernel, by name. The arrays are the likelihood's own, not copies.
    """

    def __init__(self, likelihood):
        if likelihood.backend != "numpy":
            raise ValueError(f"a spy looks at kernels on the host, this likelihood runs on {likelihood.backend!r}")
        self._engine = likelihood.plan.evaluation.engine
        self.seconds, self.arguments = {}, {}

    def __enter__(self):
        self._kernels = self._engine.kernels
        self._engine.kernels = SimpleNamespace(**{stem: _Stem(stem, module, self) for stem, module in vars(self._kernels).items()})
        self._own = {name: getattr(transforms.HostTransforms, name) for name in TRANSFORMS}
        for name, function in self._own.items():
            setattr(transforms.HostTransforms, name, self._timed_transform(name, function))
        return self

    def __exit__(self, *_):
        self._engine.kernels = self._kernels
        for name, function in self._own.items():
            setattr(transforms.HostTransforms, name, function)

    def clear(self):
        """Forget what was measured."""
        self.seconds.clear()

    def note(self, name, begun):
        """Add a call that ends now."""
        self.seconds.setdefault(name, []).append(time.perf_counter() - begun)

    def _timed_transform(self, name, function):
        def call(own, inner):
            begun = time.perf_counter()
            function(own, inner)
            key = f"fft.{name} {'in' if inner else 'out'}"
            self.note(key, begun)
            self.arguments[key] = {"transforms": own, "inner": inner}

        return call


class _Stem:
    """A module of kernels whose functions are timed when called."""

    def __init__(self, stem, module, spy):
        self._stem, self._module, self._spy, self._calls = stem, module, spy, {}

    def __getattr__(self, name):
        if name not in self._calls:
            self._calls[name] = self._timed(name)
        return self._calls[name]

    def _timed(self, name):
        function, spy, key = getattr(self._module, name), self._spy, f"{self._stem}.{name}"
        names = tuple(inspect.signature(getattr(function, "py_func", function)).parameters)

        def call(*args):
            begun = time.perf_counter()
            function(*args)
            spy.note(key, begun)
            spy.arguments[key] = dict(zip(names, args, strict=True))

        return call


class Unseen:
    """Calls of `value_and_gradient`, `value` or `evaluate` at parameters that were not evaluated before.

    A likelihood remembers where it was last, so no two calls of one process, by whatever object, are at the same place. The steps are far
    too small to change how long a call takes.

    Parameters
    ----------
    likelihood : Likelihood
    what : {"value_and_gradient", "value"}
    batch : int, optional
        Evaluate so many parameter vectors at once instead, in a workspace of their own.
    """

    STEP = 1e-9
    _calls = itertools.count(1)

    def __init__(self, likelihood, what="value_and_gradient", batch=None):
        theta = likelihood.theta0
        self._theta = theta if batch is None else theta + self.STEP * abs(theta) * np.arange(batch)[:, np.newaxis]
        self._step = self.STEP * abs(theta)
        if batch is None:
            self._call = getattr(likelihood, what)
        else:
            workspace = likelihood.workspace(batch)
            self._call = lambda thetas: likelihood.evaluate(thetas, workspace)

    def __call__(self):
        return self._call(self._theta + next(self._calls) * self._step)
