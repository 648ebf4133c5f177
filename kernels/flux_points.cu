// Statistics of flux points, one by one: value, slope and second derivatives by the predicted flux. See flux_points.py.
//
// With f the predicted flux, a point counts, by its kind:
//
//     CHI2      ((f - data) / error)^2                                       numbers: data, error
//     SIDED     the same with errn where f < data, and errp where it is not  numbers: data, errn, errp
//     LIMIT     2 ln [erfc(x) / erfc(1)],  x = (limit - f) / limit           numbers: limit
//     PROFILE   c2 t^2 + c1 t + c0,  t = f / reference - begin               numbers: reference, low, high, (c2, c1, c0) of each piece
//
// Of a profile, the value is infinite where the norm f / reference is not in low .. high. SIDED and LIMIT count 0, with no slope, where
// their value is NaN. With h = -d ln erfc / dx a limit has the slope 2 h / limit and the second derivative 2 h (2 x - h) / limit^2; from
// x = FAR on h = 2 (x + r), with r from Laplace's continued fraction of erfc.
//
// One thread per point and row b of the batch.
#include "common.cuh"

constexpr double FAR = 3.0;                            // x from which the continued fraction is used
constexpr int TERMS = 30;                              // of the fraction
constexpr double LOG_ERFC_ONE = -1.8496055099332482;   // ln erfc(1)
constexpr double LOG_SQRT_PI = 0.5723649429247001;     // ln sqrt(pi)
constexpr double SLOPE = 1.1283791670955126;           // 2 / sqrt(pi)

// What a point counts, and its derivatives by the flux.
struct Stat {
    double value, slope, curvature;
};

__device__ __forceinline__ Stat gauss(double flux, double data, double error) {
    const double pull = (flux - data) / error;
    return {pull * pull, 2.0 * pull / error, 2.0 / (error * error)};
}

__device__ __forceinline__ Stat limited(double flux, double limit) {
    const double x = (limit - flux) / limit;
    double log_tail, h, rest;  // ln erfc(x), minus its derivative, and h - 2 x
    if (x < FAR) {
        const double tail = erfc(x);
        log_tail = log(tail);
        h = SLOPE * exp(-x * x) / tail;
        rest = h - 2.0 * x;
    } else {
        double r = 0.0;
        for (int k = TERMS; k > 0; --k) r = 0.5 * k / (x + r);
        log_tail = -x * x - log(x + r) - LOG_SQRT_PI;
        h = 2.0 * (x + r);
        rest = 2.0 * r;
    }
    return {2.0 * (log_tail - LOG_ERFC_ONE), 2.0 * h / limit, (h > 0.0) ? -2.0 * h * rest / (limit * limit) : 0.0};
}

// begins[pieces]: where the pieces begin; own: reference, low, high, and three coefficients of each piece.
__device__ __forceinline__ Stat profiled(double flux, const double* own, const double* begins, int pieces) {
    const double reference = own[0], norm = flux / reference;
    int low = 0, high = pieces;
    while (high - low > 1) {
        const int middle = (low + high) / 2;
        const bool right = norm >= begins[middle];
        low = right ? middle : low;
        high = right ? high : middle;
    }
    const double t = norm - begins[low], *c = own + 3 + 3 * low;
    const bool outside = norm < own[1] || norm > own[2];
    const double value = (c[0] * t + c[1]) * t + c[2];
    return {outside ? __longlong_as_double(0x7ff0000000000000LL) : value, (2.0 * c[0] * t + c[1]) / reference, 2.0 * c[0] / (reference * reference)};
}

__device__ __forceinline__ Stat stat_of(const long long* point, const double* numbers, double flux) {
    const long long kind = point[Q_KIND];
    const double* own = numbers + point[Q_NUMBERS];
    if (kind == POINT_PROFILE) return profiled(flux, own, numbers + point[Q_BEGINS], point[Q_PIECES]);
    Stat found;
    if (kind == POINT_LIMIT) {
        found = limited(flux, own[0]);
    } else {
        const bool above = kind == POINT_SIDED && flux >= own[0];
        found = gauss(flux, own[0], above ? own[2] : own[1]);
    }
    const bool unknown = kind != POINT_CHI2 && found.value != found.value;
    return unknown ? Stat{0.0, 0.0, 0.0} : found;
}

// points[n_points, Q_SIZE], numbers[...], params[B, n_params] -> parts[B, n_parts]: statistic and slope of every point at their places
extern "C" __global__ void __launch_bounds__(256, 2)
flux_points(const long long* __restrict__ points, const double* __restrict__ numbers, const double* __restrict__ params,
            double* __restrict__ parts, long long n_points, long long n_params, long long n_parts) {
    const long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x, b = blockIdx.y;
    if (i >= n_points) return;
    const long long* point = points + Q_SIZE * i;
    const Stat found = stat_of(point, numbers, params[b * n_params + point[Q_FLUX]]);
    parts[b * n_parts + point[Q_VALUE]] = found.value;
    parts[b * n_parts + point[Q_SLOPE]] = found.slope;
}

// The statistic alone.
extern "C" __global__ void __launch_bounds__(256, 2)
flux_points_value(const long long* __restrict__ points, const double* __restrict__ numbers, const double* __restrict__ params,
                  double* __restrict__ parts, long long n_points, long long n_params, long long n_parts) {
    const long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x, b = blockIdx.y;
    if (i >= n_points) return;
    const long long* point = points + Q_SIZE * i;
    parts[b * n_parts + point[Q_VALUE]] = stat_of(point, numbers, params[b * n_params + point[Q_FLUX]]).value;
}

// Second derivatives: observed[B, n_points], and expected[B, n_points], which is that where it is positive, else that of the parabola with
// this value and slope and its minimum at 0.
extern "C" __global__ void __launch_bounds__(256, 2)
flux_points_weights(const long long* __restrict__ points, const double* __restrict__ numbers, const double* __restrict__ params,
                    double* __restrict__ expected, double* __restrict__ observed, long long n_points, long long n_params) {
    const long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x, b = blockIdx.y;
    if (i >= n_points) return;
    const long long* point = points + Q_SIZE * i;
    const Stat found = stat_of(point, numbers, params[b * n_params + point[Q_FLUX]]);
    const double parabola = (found.value > 0.0) ? found.slope * found.slope / (2.0 * found.value) : 0.0;
    expected[b * n_points + i] = (found.curvature > 0.0) ? found.curvature : parabola;
    observed[b * n_points + i] = found.curvature;
}
