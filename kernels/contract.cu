// The last step of an evaluation: statistic and gradient from partial sums.
//
// Everything that is summed over pixels stands in parts; what the host knows of spectra, positions and norms stands in params. An entry
// adds to its output
//
//     sum_a sum_l u[a] v[l] sum_chunks parts[a, l, chunk]
//
// with u and v from params. Output i is the sum of entries ranges[i] .. ranges[i + 1]: 0 is the statistic, the others the gradient. Block
// (i, b) makes output i for row b of the batch; every thread takes the same share of each entry, so the order of summation is fixed.
#include "common.cuh"

// entries[n, E_SIZE], ranges[n_out + 1], params[B, n_params], parts[B, n_parts] -> out[B, n_out]
extern "C" __global__ void __launch_bounds__(256)
contract(const long long* __restrict__ entries, const long long* __restrict__ ranges, const double* __restrict__ params,
         const double* __restrict__ parts, double* __restrict__ out, long long n_params, long long n_parts) {
    const long long n_out = gridDim.x, i = blockIdx.x, b = blockIdx.y;
    params += b * n_params;
    parts += b * n_parts;
    double total = 0.0;
    for (long long e = ranges[i]; e < ranges[i + 1]; ++e) {
        const long long* entry = entries + E_SIZE * e;
        const double *u = params + entry[E_U], *v = params + entry[E_V], *part = parts + entry[E_PART];
        const int n_v = entry[E_N_V], chunks = entry[E_CHUNKS], n = entry[E_N_U] * n_v * chunks;
        for (int j = threadIdx.x; j < n; j += blockDim.x) {
            const int pair = j / chunks;
            total += u[pair / n_v] * v[pair % n_v] * part[j];
        }
    }
    total = block_sum(total);
    if (threadIdx.x == 0) out[b * n_out + i] = total;
}
