"""What the emulator raises. A test expects `KernelError` for what a GPU would do silently, `TransferError` for what a guard forbids."""

__all__ = ["CUDARuntimeError", "CuFFTError", "EmulatorError", "KernelError", "OutOfMemoryError", "TransferError"]


class EmulatorError(RuntimeError):
    """The emulator was asked for something that it does not do, or that CUDA does not allow."""


class TransferError(EmulatorError):
    """A transfer, synchronisation, allocation or launch that the surrounding `guard` does not allow."""


class KernelError(EmulatorError):
    """A kernel that does not compile, cannot be launched as asked, or was caught in a race, out of bounds, at a divergent barrier."""


class CUDARuntimeError(EmulatorError):
    """A failed call of the CUDA runtime; the double's ``cupy.cuda.runtime.CUDARuntimeError``."""


class CuFFTError(RuntimeError):
    """A failed call of cuFFT; the double's ``cupy.cuda.cufft.CuFFTError``.

    Parameters
    ----------
    result : int
        cuFFT's number of the error.
    """

    NAMES = {2: "CUFFT_ALLOC_FAILED", 4: "CUFFT_INVALID_VALUE"}

    def __init__(self, result):
        super().__init__(self.NAMES[result])
        self.result = result

    def __reduce__(self):
        return type(self), (self.result,)


class OutOfMemoryError(MemoryError):
    """The device's memory, as set by ``configure(memory_bytes=...)``, is used up; ``cupy.cuda.memory.OutOfMemoryError``."""
