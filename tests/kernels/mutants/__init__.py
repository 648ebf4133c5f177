"""Mutants: each barrier, check and atomic of the .cu files is taken away in turn, and the tests of that file must fail (``make mutate``).

`make` finds what can be taken away, `run` runs the tests without it, `equivalent` lists what no test can notice, with the reasons.
"""
