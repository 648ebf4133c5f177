"""Plot tests need matplotlib."""

import pytest

pytest.importorskip("matplotlib.pyplot")
