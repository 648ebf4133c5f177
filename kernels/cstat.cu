// Cash statistic with the term in n that makes it comparable to a chi-square: summed over runs of bins, and its slope in each bin.
//
// For counts n and a prediction mu (Cash 1979; XSPEC manual, appendix B), over the bins that the mask leaves:
//
//     stat = sum 2 [mu - n + n (ln n - ln mu)]          slope = d stat / d mu = 2 (1 - n / mu)
//
// Counts and prediction are floored. Where the floor acts on mu the slope is 0, except at n <= 0 and mu >= 0, where it is 2. Close to
// agreement, with d = (mu - n) / n, the term is 2 n (d - ln(1 + d)), without a difference of like numbers. Masked bins have slope 0.
//
// An item is a run of bins, items[i] = (begin, end). Block (i, b) sums item i for row b of the batch.
#include "common.cuh"

constexpr double NEAR = 0.5;  // relative distance of prediction and counts up to which the form without a difference is taken

// Half of the statistic of one bin.
__device__ __forceinline__ double half_stat(double n, double mu, double floor) {
    const double x = (n <= floor) ? floor : n, m = (mu <= floor) ? floor : mu;
    const double d = (m - x) / x;
    return (fabs(d) < NEAR) ? x * (d - log1p(d)) : m - x + x * (log(x) - log(m));
}

// Its slope.
__device__ __forceinline__ double slope_of(double n, double mu, double floor) {
    if (mu > floor) return 2.0 - 2.0 * ((n <= floor) ? floor : n) / mu;
    return (n <= 0.0 && mu >= 0.0) ? 2.0 : 0.0;
}

// counts[n_bins], mask[n_bins], mu[B, n_bins], items[n_items, 2] -> slope[B, n_bins], parts[B, n_parts]: the statistic of item i in column i
extern "C" __global__ void __launch_bounds__(256, 2)
cstat(const cube* __restrict__ counts, const byte* __restrict__ mask, const real* __restrict__ mu, double floor,
      const long long* __restrict__ items, real* __restrict__ slope, double* __restrict__ parts, long long n_bins, long long n_parts) {
    const long long i = blockIdx.x, b = blockIdx.y;
    const long long begin = items[C_SIZE * i + C_BEGIN], end = items[C_SIZE * i + C_END];
    double total = 0.0;
    for (long long bin = begin + threadIdx.x; bin < end; bin += blockDim.x) {
        double r = 0.0;
        if (mask[bin]) {
            const double n = counts[bin], m = mu[b * n_bins + bin];
            total += half_stat(n, m, floor);
            r = slope_of(n, m, floor);
        }
        slope[b * n_bins + bin] = r;
    }
    total = block_sum(total);
    if (threadIdx.x == 0) parts[b * n_parts + i] = 2.0 * total;
}

// The statistic alone.
extern "C" __global__ void __launch_bounds__(256, 2)
cstat_value(const cube* __restrict__ counts, const byte* __restrict__ mask, const real* __restrict__ mu, double floor,
            const long long* __restrict__ items, double* __restrict__ parts, long long n_bins, long long n_parts) {
    const long long i = blockIdx.x, b = blockIdx.y;
    const long long begin = items[C_SIZE * i + C_BEGIN], end = items[C_SIZE * i + C_END];
    double total = 0.0;
    for (long long bin = begin + threadIdx.x; bin < end; bin += blockDim.x)
        if (mask[bin]) total += half_stat(counts[bin], mu[b * n_bins + bin], floor);
    total = block_sum(total);
    if (threadIdx.x == 0) parts[b * n_parts + i] = 2.0 * total;
}
