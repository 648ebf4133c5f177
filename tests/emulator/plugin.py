"""Pytest plugin: every call of CuPy that the double saw during a session must fit the signatures of the installed CuPy.

The top ``conftest.py`` turns it on with ``pytest_plugins = ["tests.emulator.plugin"]``. At the end of the session a call that CuPy would
refuse is shown with the test that made it first, and the session fails. Without a CuPy wheel nothing is compared, and a line says so.
"""

import importlib.util

import pytest

from . import calls, parity

__all__ = ["complaints"]

_found = pytest.StashKey[list]()


def complaints():
    """Sentences about the calls recorded so far that CuPy would refuse."""
    made = calls.all_calls()
    return [
        f"{call.name} with {call.positional} positional arguments and keywords {', '.join(call.keywords) or 'none'}: {why}\n"
        f"    first called by {made[call] or 'code outside of tests'}"
        for call, why in parity.unbindable(sorted(made))
    ]


def pytest_sessionfinish(session, exitstatus):
    if importlib.util.find_spec("cupy") is None or not calls.all_calls():
        return
    session.config.stash[_found] = complaints()
    if session.config.stash[_found] and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter, config):
    made = calls.all_calls()
    if not made:
        return
    if _found not in config.stash:
        terminalreporter.write_line(f"{len(made)} ways of calling CuPy were recorded and not compared: no CuPy wheel is installed")
        return
    wrong = config.stash[_found]
    if wrong:
        terminalreporter.section("calls that CuPy would refuse", red=True)
        for sentence in wrong:
            terminalreporter.write_line(sentence)
    terminalreporter.write_line(
        f"{len(made)} ways of calling CuPy were recorded, {len(wrong)} do not fit the installed CuPy", red=bool(wrong)
    )
