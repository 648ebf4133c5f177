"""The compiled likelihood: datasets and models in, value and exact gradient out. See docs/dataflow.md."""

from .gradient_check import assert_gradient
from .plan import Likelihood, compile, estimate_memory

__all__ = ["Likelihood", "assert_gradient", "compile", "estimate_memory"]
