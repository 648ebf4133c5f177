"""The compiled likelihood: datasets and models in, value and exact gradient out. See docs/dataflow.md."""

from .compiler import compile, estimate_memory
from .gradient_check import assert_gradient
from .likelihood import Likelihood

__all__ = ["Likelihood", "assert_gradient", "compile", "estimate_memory"]
