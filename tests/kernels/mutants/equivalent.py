"""Mutants that no test can notice, and why. `run` fails for a survivor that is not listed, and for an entry that is none."""

__all__ = ["EQUIVALENT"]

# (file, line of code, change, number among equal ones): reason
EQUIVALENT = {
    ("common.cuh", "if (warp == 0) {", "warp == 0 -> true", 1): "saves work only: the other warps would add up the same numbers for nobody",
    ("mix.cu", "for (int k = first_k + 1; k <= last_k; ++k) {", "k <= last_k -> k <= last_k + 1", 1): (
        "saves work only: a wider range of true bins, in which the energy dispersion is 0"
    ),
    (
        "mix.cu",
        "for (int j = 0; j < BINS; ++j) total[j] += matrix[l * n_reco + min(first_k + j, last_k)] * value;",
        "min(first_k + j, last_k) -> (first_k + j)",
        1,
    ): "sums of bins that the item has not are stored nowhere; it keeps within the matrix",
    (
        "mix.cu",
        "for (int j = 0; j < BINS; ++j)",
        "j < BINS -> j < BINS + 1",
        1,
    ): "an item has no more than BINS bins, which the next line asks",
    ("mix.cu", "for (int n = 0; n < rank; n += RANKS) {", "n < rank -> n < rank + 1", 1): (
        "saves work only: one more round where the rank is a multiple of RANKS, of which nothing is stored"
    ),
}
