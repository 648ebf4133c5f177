"""Finds the barriers, checks and atomics of CUDA C, and makes one changed source for each of them.

What is taken away, and what stands in its place:

=========  ==================================================  =====================================================================
kind       found as                                            changed into
=========  ==================================================  =====================================================================
barrier    ``__syncthreads()``, ``__syncwarp(..)``, fences      nothing
atomic     ``atomicAdd(p, v)`` and its relatives                the same operation, not atomic
check      condition of ``if``, ``? :`` or of a ``bool``        each operand of ``&&`` and ``||`` gone; a single one always true (false,
                                                                where it leads to ``return``, ``continue`` or ``break``)
bound      condition of ``for`` and ``while``                   one step further
clamp      ``min(a, b)``, ``max(a, b)``                         ``a``, and ``b``
=========  ==================================================  =====================================================================

The reader knows the C++ that kernels are written in here, not all of C++.
"""

import re
from collections import Counter
from dataclasses import dataclass

from ..cuda_source import without_comments

__all__ = ["Mutant", "mutants"]

_BARRIER = re.compile(r"\b__(?:syncthreads|syncwarp|threadfence(?:_block)?)\s*\([^()]*\)")
_ATOMIC = re.compile(r"\batomic(Add|Sub|Max|Min|Exch|And|Or|Xor)\s*(?=\()")
_CLAMP = re.compile(r"\bf?(?:min|max)\s*\(")
_BOOL = re.compile(r"\bbool\s+\w+\s*=\s*([^;]*);")
_COMPARISON = re.compile(r"(.*[^<>=!\-])(<=|>=|<|>)(?![<>=])(.*)", re.DOTALL)
_LEAVES = re.compile(r"\s*\{?\s*(?:return|continue|break)\b")
_OPERATION = {
    "Add": "old + value",
    "Sub": "old - value",
    "Max": "value > old ? value : old",
    "Min": "value < old ? value : old",
    "Exch": "value",
    "And": "old & value",
    "Or": "old | value",
    "Xor": "old ^ value",
}


@dataclass(frozen=True)
class Mutant:
    """One change of one file.

    Attributes
    ----------
    file : str
        Such as ``"cash.cu"``.
    line : int
        Number of the line, from 1.
    kind : {"barrier", "atomic", "check", "bound", "clamp"}
    code : str
        The line as it is, without indentation and comment.
    change : str
        ``"old -> new"``.
    number : int
        1 for the first one with this code and change in the file, 2 for the second.
    text : str
        The whole source, changed.
    """

    file: str
    line: int
    kind: str
    code: str
    change: str
    number: int
    text: str

    @property
    def key(self):
        """What tells it from other mutants and stays when lines are added above: file, code, change and number."""
        return self.file, self.code, self.change, self.number

    def __str__(self):
        return f"{self.file}:{self.line}: {self.kind}: {self.change}    in `{self.code}`"


# ---- reading -------------------------------------------------------------------------------------------------------------------------
def _closing(text, start):
    """Index of the bracket that closes the one at `start`."""
    depth = 0
    for i in range(start, len(text)):
        depth += (text[i] in "([{") - (text[i] in ")]}")
        if depth == 0:
            return i
    raise ValueError(f"a bracket is never closed: {text[start : start + 60]!r}")


def _split(text, start, end, separator):
    """Spans between separators outside of brackets."""
    spans, depth, begin, i = [], 0, start, start
    while i < end:
        depth += (text[i] in "([{") - (text[i] in ")]}")
        if depth == 0 and text.startswith(separator, i):
            spans.append((begin, i))
            begin = i = i + len(separator)
        else:
            i += 1
    return [*spans, (begin, end)]


def _trimmed(text, start, end):
    """The span without white space and without brackets around the whole of it."""
    while True:
        while start < end and text[start].isspace():
            start += 1
        while start < end and text[end - 1].isspace():
            end -= 1
        if start < end and text[start] == "(" and _closing(text, start) == end - 1:
            start, end = start + 1, end - 1
        else:
            return start, end


def _start_of_condition(text, question):
    """Where the condition in front of a ``?`` begins."""
    depth = 0
    for i in range(question - 1, -1, -1):
        if text[i] in ")]":
            depth += 1
        elif text[i] in "([":
            if depth == 0:
                return i + 1
            depth -= 1
        if depth:
            continue
        assigns = text[i] == "=" and text[i + 1] != "=" and text[i - 1] not in "=!<>"
        if text[i] in "{};,?" or assigns or (text[i] == ":" and text[i - 1] != ":" and text[i + 1] != ":"):
            return i + 1
        if text.startswith("return", i) and re.match(r"return\b", text[i:]) and not re.match(r"\w", text[i - 1]):
            return i + len("return")
    return 0


# ---- conditions ----------------------------------------------------------------------------------------------------------------------
def _operands(text, start, end, values):
    """Changes (start, end, new) of a condition: each operand of && and || gone, a single one replaced by each of `values`."""
    start, end = _trimmed(text, start, end)
    for separator, neutral in (("||", "false"), ("&&", "true")):
        spans = _split(text, start, end, separator)
        if len(spans) > 1:
            return [change for span in spans for change in _operands(text, *span, (neutral,))]
    inner = _trimmed(text, start + 1, end)
    if text[start] == "!" and inner != (start + 1, end) and "(" in text[start : inner[0]]:
        return _operands(text, *inner, tuple("false" if value == "true" else "true" for value in values))
    return [(start, end, value) for value in values]


def _further(text, start, end):
    """Changes of a loop's condition: each comparison lets one more step pass."""
    changes = []
    start, end = _trimmed(text, start, end)
    for separator in ("||", "&&"):
        spans = _split(text, start, end, separator)
        if len(spans) > 1:
            return [change for span in spans for change in _further(text, *span)]
    found = _COMPARISON.fullmatch(text[start:end])
    if found:
        left, operator, right = (part.strip() for part in found.groups())
        changes.append((start, end, f"{left} {operator} {right} {'+' if '<' in operator else '-'} 1"))
    return changes


def _conditions(text):
    """(kind, start, end, new) of all conditions."""
    for match in re.finditer(r"\b(if|while|for)\s*\(", text):
        opening = match.end() - 1
        closing = _closing(text, opening)
        if match[1] == "if":
            leaves = bool(_LEAVES.match(text, closing + 1))
            after = _end_of_statement(text, closing + 1)
            has_other = bool(re.match(r"\s*else\b", text[after:]))
            values = ("true", "false") if has_other else ("false",) if leaves else ("true",)
            changes = _operands(text, opening + 1, closing, values)
            yield from (("check", *change) for change in changes)
        else:
            span = (opening + 1, closing) if match[1] == "while" else _split(text, opening + 1, closing, ";")[1]
            yield from (("bound", *change) for change in _further(text, *span))
    for match in re.finditer(r"\?", text):
        start = _start_of_condition(text, match.start())
        yield from (("check", *change) for change in _operands(text, start, match.start(), ("true", "false")))
    for match in _BOOL.finditer(text):
        yield from (("check", *change) for change in _operands(text, *match.span(1), ("true", "false")))


def _end_of_statement(text, start):
    """Index behind the statement that begins at `start`."""
    brace = re.compile(r"\s*\{").match(text, start)
    if brace:
        return _closing(text, brace.end() - 1) + 1
    return _split(text, start, len(text), ";")[0][1] + 1 if ";" in text[start:] else len(text)


# ---- all of it -----------------------------------------------------------------------------------------------------------------------
def _changes(text):
    """(kind, start, end, new) of everything that can be taken away."""
    for match in _BARRIER.finditer(text):
        yield "barrier", *match.span(), "(void)0"
    for match in _ATOMIC.finditer(text):
        yield "atomic", *match.span(), f"plain{match[1]}"
    for match in _CLAMP.finditer(text):
        closing = _closing(text, match.end() - 1)
        for start, end in _split(text, match.end(), closing, ","):
            yield "clamp", match.start(), closing + 1, f"({text[start:end].strip()})"
    yield from _conditions(text)


def _blanked(text):
    """The source without comments and directives; every character that is left stays where it was."""
    bare = without_comments(text)
    return re.sub(r"(?m)^[ \t]*#.*$", lambda match: " " * len(match.group()), bare)


def _one_line(text):
    return re.sub(r"\s+", " ", text).strip()


def mutants(file, text):
    """All mutants of a source, in the order of its lines.

    Parameters
    ----------
    file : str
        Name, for messages.
    text : str

    Returns
    -------
    list of Mutant
    """
    bare = _blanked(text)
    made, seen, numbers = [], set(), Counter()
    for kind, start, end, new in sorted(_changes(bare), key=lambda change: (change[1], change[2])):
        line = bare.count("\n", 0, start)
        changed = text[:start] + new + text[end:]
        if kind == "atomic":
            operation = _OPERATION[new.removeprefix("plain")]
            helper = f"T old = *p, value = (T)v; *p = (T)({operation}); return old;"
            changed = f"template <class T, class U> __device__ T {new}(T* p, U v) {{ {helper} }}\n{changed}"
        if changed not in seen:
            seen.add(changed)
            code, change = _one_line(bare.splitlines()[line]), f"{_one_line(bare[start:end])} -> {_one_line(new)}"
            numbers[code, change] += 1
            made.append(Mutant(file, line + 1, kind, code, change, numbers[code, change], changed))
    return made
