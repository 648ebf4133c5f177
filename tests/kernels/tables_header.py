"""Writes ``kernels/tables.cuh``, the columns of the integer tables for CUDA, from ``kernels/tables.py``: ``make tables``."""

import ast

from .cuda_source import FOLDER, read

__all__ = ["header"]

HEAD = """\
// Columns of the integer tables. Made from tables.py, which says what each of them means: edit that file and run `make tables`.
// A row of a table begins at `table + PREFIX_SIZE * row`.
#pragma once

"""
WIDTH = 130


def columns(python):
    """Groups of names, one per table, and the names that stand for a column once more.

    Parameters
    ----------
    python : str
        Text of ``tables.py``: tuples of names that are a ``range``, and single names that are a number.

    Returns
    -------
    groups : list of list of str
    others : dict
        Name to number.
    """
    groups, others = [], {}
    for node in ast.parse(python).body:
        if isinstance(node, ast.Assign):
            (target,) = node.targets
            if isinstance(target, ast.Tuple):
                groups.append([name.id for name in target.elts])
            elif target.id.isupper():
                others[target.id] = ast.literal_eval(node.value)
    return groups, others


def header(python):
    """Text of ``tables.cuh``."""
    groups, others = columns(python)
    text = HEAD
    for group in groups:
        prefix = group[0].split("_")[0]
        again = [f"{name} = {number}" for name, number in others.items() if name.split("_")[0] == prefix]
        words = [*group, f"{prefix}_SIZE", *again]
        line = f"enum {{ {', '.join(words)} }};"
        if len(line) > WIDTH:
            line = "enum {\n" + "".join(f"    {word},\n" for word in words) + "};"
        text += line + "\n"
    return text


if __name__ == "__main__":
    (FOLDER / "tables.cuh").write_text(header(read("tables.py")), encoding="utf-8")
