// Cash statistic with a weight per bin, which takes the place of the mask: only bins of positive weight take part.
//
//     stat = sum 2 w (mu - n ln mu)          slope = d stat / d mu = 2 w (1 - n / mu)          d stat / d norm = sum slope template
//
// The floor and the edge cases are those of cash.cu. An item is a run of bins; block (i, b) sums item i for row b of the batch.
#include "common.cuh"

constexpr double FLOOR = 1e-25;  // smallest prediction; keeps the logarithm finite

// Half of the statistic of one bin of weight 1.
__device__ __forceinline__ double half_stat(double n, double mu) {
    const double m = (mu <= FLOOR) ? FLOOR : mu;
    return (n > 0.0) ? m - n * log(m) : m;
}

// Half of its slope.
__device__ __forceinline__ double half_slope(double n, double mu) {
    if (n > 0.0) return (mu <= FLOOR) ? 0.0 : 1.0 - n / mu;
    return (mu < 0.0) ? 0.0 : 1.0;
}

// counts[n_bins], weight[n_beside], mu[B, n_bins], template_[n_bins], items[n_items, 5] -> slope[B, n_bins], parts[B, n_parts]: of each
// item the statistic and its derivative by the norm, at their places
extern "C" __global__ void __launch_bounds__(256)
cash(const cube* __restrict__ counts, const cube* __restrict__ weight, const real* __restrict__ mu,
     const cube* __restrict__ template_, const long long* __restrict__ items, real* __restrict__ slope, double* __restrict__ parts,
     long long n_bins, long long n_parts) {
    const long long *item = items + O_SIZE * (long long)blockIdx.x, b = blockIdx.y;
    const long long end = item[O_END], beside = item[O_BESIDE] - item[O_BEGIN];
    double sums[2] = {0.0, 0.0};
    for (long long bin = item[O_BEGIN] + threadIdx.x; bin < end; bin += blockDim.x) {
        const double w = weight[beside + bin];
        double r = 0.0;
        if (w > 0.0) {
            const double n = counts[bin], m = mu[b * n_bins + bin];
            r = 2.0 * w * half_slope(n, m);
            sums[0] += w * half_stat(n, m);
            sums[1] += r * template_[bin];
        }
        slope[b * n_bins + bin] = r;
    }
    block_sums(sums);
    if (threadIdx.x == 0) {
        parts[b * n_parts + item[O_PART]] = 2.0 * sums[0];
        parts[b * n_parts + item[O_NORM]] = sums[1];
    }
}

// The statistic alone.
extern "C" __global__ void __launch_bounds__(256)
cash_value(const cube* __restrict__ counts, const cube* __restrict__ weight, const real* __restrict__ mu,
           const long long* __restrict__ items, double* __restrict__ parts, long long n_bins, long long n_parts) {
    const long long *item = items + O_SIZE * (long long)blockIdx.x, b = blockIdx.y;
    const long long end = item[O_END], beside = item[O_BESIDE] - item[O_BEGIN];
    double total = 0.0;
    for (long long bin = item[O_BEGIN] + threadIdx.x; bin < end; bin += blockDim.x) {
        const double w = weight[beside + bin];
        if (w > 0.0) total += w * half_stat(counts[bin], mu[b * n_bins + bin]);
    }
    total = block_sum(total);
    if (threadIdx.x == 0) parts[b * n_parts + item[O_PART]] = 2.0 * total;
}

// Second derivatives by the prediction, for one parameter vector: expected[n_bins] = 2 w / mu and observed[n_bins] = 2 w n / mu^2; 0 where
// there is no weight and at the floor.
extern "C" __global__ void __launch_bounds__(256)
weights(const cube* __restrict__ counts, const cube* __restrict__ weight, const real* __restrict__ mu,
        const long long* __restrict__ items, double* __restrict__ expected, double* __restrict__ observed) {
    const long long* item = items + O_SIZE * (long long)blockIdx.x;
    const long long end = item[O_END], beside = item[O_BESIDE] - item[O_BEGIN];
    for (long long bin = item[O_BEGIN] + threadIdx.x; bin < end; bin += blockDim.x) {
        const double w = weight[beside + bin], m = mu[bin];
        const bool counted = w > 0.0 && !(m <= FLOOR);
        expected[bin] = counted ? 2.0 * w / m : 0.0;
        observed[bin] = counted ? 2.0 * w * counts[bin] / (m * m) : 0.0;
    }
}
