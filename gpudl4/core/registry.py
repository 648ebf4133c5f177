"""A registry is a list of classes that can be looked up by tag, as models files name them."""

from .errors import ModelError

__all__ = ["Registry"]


class Registry(list):
    """List of classes with a ``tag`` (a string or a list of strings)."""

    def __init__(self, classes=(), kind="model"):
        super().__init__(classes)
        self.kind = kind

    def get_cls(self, tag):
        """Class with the given tag or class name.

        Raises
        ------
        ModelError
            If no class has the tag; the message lists the known ones.
        """
        for cls in self:
            tags = [cls.tag] if isinstance(cls.tag, str) else cls.tag
            if tag in tags:
                return cls
        known = ", ".join(sorted(cls.tag if isinstance(cls.tag, str) else cls.tag[0] for cls in self))
        raise ModelError(f"unknown {self.kind} {tag!r}; known: {known}")

    def __str__(self):
        return "\n".join(f"{cls.__name__}: {cls.tag}" for cls in self)
