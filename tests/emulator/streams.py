"""Streams, events, graphs and the device: all of them there, all of them immediate, counted where the host would wait."""

import time

from .array import synchronise
from .calls import record
from .counters import active_counters
from .devices import NUMBER, current, require_process
from .errors import CUDARuntimeError, EmulatorError
from .guard import capture
from .memory import MemoryPool
from .settings import settings

__all__ = ["Device", "Event", "Graph", "Stream", "get_current_stream", "get_elapsed_time", "runtime_functions"]


class Graph:
    """A captured sequence of launches; ``launch()`` runs it again on the same arrays."""

    def __init__(self, nodes):
        self.nodes = nodes

    def launch(self, stream=None):
        record("cupy.cuda.Graph.launch", 0, [] if stream is None else ["stream"])
        for counters in active_counters:
            counters.graph_launches += 1
        for node in self.nodes:
            node()

    def upload(self, stream=None):
        """Nothing to prepare."""


class Event:
    """A point in a stream; the time is that of the emulation and means nothing."""

    def __init__(self, block=True, disable_timing=False, interprocess=False):
        self.time = 0.0

    def record(self, stream=None):
        self.time = time.perf_counter()

    def synchronize(self):
        synchronise("Event.synchronize")

    @property
    def done(self):
        return True


class Stream:
    """A stream; work is done the moment it is enqueued."""

    null = None

    def __init__(self, null=False, non_blocking=False, ptds=False, priority=None):
        self.ptr = 0 if null else id(self)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        """Nothing to restore: there is one queue."""

    def use(self):
        return self

    def synchronize(self):
        record("cupy.cuda.Stream.synchronize", 0)
        synchronise("Stream.synchronize")

    def record(self, event=None):
        event = event or Event()
        event.record(self)
        return event

    def wait_event(self, event):
        """Everything before has happened."""

    def is_capturing(self):
        return capture.active

    def begin_capture(self, mode=None):
        record("cupy.cuda.Stream.begin_capture", 0, [] if mode is None else ["mode"])
        if self.ptr == 0:
            raise EmulatorError("cudaErrorStreamCaptureUnsupported: the null stream cannot be captured")
        if capture.active:
            raise EmulatorError("cudaErrorIllegalState: a capture is running already")
        capture.nodes = []

    def end_capture(self):
        record("cupy.cuda.Stream.end_capture", 0)
        if not capture.active:
            raise EmulatorError("cudaErrorIllegalState: no capture is running")
        nodes, capture.nodes = capture.nodes, None
        return Graph(nodes)


Stream.null = Stream(null=True)


def get_current_stream(device_id=-1):
    return Stream.null


def get_elapsed_time(start_event, end_event):
    return (end_event.time - start_event.time) * 1e3


class Device:
    """One of the devices; without a number the current one."""

    compute_capability = "80"
    attributes = {"MultiProcessorCount": 108, "MaxThreadsPerBlock": 1024, "MaxSharedMemoryPerBlock": 49152}

    def __init__(self, device=None):
        record("cupy.cuda.Device", 0 if device is None else 1)
        self.id = current.device if device is None else int(device)
        self._before = []
        if not 0 <= self.id < NUMBER:
            raise CUDARuntimeError("cudaErrorInvalidDevice: invalid device ordinal")

    def __int__(self):
        return self.id

    def __enter__(self):
        self._before.append(current.device)
        self.use()
        return self

    def __exit__(self, *exception):
        current.device = self._before.pop()

    def __eq__(self, other):
        return isinstance(other, Device) and self.id == other.id

    def __hash__(self):
        return self.id

    def __repr__(self):
        return f"<CUDA Device {self.id}>"

    def use(self):
        require_process()
        current.device = self.id

    def synchronize(self):
        record("cupy.cuda.Device.synchronize", 0)
        synchronise("Device.synchronize")

    @property
    def mem_info(self):
        with self:
            return settings.memory_bytes - MemoryPool().used_bytes(), settings.memory_bytes


def _device_properties(device):
    return {"name": b"gpudl4 emulator", "multiProcessorCount": 108, "major": 8, "minor": 0, "totalGlobalMem": settings.memory_bytes}


runtime_functions = {
    "CUDARuntimeError": CUDARuntimeError,
    "is_hip": False,
    "getDeviceCount": lambda: NUMBER,
    "getDevice": lambda: current.device,
    "deviceSynchronize": lambda: synchronise("deviceSynchronize"),
    "runtimeGetVersion": lambda: 13020,
    "driverGetVersion": lambda: 13020,
    "getDeviceProperties": _device_properties,
    "memGetInfo": lambda: Device().mem_info,
}
