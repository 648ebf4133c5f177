"""Settings every test needs."""

import os
import tempfile
from pathlib import Path

# Numba's cache stays out of the package folder: a leftover there would shadow a later install.
os.environ.setdefault("NUMBA_CACHE_DIR", str(Path(tempfile.gettempdir()) / "gpudl4-numba-cache"))
os.environ.setdefault("MPLBACKEND", "Agg")
