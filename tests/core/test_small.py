"""Errors, units, registry and progress."""

import pytest

from gpudl4.core import errors
from gpudl4.core.errors import GPUDL4Error, ModelError, UnitMismatchError
from gpudl4.core.progress import Progress
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


def test_progress_prints_plain_lines_off_a_terminal(capsys, monkeypatch):
    with Progress("fit", enabled=True) as bar:
        bar._last = -1e9
        bar.update("stat 1.0")
        bar.update("stat 0.9")
    assert capsys.readouterr().err == "fit: stat 1.0\n"


def test_progress_is_silent_unless_enabled(capsys):
    with Progress("fit") as bar:
        bar._last = -1e9
        bar.update("stat 1.0")
    assert capsys.readouterr().err == ""
