"""Objects that refuse attributes nobody would read, so that ``model.indx = 2.7`` is an error and not a fit without that value."""

import abc

from .errors import UnknownAttributeError
from .nearest import meant

__all__ = ["Sealed"]


class _SealedType(abc.ABCMeta):
    def __call__(cls, *args, **kwargs):
        new = super().__call__(*args, **kwargs)
        vars(new)["_is_sealed"] = True
        return new


class Sealed(metaclass=_SealedType):
    """Base of classes whose objects have the attributes of their class and those that ``__init__`` made, and get no others.

    Names that begin with an underscore are the business of the class and always possible.
    """

    _is_sealed = False

    def __setattr__(self, name, value):
        if self._is_sealed and not name.startswith("_") and name not in vars(self) and not hasattr(type(self), name):
            known = [one for one in dir(self) if not one.startswith("_")]
            raise UnknownAttributeError(f"{type(self).__name__} has no attribute '{name}' that could be set{meant(name, known)}")
        super().__setattr__(name, value)
