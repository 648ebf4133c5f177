// Put a PSF at a point: bilinear placement on four pixels, and its transpose.
//
// A point at pixel coordinates (x, y) sits on the four pixels around it with weights w[c] (order: lower left, lower right, upper left, upper
// right), so its image is four copies of the PSF kernel, PSF_c, shifted by one pixel. The templates are
//
//     T[l, p] = E[l, p] sum_c w[c] PSF_c[l, p]
//
// and where the PSF acts last, with the counts on each of the four pixels,
//
//     T[k, p] = sum_c a[k, c] PSF_c[k, p]            a[k, c] = w[c] sum_l R[l, k] F[l] E_c[l]
//
// Pixels outside the source's box (the map ends there) are 0. The transpose gives for the slope r = d stat / d mu and each plane the four
// sums over pixels of PSF_c E q with q[l, p] = sum_k R[l, k] r[k, p] (PSF_c r where the PSF acts last). The kernel comes padded by one
// zero on every side: the copies are then the same array read at four offsets, and no edge of it needs a check.
//
// In `place` and `place_pull` block (i, b) takes item i, one plane of one place, for row b of the batch; in `place_unfold` it takes place i.
// R is 0 outside the ranges in `reach`.
#include "common.cuh"

// The padded kernel of one plane, and its four copies at template pixel (y, x): those of the upper pixels are shifted up by one row, those
// of the right ones to the right by one column.
struct Kernel {
    const real* values;
    int width;  // of the template; a row of the kernel has one more

    __device__ Kernel(const real* psf, const long long* source, long long plane)
        : values(psf + source[S_PSF] + plane * (source[S_HEIGHT] + 1) * (source[S_WIDTH] + 1)), width(source[S_WIDTH]) {}

    __device__ __forceinline__ double copy(int c, int y, int x) const {
        return values[(y + 1 - c / 2) * (width + 1) + x + 1 - c % 2];
    }
};

// Whether a pixel (y, x), counted from the corner of a source's box, lies in it.
__device__ __forceinline__ bool in_box(const long long* source, int y, int x) {
    return y >= 0 && y < source[S_NY] && x >= 0 && x < source[S_NX];
}

// Exposure of true bin l on pixel c of the four; that of the nearest pixel of the box where it lies outside (its weight is 0 there).
__device__ __forceinline__ double corner_exposure(const long long* source, long long l, int c, const long long* starts,
                                                  const cube* exposure, const double* params) {
    if (source[S_EXPOSURE] < 0) return 1.0;
    const long long y = (long long)params[source[S_CORNER] + 2] + c / 2, x = (long long)params[source[S_CORNER] + 3] + c % 2;
    const long long row = max(min(y, source[S_NY] - 1), 0LL), column = max(min(x, source[S_NX] - 1), 0LL);
    return exposure[source[S_EXPOSURE] + l * source[S_AREA] + starts[source[S_STARTS] + row] + column];
}

// sources[n, S_SIZE], places[n, P_SIZE], items[n, W_SIZE], starts[...], psf[...], exposure[...], edisp[...], reach[...],
// params[B, n_params] -> templates[B, n_templates]
extern "C" __global__ void __launch_bounds__(256)
place(const long long* __restrict__ sources, const long long* __restrict__ places, const long long* __restrict__ items,
      const long long* __restrict__ starts, const real* __restrict__ psf, const cube* __restrict__ exposure,
      const double* __restrict__ edisp, const long long* __restrict__ reach, const double* __restrict__ params,
      real* __restrict__ templates, long long n_params, long long n_templates) {
    __shared__ double amount[4];  // of each copy
    const long long b = blockIdx.y;
    const long long* item = items + W_SIZE * blockIdx.x;
    const long long* row = places + P_SIZE * item[W_WHAT];
    const long long* source = sources + S_SIZE * row[P_SOURCE];
    const int plane = item[W_PLANE], height = source[S_HEIGHT], width = source[S_WIDTH];
    params += b * n_params;
    templates += b * n_templates + row[P_TEMPLATES] + (long long)plane * height * width;

    double counts[4] = {1.0, 1.0, 1.0, 1.0};
    if (source[S_LAST]) {
        const long long* low = reach + source[S_REACH] + 2 * source[S_TRUE] + plane;
        for (int c = 0; c < 4; ++c) counts[c] = 0.0;
        for (long long l = low[0] + threadIdx.x; l < low[source[S_RECO]]; l += blockDim.x) {
            const double folded = edisp[source[S_EDISP] + l * source[S_RECO] + plane] * params[row[P_FLUX] + l];
            for (int c = 0; c < 4; ++c) counts[c] += folded * corner_exposure(source, l, c, starts, exposure, params);
        }
        block_sums(counts);
    }
    if (threadIdx.x == 0)
        for (int c = 0; c < 4; ++c) amount[c] = params[row[P_WEIGHT] + c] * counts[c];
    __syncthreads();

    const Kernel kernel(psf, source, plane);
    const int row0 = params[source[S_CORNER]], column0 = params[source[S_CORNER] + 1];
    const bool exposed = !source[S_LAST] && source[S_EXPOSURE] >= 0;
    for (int i = threadIdx.x; i < height * width; i += blockDim.x) {
        const int y = i / width, x = i % width;
        double value = 0.0;
        if (in_box(source, row0 + y, column0 + x)) {
            const long long column = starts[source[S_STARTS] + row0 + y] + column0 + x;
            for (int c = 0; c < 4; ++c) value += amount[c] * kernel.copy(c, y, x);
            if (exposed) value *= exposure[source[S_EXPOSURE] + plane * source[S_AREA] + column];
        }
        templates[i] = value;
    }
}

// The slope carried back to one plane of a source's templates, q[l, p] above; r where the PSF acts last. `rows` are the dataset's rows of
// bins, `slope` begins at the pixel's column.
__device__ __forceinline__ double folded_back(const long long* source, int plane, const long long* rows, const double* edisp,
                                              const long long* reach, const real* slope) {
    if (source[S_LAST]) return slope[rows[R_SIZE * plane + R_BEGIN]];
    const long long* first = reach + source[S_REACH] + plane;
    const int end = first[source[S_TRUE]];
    const double* matrix = edisp + source[S_EDISP] + plane * source[S_RECO];
    double total = 0.0;
    for (int k = first[0]; k < end; ++k) total += matrix[k] * slope[rows[R_SIZE * k + R_BEGIN]];
    return total;
}

// sources[n, S_SIZE], datasets[n, D_SIZE], places[n, P_SIZE], items[n, W_SIZE], rows[n, R_SIZE], starts[...], psf[...], exposure[...],
// edisp[...], reach[...], params[B, n_params], slope[B, n_bins] -> parts[B, n_parts]: [4, planes] from the place's P_PARTS on
extern "C" __global__ void __launch_bounds__(256)
place_pull(const long long* __restrict__ sources, const long long* __restrict__ datasets, const long long* __restrict__ places,
           const long long* __restrict__ items, const long long* __restrict__ rows, const long long* __restrict__ starts,
           const real* __restrict__ psf, const cube* __restrict__ exposure, const double* __restrict__ edisp,
           const long long* __restrict__ reach, const double* __restrict__ params, const real* __restrict__ slope,
           double* __restrict__ parts, long long n_params, long long n_bins, long long n_parts) {
    const long long b = blockIdx.y;
    const long long* item = items + W_SIZE * blockIdx.x;
    const long long* row = places + P_SIZE * item[W_WHAT];
    const long long* source = sources + S_SIZE * row[P_SOURCE];
    const int plane = item[W_PLANE];
    const Kernel kernel(psf, source, plane);
    params += b * n_params;
    slope += b * n_bins;
    rows += R_SIZE * datasets[D_SIZE * source[S_DATASET] + D_ROW];
    const int height = source[S_HEIGHT], width = source[S_WIDTH];
    const int row0 = params[source[S_CORNER]], column0 = params[source[S_CORNER] + 1];
    const bool exposed = !source[S_LAST] && source[S_EXPOSURE] >= 0;
    double sums[4] = {};
    for (int i = threadIdx.x; i < height * width; i += blockDim.x) {
        const int y = i / width, x = i % width;
        if (!in_box(source, row0 + y, column0 + x)) continue;
        const long long column = starts[source[S_STARTS] + row0 + y] + column0 + x;
        double q = folded_back(source, plane, rows, edisp, reach, slope + column);
        if (exposed) q *= exposure[source[S_EXPOSURE] + plane * source[S_AREA] + column];
        for (int c = 0; c < 4; ++c) sums[c] += q * kernel.copy(c, y, x);
    }
    block_sums(sums);
    if (threadIdx.x == 0)
        for (int c = 0; c < 4; ++c) parts[b * n_parts + row[P_PARTS] + c * source[S_PLANES] + plane] = sums[c];
}

// Where the PSF acts last, the sums of `place_pull` carried back to true energy: E_c[l] sum_k R[l, k] parts[c, k].
// sources[n, S_SIZE], places[n, P_SIZE], starts[...], exposure[...], edisp[...], reach[...], params[B, n_params]
// -> parts[B, n_parts]: reads [4, K] from the place's P_PARTS on, writes [4, L] from P_UNFOLDED on
extern "C" __global__ void __launch_bounds__(256)
place_unfold(const long long* __restrict__ sources, const long long* __restrict__ places, const long long* __restrict__ starts,
             const cube* __restrict__ exposure, const double* __restrict__ edisp, const long long* __restrict__ reach,
             const double* __restrict__ params, double* __restrict__ parts, long long n_params, long long n_parts) {
    const long long b = blockIdx.y;
    const long long* row = places + P_SIZE * blockIdx.x;
    if (row[P_UNFOLDED] < 0) return;
    const long long* source = sources + S_SIZE * row[P_SOURCE];
    const int n_true = source[S_TRUE], n_reco = source[S_RECO];
    params += b * n_params;
    parts += b * n_parts;
    for (int i = threadIdx.x; i < 4 * n_true; i += blockDim.x) {
        const int c = i / n_true, l = i % n_true;
        const long long* first = reach + source[S_REACH] + l;
        double total = 0.0;
        for (long long k = first[0]; k < first[n_true]; ++k)
            total += edisp[source[S_EDISP] + l * n_reco + k] * parts[row[P_PARTS] + c * n_reco + k];
        parts[row[P_UNFOLDED] + i] = total * corner_exposure(source, l, c, starts, exposure, params);
    }
}
