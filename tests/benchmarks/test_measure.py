"""Timings, tables and records that all benchmarks share."""

import json
import logging
import os
import subprocess
import sys
import warnings

import pytest

from benchmarks.measure import alternate, finish, markdown, milliseconds, new_record, print_machine, quiet
from tests.paths import ROOT


def test_calls_take_turns():
    order = []
    taken = alternate({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, seconds=0, least=4, burst=2)
    assert order == list("abaaabbbaaabbb")  # once each; then, in turn, one to fill caches and two that are timed
    assert {name: len(own) for name, own in taken.items()} == {"a": 4, "b": 4}
    assert all(seconds >= 0 for own in taken.values() for seconds in own)


def test_slow_calls_stop_at_the_least_number():
    calls = []
    alternate({"a": lambda: calls.append(0)}, seconds=1e9, least=1, most=10, burst=5)
    assert len(calls) == 1 + 2 * 6  # `most` ends it although the seconds are not spent


def test_milliseconds():
    assert milliseconds([0.001, 0.002, 0.004]) == "2 (1)"


def test_markdown():
    assert markdown(("name", "ms"), [("a", 1), ("long", "22.5")]) == "\n".join(
        ["| name |   ms |", "|------|-----:|", "| a    |    1 |", "| long | 22.5 |"]
    )


def test_record_names_machine_and_versions(tmp_path, capsys):
    record = new_record()
    print_machine(record)
    path = tmp_path / "new folder" / "record.json"
    finish(record, path)
    written = json.loads(path.read_text(encoding="utf-8"))
    assert written["machine"]["cores"] == os.cpu_count()
    assert written["versions"]["gpudl4"] is not None
    assert written["machine"]["load after"] == record["machine"]["load after"]
    assert f"numpy {written['versions']['numpy']}" in capsys.readouterr().out


def test_quiet_ends(caplog):
    with quiet(), warnings.catch_warnings(record=True) as caught:
        logging.getLogger("benchmark").warning("not seen")
        logging.getLogger("benchmark").error("seen")
        warnings.warn("not seen")
    logging.getLogger("benchmark").warning("seen again")
    assert [record.message for record in caplog.records] == ["seen", "seen again"]
    assert caught == []
    with pytest.warns(UserWarning, match="seen"):
        warnings.warn("seen")


LIMITS = """
import os
from benchmarks.measure import limit_cores

before = len(os.sched_getaffinity(0))
print([limit_cores(n) for n in (0, before + 1, 1)] == [before, before, 1], len(os.sched_getaffinity(0)))
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system cannot bind a process to cores")
def test_cores_can_be_limited():
    """In a process of its own: libraries count cores when they start threads, and would keep what they found."""
    done = subprocess.run([sys.executable, "-c", LIMITS], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "1"]
