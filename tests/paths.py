"""Where the real DL4 files lie that some tests use; those tests skip where the folder is absent."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def shared_data(*parts):
    """Path of a real data file; skips the calling test when it is not there.

    ``GPUDL4_TEST_DATA`` names the folder; the default lies beside the repository.
    """
    path = Path(os.environ.get("GPUDL4_TEST_DATA", ROOT.parent / "shared" / "data")).joinpath(*parts)
    if not path.exists():
        pytest.skip(f"real data not found: {'/'.join(parts)} (set GPUDL4_TEST_DATA)")
    return path
