"""Damaged files: thousands of changed copies of small good ones, each of which must be read as it was, or refused with a clear error.

`samples` writes the good files, `mutate` damages them, `child` reads the damaged ones in a process of its own, `campaign` counts what came
out::

    python -m tests.io.fuzz --hours 2        # until the time is up, from a random seed
    python -m tests.io.fuzz --number 5000    # so many
    python -m tests.io.fuzz --only map.fits:17 --keep folder   # one of them again, and keep the damaged file

Verdicts: "same", "changed" (read with other values, and the statistic is finite), "refused" (an error of gpudl4 that names the file),
"refused in use" (such an error when the data are used); everything else is a fault.
"""
