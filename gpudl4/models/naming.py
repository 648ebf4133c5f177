"""Names for models and datasets that were not given one."""

import secrets

from ..core.errors import ModelError

__all__ = ["make_name"]


def make_name(name=None):
    """The name itself, or eight random URL-safe characters when it is None.

    Raises
    ------
    ModelError
        If the name is not a string.
    """
    if name is None:
        name = "_"
        while name[0] in "_-":
            name = secrets.token_urlsafe(6)
    if not isinstance(name, str):
        raise ModelError(f"a name must be a string, got {name!r} of type {type(name).__name__}")
    return name
