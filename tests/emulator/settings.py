"""How kernels are executed and how much memory the device has: `configure` changes it for the length of a ``with`` block."""

import contextlib
from dataclasses import dataclass, fields

__all__ = ["ORDERS", "Settings", "configure", "settings"]

ORDERS = ("forward", "reverse", "random")


@dataclass
class Settings:
    """Settings of the emulated device.

    Attributes
    ----------
    check : bool
        Run kernels in the checking mode: races, bounds, divergence, overflow, exact byte counts. Five times slower or less.
    order : {"forward", "reverse", "random"}
        Order in which threads and blocks run.
    seed : int
        Seed of the random order.
    sampled_blocks : int
        Number of blocks per launch whose 32-byte sectors are counted (checking mode).
    memory_bytes : int
        Memory of the device.
    """

    check: bool = False
    order: str = "forward"
    seed: int = 1
    sampled_blocks: int = 2
    memory_bytes: int = 40 << 30


settings = Settings()


@contextlib.contextmanager
def configure(**changes):
    """Change settings inside a ``with`` block; the keywords are the attributes of `Settings`.

    Raises
    ------
    TypeError
        If a keyword is unknown.
    ValueError
        If the order is not one of `ORDERS`.
    """
    names = [field.name for field in fields(Settings)]
    unknown = sorted(set(changes) - set(names))
    if unknown:
        raise TypeError(f"unknown settings {', '.join(unknown)}: there are {', '.join(names)}")
    if changes.get("order", "forward") not in ORDERS:
        raise ValueError(f"order must be one of {', '.join(ORDERS)}, got {changes['order']!r}")
    before = {name: getattr(settings, name) for name in changes}
    for name, value in changes.items():
        setattr(settings, name, value)
    try:
        yield settings
    finally:
        for name, value in before.items():
            setattr(settings, name, value)
