"""How far wstat is off in a fit, without a fit: its derivative at the true parameters, averaged over all Poisson counts.

wstat gives each bin a background of its own, the one that fits best. With few off counts the derivative of what is left does not have the
mean 0 that a likelihood without such extra parameters has. Summed over bins, and times the covariance of the fit, this is the bias of the
fitted parameters to first order; the spread of the derivative gives the width of the pulls. Both come from sums over counts, not from
simulations, so that the pulls of `benchmarks/pulls.py` can be compared with what they have to be.

::

    python benchmarks/wstat_bias.py      # both, and how much signal lies in weak bins without off counts, for all cases with off counts
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from benchmarks.cases import library
from benchmarks.measure import markdown
from benchmarks.pull_cases import CASES

__all__ = ["derivatives", "main", "predict", "weak_signal"]

TAIL = 1e-11  # probability of counts beyond those that are summed
STEP = 1e-4  # relative change of a parameter for the derivative of the predicted counts
TINY = 1e-100


def derivatives(signal, background, alpha, model=None):
    """Expected derivative of half of wstat by the predicted signal of one bin.

    With the background ``b`` that fits best, half of wstat is ``s + b - n_on ln(s + b) + b / alpha - n_off ln(b / alpha)``. As it is
    stationary in ``b``, its derivative is ``1 - n_on / (s + b)``; the second one has ``db/ds`` from the same condition.

    Parameters
    ----------
    signal, background : float
        True expected counts in the on region.
    alpha : float
        Ratio of the acceptances, on / off.
    model : float, optional
        Signal where the derivative is taken, the true one if None.

    Returns
    -------
    tuple of float
        Mean and variance of the first derivative, mean of the second.
    """
    model = signal if model is None else model
    on, p_on = _counts(signal + background)
    off, p_off = _counts(background / alpha)
    on, weight = on[:, np.newaxis], p_on[:, np.newaxis] * p_off
    ratio = 1 + 1 / alpha
    free = on + off - ratio * model
    root = np.sqrt(free**2 + 4 * ratio * off * model)
    best = np.where(free >= 0, (free + root) / (2 * ratio), 2 * off * model / np.where(free < 0, root - free, 1))  # no cancellation
    total = np.maximum(model + best, TINY)
    first = 1 - on / total
    by_on, by_off = on / total**2, np.where(off > 0, off / np.maximum(best, TINY) ** 2, 0)
    second = np.where(best > 1e-9 * total, by_on * by_off / np.maximum(by_on + by_off, TINY), by_on)
    mean = (weight * first).sum()
    return mean, (weight * first**2).sum() - mean**2, (weight * second).sum()


def _counts(mean):
    """Counts of a Poisson distribution but for its tails, and their probabilities."""
    from scipy.stats import poisson

    counts = np.arange(max(0, int(poisson.ppf(TAIL, mean))), int(poisson.isf(TAIL, mean)) + 2)
    return counts, poisson.pmf(counts, mean)


def predict(case, lib):
    """Mean and width of the pulls of a case.

    Parameters
    ----------
    case : Case
        See `benchmarks.pull_cases`.
    lib : namespace
        Names of the package.

    Returns
    -------
    dict
        {name of parameter: (mean, width)}; empty where the fit has no off counts.
    """
    datasets = _expected(case, lib)
    if any(not hasattr(dataset, "counts_off") for dataset in datasets):
        return {}
    names, score, spread, fisher = [], 0, 0, 0
    for dataset in datasets:
        free = {f"{model.name}.{p.name}": p for model in dataset.models for p in model.parameters if not p.frozen}
        names = list(free)
        chosen = dataset.mask.data
        slopes = np.array([_slope(dataset, p)[chosen] for p in free.values()])
        mean, variance, second = _each(*_bins(dataset))
        score, spread, fisher = score + slopes @ mean, spread + (slopes * variance) @ slopes.T, fisher + (slopes * second) @ slopes.T
    covariance = np.linalg.inv(fisher)
    error = np.sqrt(np.diag(covariance))
    means = -(covariance @ score) / error
    widths = np.sqrt(np.diag(covariance @ spread @ covariance)) / error
    return {name: (float(mean), float(width)) for name, mean, width in zip(names, means, widths, strict=True)}


def weak_signal(case, lib):
    """Signal that is expected in weak bins without off counts, those with less than alpha / (1 + alpha) counts of it.

    Parameters
    ----------
    case, lib
        As for `predict`.

    Returns
    -------
    dict
        ``bins`` (int), expected share ``empty`` of them without off counts, expected counts ``weak`` in such bins, and in ``all``.
    """
    bins = [np.stack(_bins(dataset)) for dataset in _expected(case, lib)]
    signal, background, alpha, _ = np.concatenate(bins, axis=1)
    empty = np.exp(-background / alpha)
    weak = (signal * empty)[signal < alpha / (1 + alpha)].sum()
    return {"bins": signal.size, "empty": float(empty.mean()), "weak": float(weak), "all": float(signal.sum())}


def _bins(dataset):
    """Expected signal and background, alpha, and predicted signal of the fitted bins of a dataset with expected counts."""
    chosen = dataset.mask.data
    alpha = dataset.alpha.data[chosen].astype(float)
    background = alpha * dataset.counts_off.data[chosen]
    return np.maximum(dataset.counts.data[chosen] - background, 0), background, alpha, _signal(dataset)[chosen]


def _each(*bins):
    """`derivatives` of many bins, array[3, bin]; those that are the same to 7 digits, by the symmetry of a map, are worked out once."""
    bins = np.stack(bins, axis=1)
    scale = 10.0 ** np.floor(np.log10(np.maximum(np.abs(bins), TINY)) - 6)
    different, where = np.unique(np.round(bins / scale) * scale, axis=0, return_inverse=True)
    return np.array([derivatives(*values) for values in different])[where.ravel()].T


def _expected(case, lib):
    """The datasets of a case with expected counts instead of drawn ones."""
    dataset = case.build(lib)
    if case.background is None:
        return [dataset]
    background = case.background(lib).background
    level = background.data.astype(float)
    new = type(dataset.counts).from_geom
    dataset.counts = new(dataset.counts.geom, data=_signal(dataset) + level)
    dataset.counts_off = new(dataset.counts.geom, data=level / dataset.alpha.data)
    return case.datasets(lib, dataset, background)


def _signal(dataset):
    return dataset.npred_signal().data.astype(float)


def _slope(dataset, parameter):
    """Derivative of the predicted counts by a parameter."""
    value = parameter.value
    step = STEP * abs(value)
    parameter.value = value + step
    above = _signal(dataset)
    parameter.value = value - step
    below = _signal(dataset)
    parameter.value = value
    return (above - below) / (2 * step)


def main():
    """Print a table of all cases with off counts."""
    lib, rows = library("gpudl4"), []
    for name, case in CASES.items():
        if not (predicted := predict(case, lib)) or name.endswith("-double"):
            continue
        signal = weak_signal(case, lib)
        ratio = signal["weak"] / np.sqrt(signal["all"])
        means = [f"{mean:.3f}" for mean, _ in predicted.values()]
        numbers = [f"{signal['bins']}", f"{100 * signal['empty']:.0f}", f"{signal['weak']:.2g}", f"{signal['all']:.0f}", f"{ratio:.2g}"]
        rows.append((case.text.removesuffix(", float32"), *numbers, *means))
    header = ["dataset", "bins", "no off, %", "weak signal without off", "all signal", "weak / sqrt(all)", "pull of index", "of amplitude"]
    print(markdown(header, rows))


if __name__ == "__main__":
    main()
