"""The last step of an evaluation: statistic and gradient from partial sums.

Everything that is summed over pixels stands in ``parts``; what the host knows of spectra, positions and norms stands in ``params``. An
entry of the gradient is

    sum_a sum_l u[a] v[l] sum_chunks parts[a, l, chunk]

with u and v from params: for a spectral parameter v is the derivative of the flux per true energy, for the position of a point u is the
derivative of the weights of four pixels and v the flux, for the norm of a background v is the derivative of the norm.
"""

from ._compiled import compiled
from .tables import E_CHUNKS, E_N_U, E_N_V, E_PART, E_U, E_V


@compiled
def contract(entries, ranges, params, parts, out):
    """Add partial sums in a fixed order.

    Parameters
    ----------
    entries : int64[n, 6]
        See `tables`.
    ranges : int64[n_out + 1]
        Entries ``ranges[i] .. ranges[i + 1]`` belong to output i: 0 is the statistic, the others the gradient.
    params : float64[B, n_params]
    parts : float64[B, n_parts]
    out : float64[B, n_out]
        Output.
    """
    for b in range(out.shape[0]):
        for i in range(out.shape[1]):
            total = 0.0
            for e in range(ranges[i], ranges[i + 1]):
                u, v, p = entries[e, E_U], entries[e, E_V], entries[e, E_PART]
                n_v, chunks = entries[e, E_N_V], entries[e, E_CHUNKS]
                for a in range(entries[e, E_N_U]):
                    part = 0.0
                    for j in range(n_v):
                        s = 0.0
                        for c in range(chunks):
                            s += parts[b, p + (a * n_v + j) * chunks + c]
                        part += params[b, v + j] * s
                    total += params[b, u + a] * part
            out[b, i] = total
