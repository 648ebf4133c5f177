// Cash statistic: the statistic summed over runs of bins, its slope in each bin, and its derivative by the norm of a template.
//
// For counts n and a prediction mu (Cash 1979, ApJ 228, 939), over the bins that the mask leaves:
//
//     stat = sum 2 (mu - n ln mu)          slope = d stat / d mu = 2 (1 - n / mu)          d stat / d norm = sum slope template
//
// Edge cases: mu <= FLOOR counts as FLOOR; n <= 0 contributes 2 mu (no logarithm). Where the floor acts the statistic does not depend
// on mu and the slope is 0, except at n <= 0 and mu == 0, where it is the derivative from above, 2. Masked bins have slope 0.
//
// An item is a run of bins, items[i] = (begin, end). In `cash` and `cash_value` block (i, b) sums item i for row b of the batch.
#include "common.cuh"

constexpr double FLOOR = 1e-25;  // smallest prediction; keeps the logarithm finite

// Half of the statistic of one bin.
__device__ __forceinline__ double half_stat(double n, double mu) {
    const double m = (mu <= FLOOR) ? FLOOR : mu;
    return (n > 0.0) ? m - n * log(m) : m;
}

// Its slope.
__device__ __forceinline__ double slope_of(double n, double mu) {
    if (n > 0.0) return (mu <= FLOOR) ? 0.0 : 2.0 - 2.0 * n / mu;
    return (mu < 0.0) ? 0.0 : 2.0;
}

// counts[n_bins], mask[n_bins], mu[B, n_bins], template_[n_bins], items[n_items, 2] -> slope[B, n_bins], parts[B, n_parts]:
// the statistic of item i in column i, its derivative by the norm in column n_items + i
extern "C" __global__ void __launch_bounds__(256)
cash(const cube* __restrict__ counts, const byte* __restrict__ mask, const real* __restrict__ mu,
     const cube* __restrict__ template_, const long long* __restrict__ items, real* __restrict__ slope, double* __restrict__ parts,
     long long n_bins, long long n_parts) {
    const long long n_items = gridDim.x, i = blockIdx.x, b = blockIdx.y;
    const long long begin = items[C_SIZE * i + C_BEGIN], end = items[C_SIZE * i + C_END];
    double sums[2] = {0.0, 0.0};
    for (long long bin = begin + threadIdx.x; bin < end; bin += blockDim.x) {
        double r = 0.0;
        if (mask[bin]) {
            const double n = counts[bin], m = mu[b * n_bins + bin];
            r = slope_of(n, m);
            sums[0] += half_stat(n, m);
            sums[1] += r * template_[bin];
        }
        slope[b * n_bins + bin] = r;
    }
    block_sums(sums);
    if (threadIdx.x == 0) {
        parts[b * n_parts + i] = 2.0 * sums[0];
        parts[b * n_parts + n_items + i] = sums[1];
    }
}

// The statistic alone: counts[n_bins], mask[n_bins], mu[B, n_bins], items[n_items, 2] -> parts[B, n_parts]
extern "C" __global__ void __launch_bounds__(256)
cash_value(const cube* __restrict__ counts, const byte* __restrict__ mask, const real* __restrict__ mu,
           const long long* __restrict__ items, double* __restrict__ parts, long long n_bins, long long n_parts) {
    const long long i = blockIdx.x, b = blockIdx.y;
    const long long begin = items[C_SIZE * i + C_BEGIN], end = items[C_SIZE * i + C_END];
    double total = 0.0;
    for (long long bin = begin + threadIdx.x; bin < end; bin += blockDim.x)
        if (mask[bin]) total += half_stat(counts[bin], mu[b * n_bins + bin]);
    total = block_sum(total);
    if (threadIdx.x == 0) parts[b * n_parts + i] = 2.0 * total;
}

// Second derivatives by the prediction: counts[n_bins], mask[n_bins], mu[1, n_bins] -> expected[n_bins] = 2 / mu, which is the weight of
// the Fisher matrix, and observed[n_bins] = 2 n / mu^2, that of the Hessian; 0 in masked bins and at the floor. One thread per bin.
extern "C" __global__ void __launch_bounds__(256)
weights(const cube* __restrict__ counts, const byte* __restrict__ mask, const real* __restrict__ mu, double* __restrict__ expected,
        double* __restrict__ observed, long long n_bins) {
    const long long bin = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (bin >= n_bins) return;
    const double m = mu[bin];
    const bool counted = mask[bin] && !(m <= FLOOR);
    expected[bin] = counted ? 2.0 / m : 0.0;
    observed[bin] = counted ? 2.0 * counts[bin] / (m * m) : 0.0;
}
