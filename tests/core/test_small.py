"""Errors, units, registry and progress."""

import io
import threading
import time

import pytest

from gpudl4.core import errors
from gpudl4.core.errors import GPUDL4Error, ModelError, UnitMismatchError
from gpudl4.core.progress import PAUSE, Progress
from gpudl4.core.registry import Registry
from gpudl4.core.units import conversion_factor


def test_every_error_is_a_gpudl4_error():
    for name in errors.__all__:
        assert issubclass(getattr(errors, name), GPUDL4Error)
    assert issubclass(errors.DataFileError, ValueError)
    assert issubclass(errors.MissingFileError, errors.DataFileError)
    assert issubclass(errors.MissingFileError, FileNotFoundError)
    assert issubclass(errors.OutputError, OSError)


def test_conversion_factor():
    assert conversion_factor("m2 s", "cm2 s") == pytest.approx(1e4)
    assert conversion_factor("MeV-1 cm-2 s-1", "TeV-1 cm-2 s-1") == pytest.approx(1e6)
    with pytest.raises(UnitMismatchError, match="exposure of 'x' has unit 'TeV', which does not convert to 'cm2 s'"):
        conversion_factor("TeV", "cm2 s", "exposure of 'x'")


def test_registry_finds_by_tag():
    class PowerLaw:
        tag = ["PowerLawSpectralModel", "pl"]

    class Single:
        tag = "single"

    registry = Registry([PowerLaw, Single], kind="spectral model")
    assert registry.get_cls("pl") is PowerLaw
    assert registry.get_cls("single") is Single
    with pytest.raises(ModelError, match="unknown spectral model 'nope'; known: PowerLawSpectralModel, single"):
        registry.get_cls("nope")
    assert "PowerLaw" in str(registry)


def test_progress_prints_lines_off_a_terminal_while_a_step_takes_long(capsys):
    with Progress("fit", total=7, enabled=True, pause=0.05) as bar:
        bar.update("stat 1.0")
        time.sleep(0.4)  # no step
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) > 2
    assert set(lines) == {"fit: 0 min, 1 of 7, stat 1.0"}
    time.sleep(0.2)
    assert capsys.readouterr().err == ""  # it has ended


def test_progress_comes_once_a_minute(capsys, monkeypatch):
    assert PAUSE == 60
    with Progress("fit", enabled=True) as bar:
        for _ in range(100):
            bar.update("stat 1.0")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("stream", ["closed", "none"])
def test_progress_on_a_stream_that_is_closed(monkeypatch, stream):
    file = io.StringIO()
    file.close()
    monkeypatch.setattr("sys.stderr", file if stream == "closed" else None)
    with Progress("fit", enabled=True, pause=0.01) as bar:
        bar.update("stat 1.0")
        time.sleep(0.1)
        assert "progress of fit" in [thread.name for thread in threading.enumerate()]  # it has not stopped over that


def test_progress_is_silent_unless_enabled(capsys):
    with Progress("fit", pause=0.01) as bar:
        bar.update("stat 1.0")
        time.sleep(0.05)
    assert capsys.readouterr().err == ""
