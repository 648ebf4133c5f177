"""Mutants that no test can notice, and why. `run` fails for a survivor that is not listed, and for an entry that is none."""

__all__ = ["EQUIVALENT"]

# (file, line of code, change, number among equal ones): reason
EQUIVALENT = {
    ("common.cuh", "if (warp == 0) {", "warp == 0 -> true", 1): "saves work only: the other warps would add up the same numbers for nobody",
    ("mix.cu", "for (int n = 0; n < rank; n += RANKS) {", "n < rank -> n < rank + 1", 1): (
        "saves work only: one more round where the rank is a multiple of RANKS, of which nothing is stored"
    ),
}
