// W statistic: Poisson counts over a Poisson background that was measured beside them; value, slope and second derivatives per bin.
//
// Counts n in the on region and m in the off region, alpha times less exposed, and a predicted signal s. The background b expected in
// the off region is profiled, on = s + alpha b:
//
//     stat = sum 2 [on + b - n ln on - m ln b] - 2 n (1 - ln n) - 2 m (1 - ln m)          slope = d stat / d s = 2 (1 - n / on)
//
// With w = alpha / (1 + alpha), C = w (n + m) - s, E = w (n + m) + s and D^2 = C^2 + 4 w m s = E^2 - 4 w n s:
//
//     b = (C + D) / (2 alpha) = 2 m s / ((1 + alpha) (D - C))          on = (E + D) / 2 = 2 w n s / (E - D)
//
// of which the form without a difference of like numbers is taken. The signal may be negative. Where that drives `on` to its border 0
// the slope is (2 / alpha) (m / b - 1). Where alpha is not positive, and in masked bins, statistic and slope are 0. See wstat.py.
//
// An item is a run of bins; block (i, b) sums item i for row b of the batch.
#include "common.cuh"

constexpr double FLOOR = 1e-25;  // expected counts at which a bin has no weight
constexpr double TINY = 1e-300;  // smallest expected counts a logarithm is taken of

// One bin that takes part: what was measured, and the counts expected in the on and the off region.
struct Bin {
    double n_on, n_off, alpha, on, off;
};

__device__ __forceinline__ Bin profiled(double n_on, double n_off, double alpha, double signal) {
    const double w = alpha / (1.0 + alpha), c = w * (n_on + n_off) - signal, e = w * (n_on + n_off) + signal;
    const double d = (signal >= 0.0) ? sqrt(c * c + 4.0 * w * n_off * signal) : sqrt(e * e - 4.0 * w * n_on * signal);
    Bin bin = {n_on, n_off, alpha, 0.0, 0.0};
    bin.on = (e >= 0.0) ? 0.5 * (e + d) : 2.0 * w * n_on * signal / (e - d);
    bin.off = (c >= 0.0) ? 0.5 * (c + d) / alpha : 2.0 * n_off * signal / ((1.0 + alpha) * (d - c));
    return bin;
}

// Half of a Poisson term: counts n where x are expected.
__device__ __forceinline__ double half_poisson(double n, double x) {
    return (n > 0.0) ? x + n * (log(n / ((x > TINY) ? x : TINY)) - 1.0) : x;
}

// Derivative of the statistic by the signal.
__device__ __forceinline__ double slope_of(const Bin& bin) {
    if (bin.n_on > 0.0) return 2.0 - 2.0 * bin.n_on / ((bin.on > TINY) ? bin.on : TINY);
    if (bin.on <= 0.0 && bin.off > 0.0) return 2.0 / bin.alpha * (bin.n_off / bin.off - 1.0);
    return 2.0;
}

// counts[n_bins], counts_off[n_beside], alpha[n_beside], mask[n_bins], mu[B, n_bins], items[n_items, 5] -> slope[B, n_bins],
// parts[B, n_parts]: the statistic of each item at its place
extern "C" __global__ void __launch_bounds__(256)
wstat(const cube* __restrict__ counts, const cube* __restrict__ counts_off, const cube* __restrict__ alpha,
      const byte* __restrict__ mask, const real* __restrict__ mu, const long long* __restrict__ items, real* __restrict__ slope,
      double* __restrict__ parts, long long n_bins, long long n_parts) {
    const long long *item = items + O_SIZE * (long long)blockIdx.x, b = blockIdx.y;
    const long long end = item[O_END], beside = item[O_BESIDE] - item[O_BEGIN];
    double total = 0.0;
    for (long long a = item[O_BEGIN] + threadIdx.x; a < end; a += blockDim.x) {
        double r = 0.0;
        if (mask[a]) {
            const double ratio = alpha[beside + a];
            if (ratio > 0.0) {
                const Bin bin = profiled(counts[a], counts_off[beside + a], ratio, mu[b * n_bins + a]);
                total += half_poisson(bin.n_on, bin.on) + half_poisson(bin.n_off, bin.off);
                r = slope_of(bin);
            }
        }
        slope[b * n_bins + a] = r;
    }
    total = block_sum(total);
    if (threadIdx.x == 0) parts[b * n_parts + item[O_PART]] = 2.0 * total;
}

// The statistic alone.
extern "C" __global__ void __launch_bounds__(256)
wstat_value(const cube* __restrict__ counts, const cube* __restrict__ counts_off, const cube* __restrict__ alpha,
            const byte* __restrict__ mask, const real* __restrict__ mu, const long long* __restrict__ items,
            double* __restrict__ parts, long long n_bins, long long n_parts) {
    const long long *item = items + O_SIZE * (long long)blockIdx.x, b = blockIdx.y;
    const long long end = item[O_END], beside = item[O_BESIDE] - item[O_BEGIN];
    double total = 0.0;
    for (long long a = item[O_BEGIN] + threadIdx.x; a < end; a += blockDim.x) {
        if (mask[a]) {
            const double ratio = alpha[beside + a];
            if (ratio > 0.0) {
                const Bin bin = profiled(counts[a], counts_off[beside + a], ratio, mu[b * n_bins + a]);
                total += half_poisson(bin.n_on, bin.on) + half_poisson(bin.n_off, bin.off);
            }
        }
    }
    total = block_sum(total);
    if (threadIdx.x == 0) parts[b * n_parts + item[O_PART]] = 2.0 * total;
}

// Second derivatives by the signal, for one parameter vector: expected[n_bins] = 2 / (on + alpha^2 b), the weight of the Fisher matrix, and
// observed[n_bins] = 2 n m / (n (alpha b)^2 + m on^2), that of the Hessian; 0 in masked bins. At a border the term that is left counts.
extern "C" __global__ void __launch_bounds__(256, 2)
wstat_weights(const cube* __restrict__ counts, const cube* __restrict__ counts_off, const cube* __restrict__ alpha,
              const byte* __restrict__ mask, const real* __restrict__ mu, const long long* __restrict__ items,
              double* __restrict__ expected, double* __restrict__ observed) {
    const long long* item = items + O_SIZE * (long long)blockIdx.x;
    const long long end = item[O_END], beside = item[O_BESIDE] - item[O_BEGIN];
    for (long long a = item[O_BEGIN] + threadIdx.x; a < end; a += blockDim.x) {
        double fisher = 0.0, exact = 0.0;
        const double ratio = alpha[beside + a];
        if (mask[a] && ratio > 0.0) {
            const Bin bin = profiled(counts[a], counts_off[beside + a], ratio, mu[a]);
            const double background = ratio * bin.off, variance = bin.on + ratio * background;
            if (variance > FLOOR) {
                fisher = 2.0 / variance;
                if (bin.n_on > 0.0) {
                    if (bin.off <= 0.0)
                        exact = 2.0 * bin.n_on / (bin.on * bin.on);
                    else
                        exact = 2.0 * bin.n_on * bin.n_off / (bin.n_on * background * background + bin.n_off * bin.on * bin.on);
                } else if (bin.on <= 0.0) {
                    exact = 2.0 * bin.n_off / (background * background);
                }
            }
        }
        expected[a] = fisher;
        observed[a] = exact;
    }
}
