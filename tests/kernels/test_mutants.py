"""The search for mutants finds everything that can be taken away, and the verdicts are right. All mutants of all files: ``make mutate``."""

import re

import pytest

from tests import emulator

from . import cuda_source
from .mutants import run
from .mutants.equivalent import EQUIVALENT
from .mutants.make import mutants

FILES = run.files()


def changes(code):
    """Pairs (kind, change) of a piece of code."""
    return [(mutant.kind, mutant.change) for mutant in mutants("f.cu", code)]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("__syncthreads();", [("barrier", "__syncthreads() -> (void)0")]),
        ("__syncwarp(FULL_WARP);", [("barrier", "__syncwarp(FULL_WARP) -> (void)0")]),
        ("old = atomicAdd(&n[i], 1);", [("atomic", "atomicAdd -> plainAdd")]),
        ("if (i < n) x[i] = 1;", [("check", "i < n -> true")]),
        ("if (i >= n) return;", [("check", "i >= n -> false")]),
        ("if (y < 0 || y >= ny) { continue; }", [("check", "y < 0 -> false"), ("check", "y >= ny -> false")]),
        ("if (a < n && !(b < m)) x = 1;", [("check", "a < n -> true"), ("check", "b < m -> false")]),
        ("if (a(i, j) && (b || c)) x = 1;", [("check", "a(i, j) -> true"), ("check", "b -> false"), ("check", "c -> false")]),
        ("if (a) { x = 1; } else y = 1;", [("check", "a -> true"), ("check", "a -> false")]),
        ("double v = i < n ? x[i] : 0.0;", [("check", "i < n -> true"), ("check", "i < n -> false")]),
        ("f(a, (i < n) ? x[i] : 0.0);", [("check", "i < n -> true"), ("check", "i < n -> false")]),
        ("return p ? a : b;", [("check", "p -> true"), ("check", "p -> false")]),
        ("const bool in = i >= 0 && i < n;", [("check", "i >= 0 -> true"), ("check", "i < n -> true")]),
        ("for (int i = 0; i < n; ++i) x[i] = 1;", [("bound", "i < n -> i < n + 1")]),
        ("for (int i = n - 1; i >= 0 && i > m; --i) ;", [("bound", "i >= 0 -> i >= 0 - 1"), ("bound", "i > m -> i > m - 1")]),
        ("while (low + 1 < high) low = 1;", [("bound", "low + 1 < high -> low + 1 < high + 1")]),
        ("a = min(n, i + 1);", [("clamp", "min(n, i + 1) -> (n)"), ("clamp", "min(n, i + 1) -> (i + 1)")]),
        ("// if (i < n) return;\n#if X < 2\n/* __syncthreads(); */", []),
    ],
)
def test_what_can_be_taken_away(code, expected):
    assert changes(code) == expected


def test_a_mutant_is_the_source_with_one_change():
    first, second = mutants("f.cu", "// comment\nif (i < n)  // in range\n    x[i] = min(a, 1);")[:2]
    assert first.text == "// comment\nif (true)  // in range\n    x[i] = min(a, 1);"
    assert second.text == "// comment\nif (i < n)  // in range\n    x[i] = (a);"
    assert (first.line, first.code) == (2, "if (i < n)")
    assert str(second) == "f.cu:3: clamp: min(a, 1) -> (a)    in `x[i] = min(a, 1);`"


def test_equal_mutants_are_numbered():
    keys = [mutant.key for mutant in mutants("f.cu", "__syncthreads();\n__syncthreads();")]
    assert keys == [("f.cu", "__syncthreads();", "__syncthreads() -> (void)0", number) for number in (1, 2)]


def test_an_atomic_becomes_the_same_operation():
    (mutant,) = mutants("f.cu", "atomicMax(p, 3);")
    assert mutant.text.endswith("\nplainMax(p, 3);")
    assert "value > old ? value : old" in mutant.text.splitlines()[0]


@pytest.mark.parametrize("file", FILES)
def test_nothing_is_overlooked(file):
    """Every word that can hide a check has at least one mutant on its line."""
    text = cuda_source.read(file)
    lines = {mutant.line for mutant in mutants(file, text)}
    words = re.compile(r"\b(if|while|for|min|max|__sync\w+|atomic\w+)\s*\(|\?")
    bare = re.sub(r"(?m)^[ \t]*#.*$", "", cuda_source.without_comments(text))
    missing = [number for number, line in enumerate(bare.splitlines(), 1) if words.search(line) and number not in lines]
    assert missing == []


@pytest.mark.parametrize("file", FILES)
def test_every_source_has_tests(file):
    assert run.tests_of(file).is_file()


def test_equivalent_mutants_exist_and_have_a_reason():
    keys = {mutant.key for file in FILES for mutant in mutants(file, cuda_source.read(file))}
    assert set(EQUIVALENT) <= keys
    assert all(len(reason) > 20 for reason in EQUIVALENT.values())


def test_verdicts():
    listed, other = (
        next(m for m in mutants("common.cuh", cuda_source.read("common.cuh")) if (m.key in EQUIVALENT) is wanted)
        for wanted in (True, False)
    )
    passed, failed, broken = (run.Outcome(result, "log", 1.0) for result in ("passed", "failed", "broken"))
    assert run.judge([listed, other], [passed, failed]) == []
    assert run.judge([other], [run.Outcome("timeout", "", 9.0)]) == []
    (survives,) = run.judge([other], [passed])
    assert survives.startswith("SURVIVES: common.cuh:")
    assert "the tests notice it" in run.judge([listed], [failed])[0]
    assert run.judge([other], [broken])[0].endswith("log")


@pytest.mark.skipif(emulator.missing_requirement() is not None, reason=str(emulator.missing_requirement()))
def test_the_tests_run_on_the_changed_source(monkeypatch, tmp_path):
    """The source as it is passes, one without a barrier fails, one that does not compile is no mutant."""
    text = cuda_source.read("common.cuh")
    barrier = next(mutant for mutant in mutants("common.cuh", text) if mutant.kind == "barrier")
    outcomes = run.run_tests("common.cuh", [text, barrier.text, text + "\nnonsense"], workers=2)
    assert [outcome.result for outcome in outcomes] == ["passed", "failed", "broken"]
    assert "DATA RACE in shared memory" in outcomes[1].log
    assert run.run_tests("common.cuh", [text], seconds=0.01)[0].result == "timeout"
