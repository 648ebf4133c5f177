// Gaussian on the sphere: integrals over pixels, their derivative images, and sums of a slope times these derivatives.
//
// A pixel is a group of unit vectors (its subpixel centres, or its own centre) in the frame of the model and one weight (solid angle of
// the pixel divided by the number of subpixels); its integral is the weight times the sum of the density over the group. With n0 the
// centre, D = 1 - cos(separation) = |n - n0|^2 / 2, u and v the components of n along east and north at n0, the density is
//
//     N exp(-D / (2 a)),    a = 1 - cos(sigma_eff)
//     e == 0:  sigma_eff = sigma,                                  N = 1 / (4 pi a (1 - exp(-1 / a)))
//     e > 0:   sigma_eff = sigma sqrt((1 - e^2) / (1 - e^2 c^2)),   N = 1 / (2 pi sigma^2 sqrt(1 - e^2))
//
// where c = (v cos(phi) + u sin(phi)) / sqrt(u^2 + v^2). Derivatives for e and phi at e == 0 are their limits from above, 0. A Gaussian
// without extent (sigma < SMALLEST or e >= 1) misses all pixel centres: its image and derivatives are 0. Outside its window an image is 0.
//
// An item is a run of rows of one box or window. Block (i, b) works on item i for row b of the batch, its threads on pixels. The columns
// of the tables are explained in tables.py.
#include "common.cuh"

constexpr double PI = 3.141592653589793;
constexpr double SMALLEST = 1e-20;    // radian; keeps everything that is divided by sigma^4 finite
constexpr double SAME_PLACE = 1e-40;  // squared distance from the centre below which there is no direction
constexpr double SERIES_BELOW = 0.3;  // square of the angle below which seven terms of a series are exact to rounding
constexpr double C2 = 0.041666666666666664;  // 1 / (2 n)!, of the series of the cosine
constexpr double C3 = 0.001388888888888889;
constexpr double C4 = 2.48015873015873e-05;
constexpr double C5 = 2.755731922398589e-07;
constexpr double C6 = 2.08767569878681e-09;
constexpr double C7 = 1.1470745597729725e-11;

// What all pixels share. x0, y0, z0 is the centre, ex, ey (and 0) east, nx, ny, nz north; `circular` says that e == 0.
// Circular: half = 1 / (2 a), and d ln(density) / d sigma = by_sigma + by_sigma_d D. Elongated: q = 1 - e^2, minor2 = sigma^2 q.
struct Gaussian {
    bool exists, circular;
    double norm, x0, y0, z0, ex, ey, nx, ny, nz, sin_lat, cos_lat;
    double half, by_sigma, by_sigma_d;
    double e, q, inverse_q, inverse_sigma, minor2, sin_phi, cos_phi;
};

// Not sin() and cos(): they have code for huge angles, which needs a stack.
__device__ __forceinline__ double sine(double angle) { return sinpi(angle * (1.0 / PI)); }
__device__ __forceinline__ double cosine(double angle) { return cospi(angle * (1.0 / PI)); }

__device__ __forceinline__ double one_minus_cos(double angle) {
    const double half = sine(0.5 * angle);
    return 2.0 * half * half;
}

// From longitude, latitude, sigma, e, phi. One thread makes it for its block.
__device__ __forceinline__ void make_gaussian(const double* p, Gaussian& g) {
    const double sigma = p[2];
    g.e = p[3];
    g.exists = sigma >= SMALLEST && g.e < 1.0;
    g.circular = g.e == 0.0;
    g.norm = g.half = g.by_sigma = g.by_sigma_d = 0.0;
    g.q = 1.0 - g.e * g.e;
    g.inverse_q = g.inverse_sigma = g.minor2 = 0.0;
    if (g.exists) {
        if (g.circular) {
            const double a = one_minus_cos(sigma), lost = exp(-1.0 / a);
            g.norm = 1.0 / (4.0 * PI * a * (1.0 - lost));
            g.half = 0.5 / a;
            g.by_sigma = sine(sigma) * (lost / (a * a * (1.0 - lost)) - 1.0 / a);  // d ln(norm) / d sigma
            g.by_sigma_d = sine(sigma) * g.half / a;
        } else {
            g.inverse_q = 1.0 / g.q;
            g.inverse_sigma = 1.0 / sigma;
            g.minor2 = sigma * sigma * g.q;
            g.norm = 1.0 / (2.0 * PI * sigma * sqrt(g.minor2));
        }
    }
    const double sin_lon = sine(p[0]), cos_lon = cosine(p[0]);
    g.sin_lat = sine(p[1]);
    g.cos_lat = cosine(p[1]);
    g.sin_phi = sine(p[4]);
    g.cos_phi = cosine(p[4]);
    g.x0 = g.cos_lat * cos_lon;
    g.y0 = g.cos_lat * sin_lon;
    g.z0 = g.sin_lat;
    g.ex = -sin_lon;
    g.ey = cos_lon;
    g.nx = -g.sin_lat * cos_lon;
    g.ny = -g.sin_lat * sin_lon;
    g.nz = g.cos_lat;
}

// 1 - cos(sqrt(x)); a series without root and sine where it has all digits.
__device__ __forceinline__ double one_minus_cos_of_square(double x) {
    if (x < SERIES_BELOW) {
        const double s = C3 - x * (C4 - x * (C5 - x * (C6 - x * C7)));
        return x * (0.5 - x * (C2 - x * s));
    }
    return one_minus_cos(sqrt(x));
}

// sqrt(x) sin(sqrt(x)); a series where it has all digits.
__device__ __forceinline__ double angle_times_sine(double x) {
    if (x < SERIES_BELOW) {
        const double s = 6.0 * C3 - x * (8.0 * C4 - x * (10.0 * C5 - x * (12.0 * C6 - x * (14.0 * C7))));
        return x * (1.0 - x * (4.0 * C2 - x * s));
    }
    const double root = sqrt(x);
    return root * sine(root);
}

// A direction: D, u and v.
struct Direction {
    double d, u, v;
};

__device__ __forceinline__ Direction from_centre(const Gaussian& g, const double* n) {
    const double dx = n[0] - g.x0, dy = n[1] - g.y0, dz = n[2] - g.z0;
    return Direction{0.5 * (dx * dx + dy * dy + dz * dz), dx * g.ex + dy * g.ey, dx * g.nx + dy * g.ny + dz * g.nz};
}

// A direction in an elongated Gaussian: its parts w along and t across the major axis, rho^2 = w^2 + t^2, 1 / (rho^2 - e^2 w^2), and
// sigma_eff^2.
struct Ellipse {
    double w, t, rho2, inverse, sigma2;
};

__device__ __forceinline__ Ellipse ellipse(const Gaussian& g, double u, double v) {
    const double w = g.cos_phi * v + g.sin_phi * u, t = g.cos_phi * u - g.sin_phi * v;
    double rho2 = w * w + t * t, below = t * t + g.q * w * w;
    if (rho2 < SAME_PLACE) rho2 = below = 1.0;  // the centre, where D = 0 and the direction does not matter
    const double inverse = 1.0 / below;
    return Ellipse{w, t, rho2, inverse, g.minor2 * rho2 * inverse};
}

// Sum over the subpixels of a pixel of the density without its norm.
__device__ __forceinline__ double density(const Gaussian& g, const double* pixel, int n_sub) {
    double total = 0.0;
    for (int i = 0; i < n_sub; ++i) {
        const Direction n = from_centre(g, pixel + 3 * i);
        double half = g.half;
        if (!g.circular) half = 0.5 / one_minus_cos_of_square(ellipse(g, n.u, n.v).sigma2);
        total += exp(-n.d * half);
    }
    return total;
}

// Adds to `sums` a factor times the derivatives of `density` by longitude, latitude, sigma, e and phi, without the norm.
__device__ __forceinline__ void add_slopes(const Gaussian& g, const double* pixel, int n_sub, double factor, double (&sums)[5]) {
    for (int i = 0; i < n_sub; ++i) {
        const Direction n = from_centre(g, pixel + 3 * i);
        if (g.circular) {
            const double f = factor * exp(-n.d * g.half);
            sums[0] += f * (g.half * g.cos_lat * n.u);
            sums[1] += f * (g.half * n.v);
            sums[2] += f * (g.by_sigma + g.by_sigma_d * n.d);
        } else {
            const Ellipse at = ellipse(g, n.u, n.v);
            const double half = 0.5 / one_minus_cos_of_square(at.sigma2);
            const double f = factor * exp(-n.d * half);
            const double stretch = 2.0 * n.d * half * half * angle_times_sine(at.sigma2);  // d(exponent) / d ln(sigma_eff)
            const double along = at.w * at.inverse;
            // d(exponent) / d(position angle of the direction), minus that for phi, is -turn
            const double turn = stretch * g.e * g.e * along * at.t, tangent = (1.0 - n.d) / at.rho2;
            sums[0] += f * (half * g.cos_lat * n.u - turn * (g.sin_lat - g.cos_lat * tangent * n.v));
            sums[1] += f * (half * n.v - turn * tangent * n.u);
            sums[2] += f * (stretch - 2.0) * g.inverse_sigma;
            sums[3] += f * g.e * (stretch * (along * at.w - g.inverse_q) + g.inverse_q);
            sums[4] += f * turn;
        }
    }
}

// One of five values; an index known at run time only would put them on a stack.
__device__ __forceinline__ double pick(const double (&values)[5], long long k) {
    return (k == 0) ? values[0] : (k == 1) ? values[1] : (k == 2) ? values[2] : (k == 3) ? values[3] : values[4];
}

// Integrals over pixels: shapes[], items[n_items, 6], vectors[] ([pixels, subpixels, 3] for each window), weight[] (per pixel of each
// window), params[B, n_params] -> image[B, n_image]. An item is rows of a box.
extern "C" __global__ void __launch_bounds__(256)
gauss_image(const long long* __restrict__ shapes, const long long* __restrict__ items, const double* __restrict__ vectors,
            const double* __restrict__ weight, const double* __restrict__ params, real* __restrict__ image, long long n_params,
            long long n_image) {
    const long long* item = items + W_SIZE * (long long)blockIdx.x;
    const long long* shape = shapes + G_SIZE * item[W_WHAT];
    __shared__ Gaussian g;
    if (threadIdx.x == 0) make_gaussian(params + blockIdx.y * n_params + shape[G_PARAMETERS], g);
    __syncthreads();
    const int y0 = item[W_Y], nx = shape[G_NX], n = (item[W_Y_END] - y0) * nx, n_sub = shape[G_SUBPIXELS];
    real* out = image + blockIdx.y * n_image + shape[G_IMAGE] + y0 * nx;
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        const long long row = y0 + i / nx - shape[G_ROW], column = i % nx - shape[G_COLUMN];
        double value = 0.0;
        if (g.exists && row >= 0 && row < shape[G_HEIGHT] && column >= 0 && column < shape[G_WIDTH]) {
            const long long p = row * shape[G_WIDTH] + column;
            value = g.norm * weight[shape[G_WEIGHTS] + p] * density(g, vectors + shape[G_VECTORS] + 3 * n_sub * p, n_sub);
        }
        out[i] = value;
    }
}

// Derivative images, by parameters in their own units: shapes[], slopes[n, 3] (the wanted derivatives), items[n_items, 6], vectors[],
// weight[], params[B, n_params] -> image[B, n_image]. An item is rows of the box of a Gaussian, for a row of `slopes` and W_PLANE more rows
// behind it, all of the same Gaussian.
extern "C" __global__ void __launch_bounds__(256)
gauss_gradient(const long long* __restrict__ shapes, const long long* __restrict__ slopes, const long long* __restrict__ items,
               const double* __restrict__ vectors, const double* __restrict__ weight, const double* __restrict__ params,
               real* __restrict__ image, long long n_params, long long n_image) {
    const long long* item = items + W_SIZE * (long long)blockIdx.x;
    const long long* wanted = slopes + SLOPE_SIZE * item[W_WHAT];
    const long long* shape = shapes + G_SIZE * wanted[SLOPE_SHAPE];
    const double* parameters = params + blockIdx.y * n_params + shape[G_PARAMETERS];
    __shared__ Gaussian g;
    if (threadIdx.x == 0) make_gaussian(parameters, g);
    __syncthreads();
    const int y0 = item[W_Y], nx = shape[G_NX], n = (item[W_Y_END] - y0) * nx, n_sub = shape[G_SUBPIXELS];
    real* out = image + blockIdx.y * n_image + y0 * nx;
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        const long long row = y0 + i / nx - shape[G_ROW], column = i % nx - shape[G_COLUMN];
        double sums[5] = {0.0, 0.0, 0.0, 0.0, 0.0};
        if (g.exists && row >= 0 && row < shape[G_HEIGHT] && column >= 0 && column < shape[G_WIDTH]) {
            const long long p = row * shape[G_WIDTH] + column;
            add_slopes(g, vectors + shape[G_VECTORS] + 3 * n_sub * p, n_sub, g.norm * weight[shape[G_WEIGHTS] + p], sums);
        }
        for (int s = 0; s <= item[W_PLANE]; ++s) {
            const long long* one = wanted + SLOPE_SIZE * s;
            out[one[SLOPE_IMAGE] + i] = parameters[5 + one[SLOPE_PARAMETER]] * pick(sums, one[SLOPE_PARAMETER]);
        }
    }
}

// Sums over pixels of a slope times the derivatives of the integrals by angles in radian: shapes[], items[n_items, 6], vectors[],
// weight[], params[B, n_params], adjoint[B, n_image] -> parts[B, n_parts], the sum for parameter k at part + k chunks. An item is rows of
// a window.
extern "C" __global__ void __launch_bounds__(256)
gauss_pullback(const long long* __restrict__ shapes, const long long* __restrict__ items, const double* __restrict__ vectors,
               const double* __restrict__ weight, const double* __restrict__ params, const real* __restrict__ adjoint,
               double* __restrict__ parts, long long n_params, long long n_image, long long n_parts) {
    const long long* item = items + W_SIZE * (long long)blockIdx.x;
    const long long* shape = shapes + G_SIZE * item[W_WHAT];
    __shared__ Gaussian g;
    if (threadIdx.x == 0) make_gaussian(params + blockIdx.y * n_params + shape[G_PARAMETERS], g);
    __syncthreads();
    const int width = shape[G_WIDTH], n = (item[W_Y_END] - item[W_Y]) * width, n_sub = shape[G_SUBPIXELS];
    const long long first = item[W_Y] * width;  // pixel of the window
    const real* slope = adjoint + blockIdx.y * n_image + shape[G_IMAGE] + (shape[G_ROW] + item[W_Y]) * shape[G_NX] + shape[G_COLUMN];
    double sums[5] = {0.0, 0.0, 0.0, 0.0, 0.0};
    if (g.exists) {
        for (int i = threadIdx.x; i < n; i += blockDim.x) {
            const double factor = slope[i / width * shape[G_NX] + i % width] * weight[shape[G_WEIGHTS] + first + i];
            add_slopes(g, vectors + shape[G_VECTORS] + 3 * n_sub * (first + i), n_sub, factor, sums);
        }
    }
    block_sums(sums);
    if (threadIdx.x == 0) {
        for (int k = 0; k < 5; ++k) parts[blockIdx.y * n_parts + item[W_PART] + k * item[W_CHUNKS]] = g.norm * sums[k];
    }
}
