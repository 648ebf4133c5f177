"""What a fit found and how sure it is: numbers, the reason it stopped, and what to look at when it did not converge."""

import html
from dataclasses import dataclass, field

import numpy as np

__all__ = ["FitResult"]

STRONG_CORRELATION = 0.98


@dataclass(frozen=True, eq=False)
class FitResult:
    """Result of a fit.

    Attributes
    ----------
    success : bool
        True only if the fit converged: the minimum's own criterion, MIGRAD's verdict and the final recompilation all agree, every free
        parameter is constrained by the data, and every error is finite.
    message : str
        Why the fit stopped.
    total_stat : float
        Fit statistic at the minimum; equals ``datasets.stat_sum()`` afterwards.
    names : tuple of str
        Free parameters as ``model.parameter``.
    values, errors : float64 array[P]
        In the parameters' own units. The error of a parameter that no data constrain, or only together with others, is NaN.
    covariance_matrix : float64 array[P, P] or None
        None if only `Fit.optimize` was run.
    covariance_kind : str
        "hessian" (observed second derivative), "fisher" (expected one), or "none".
    models : Models
    parameters : Parameters
        All parameters of the models, now at the minimum.
    nfev, ngrad : int
        Calls of the statistic, and how many of them gave the gradient as well.
    n_fisher, n_compile : int
        Fisher matrices and compilations.
    edm : float
        Estimated distance to the minimum, in units of the statistic.
    condition_number : float
        Of the correlation matrix; above 1e8 parameters are all but degenerate.
    at_bounds, at_kinks, unconstrained : tuple of str
        Parameters on a bound; positions on a pixel border where the statistic has a kink; parameters no data constrain, alone
        or at all.
    bounds : float64 array[P, 2]
    backend : str
        Where the likelihood ran.
    wall_time : float
        Seconds, compilation included.
    hints : tuple of str
        Advice when something looks wrong.
    units : tuple of str
        Of the free parameters.
    trace : list of dict
        Accepted steps, if asked for with ``store_trace=True``.
    dtype : str
        Precision of the predicted counts, "float64" or "float32".
    """

    success: bool
    message: str
    total_stat: float
    names: tuple
    values: np.ndarray
    errors: np.ndarray
    covariance_matrix: np.ndarray | None
    covariance_kind: str
    models: object
    parameters: object
    nfev: int
    ngrad: int
    n_fisher: int
    n_compile: int
    edm: float
    condition_number: float
    at_bounds: tuple
    at_kinks: tuple
    unconstrained: tuple
    bounds: np.ndarray
    backend: str
    wall_time: float
    hints: tuple = ()
    units: tuple = ()
    trace: list = field(default_factory=list, repr=False)
    dtype: str = "float64"

    def _rows(self):
        """Table rows: name, value, error, unit, note."""
        for i, name in enumerate(self.names):
            notes = []
            if name in self.at_bounds:
                notes.append("at bound")
            if name in self.at_kinks:
                notes.append("at pixel border")
            if name in self.unconstrained:
                notes.append("not constrained")
            yield (
                name,
                _value(self.values[i], self.errors[i]),
                _number(self.errors[i], 3),
                self.units[i] if self.units else "",
                ", ".join(notes),
            )

    def _summary(self):
        yield "success", str(self.success)
        yield "message", self.message
        yield "total stat", f"{self.total_stat:.3f}"
        yield "evaluations", f"{self.nfev} (gradients {self.ngrad}, Fisher matrices {self.n_fisher}, compilations {self.n_compile})"
        yield "edm", f"{self.edm:.2g}"
        yield "errors from", {"hessian": "observed Hessian", "fisher": "Fisher matrix", "none": "not computed"}[self.covariance_kind]
        yield "condition number", f"{self.condition_number:.3g}"
        yield "precision", self.dtype
        yield "ran on", f"{self.backend}, {self.wall_time:.2f} s"

    def __str__(self):
        lines = ["FitResult", ""]
        lines += [f"  {key:<17}: {value}" for key, value in self._summary()]
        rows = list(self._rows())
        if rows:
            header = ("parameter", "value", "error", "unit", "")
            widths = [max(len(r[i]) for r in [header, *rows]) for i in range(5)]
            lines.append("")
            for row in [header, *rows]:
                left = f"  {row[0]:<{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]:<{widths[3]}}  {row[4]}"
                lines.append(left.rstrip())
        if self.hints:
            lines.append("")
            lines += [f"  - {hint}" for hint in self.hints]
        return "\n".join(lines) + "\n"

    def _repr_html_(self):
        """Table for notebooks; what needs attention is red."""
        summary = "".join(
            f"<tr><th style='text-align:left'>{html.escape(k)}</th><td>{html.escape(v)}</td></tr>" for k, v in self._summary()
        )
        body = ""
        for name, value, error, unit, note in self._rows():
            style = " style='color:#b00020'" if note else ""
            cells = "".join(f"<td>{html.escape(x)}</td>" for x in (name, value, error, unit, note))
            body += f"<tr{style}>{cells}</tr>"
        head = "<tr><th>parameter</th><th>value</th><th>error</th><th>unit</th><th></th></tr>"
        hints = "".join(f"<li>{html.escape(h)}</li>" for h in self.hints)
        return f"<b>FitResult</b><table>{summary}</table><table>{head}{body}</table>" + (f"<ul>{hints}</ul>" if hints else "")

    def to_dict(self):
        """Plain numbers and strings, for JSON."""
        return {
            "success": bool(self.success),
            "message": self.message,
            "total_stat": float(self.total_stat),
            "parameters": [
                {
                    "name": name,
                    "value": float(self.values[i]),
                    "error": float(self.errors[i]) if np.isfinite(self.errors[i]) else None,
                    "unit": self.units[i] if self.units else "",
                    "min": float(self.bounds[i, 0]) if np.isfinite(self.bounds[i, 0]) else None,
                    "max": float(self.bounds[i, 1]) if np.isfinite(self.bounds[i, 1]) else None,
                }
                for i, name in enumerate(self.names)
            ],
            "covariance": None if self.covariance_matrix is None else np.nan_to_num(self.covariance_matrix).tolist(),
            "covariance_kind": self.covariance_kind,
            "nfev": self.nfev,
            "ngrad": self.ngrad,
            "n_fisher": self.n_fisher,
            "n_compile": self.n_compile,
            "edm": float(self.edm),
            "condition_number": float(self.condition_number) if np.isfinite(self.condition_number) else None,
            "at_bounds": list(self.at_bounds),
            "at_kinks": list(self.at_kinks),
            "unconstrained": list(self.unconstrained),
            "hints": list(self.hints),
            "backend": self.backend,
            "dtype": self.dtype,
            "wall_time": float(self.wall_time),
        }


def _number(value, digits=6):
    return "nan" if not np.isfinite(value) else f"{value:.{digits}g}"


def _value(value, error):
    """The value with two digits of its error, so that nothing the data say is cut off."""
    if not (np.isfinite(value) and np.isfinite(error) and error > 0 and value != 0):
        return _number(value)
    digits = int(np.ceil(np.log10(abs(value) / error))) + 2
    return _number(value, min(max(digits, 3), 12))


def strong_correlations(names, covariance):
    """Pairs of names whose correlation exceeds `STRONG_CORRELATION` in absolute value, with the correlation."""
    sigma = np.sqrt(np.diag(covariance))
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = covariance / np.outer(sigma, sigma)
    pairs = np.argwhere(np.triu(np.abs(np.nan_to_num(correlation)) > STRONG_CORRELATION, k=1))
    return [(names[i], names[j], float(correlation[i, j])) for i, j in pairs]
