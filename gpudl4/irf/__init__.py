"""Reduced instrument responses (DL4): point spread functions and energy dispersion on the sky, and what they are at a position."""

from .edisp import EDispKernelMap, EDispMap
from .edisp_kernel import EDispKernel
from .psf import PSFMap, RecoPSFMap
from .psf_kernel import PSFKernel, psf_kernel_array

__all__ = ["EDispKernel", "EDispKernelMap", "EDispMap", "PSFKernel", "PSFMap", "RecoPSFMap", "psf_kernel_array"]
