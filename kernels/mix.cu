// The slope carried back to shapes whose planes are combinations of few: the adjoint of `fold` and of the mixing in `unload` (fourier.cu).
//
// With T[l] = E[l] sum_n V[l, n] g[n] for the planes g behind the kernels of a basis, and q[l] = sum_k R[l, k] r[k] for the slope r:
//
//     d stat / d F[l] = sum_p T[l, p] q[l, p]            d stat / d g[n, p] = sum_l V[l, n] F[l] E[l, p] q[l, p]
//
// An item is a run of rows of the padded planes of one image. Block (i, b) works on item i for row b of the batch.
#include "common.cuh"

constexpr int RANKS = 8;  // planes made at once: slope and exposure are read once for all of them

// q[l] at a pixel; `slope` begins at its column.
__device__ __forceinline__ double folded_back(const long long* source, int l, const long long* rows, const double* edisp,
                                              const long long* reach, const real* slope) {
    const long long* first = reach + source[S_REACH] + l;
    const double* matrix = edisp + source[S_EDISP] + l * source[S_RECO];
    double total = 0.0;
    for (int k = first[0]; k < first[source[S_TRUE]]; ++k) total += matrix[k] * slope[rows[R_SIZE * k + R_BEGIN]];
    return total;
}

// sources[n, S_SIZE], datasets[n, D_SIZE], rows[n, R_SIZE], images[n, I_SIZE], groups[n, F_SIZE], items[n, W_SIZE], starts[...],
// exposure[...], edisp[...], reach[...], params[B, n_params], templates[B, n_templates], slope[B, n_bins]
// -> field[...], parts[B, n_parts]
extern "C" __global__ void __launch_bounds__(256)
mix_pull(const long long* __restrict__ sources, const long long* __restrict__ datasets, const long long* __restrict__ rows,
         const long long* __restrict__ images, const long long* __restrict__ groups, const long long* __restrict__ items,
         const long long* __restrict__ starts, const cube* __restrict__ exposure, const double* __restrict__ edisp,
         const long long* __restrict__ reach, const double* __restrict__ params, const real* __restrict__ templates,
         const real* __restrict__ slope, real* __restrict__ field, double* __restrict__ parts, long long n_params,
         long long n_templates, long long n_bins, long long n_parts) {
    const long long b = blockIdx.y, batch = gridDim.y;
    const long long* item = items + W_SIZE * blockIdx.x;
    const long long* row = images + I_SIZE * item[W_WHAT];
    const long long* source = sources + S_SIZE * row[I_SOURCE];
    const long long* group = groups + F_SIZE * row[I_GROUP];
    const int height = source[S_NY], width = source[S_NX], n_true = source[S_TRUE], rank = row[I_RANK];
    const int nx = group[F_NX], y0 = item[W_Y], y_end = item[W_Y_END];
    const long long size = group[F_NY] * nx;
    const double* flux = params + b * n_params + row[I_FLUX];
    const double* mixing = edisp + row[I_MIXING];
    rows += R_SIZE * datasets[D_SIZE * source[S_DATASET] + D_ROW];
    starts += source[S_STARTS];
    slope += b * n_bins;
    field += batch * group[F_OUT] + (b * group[F_OUT_PLANES] + row[I_FIRST_OUT]) * size;
    for (int i = y0 * nx + threadIdx.x; i < y_end * nx; i += blockDim.x) {
        const int y = i / nx, x = i % nx;
        const bool inside = y < height && x < width;
        const long long column = inside ? starts[y] + x : 0;
        for (int n = 0; n < rank; n += RANKS) {
            double total[RANKS] = {};
            _Pragma("unroll 1")  // few registers are worth more here
            for (int l = 0; l < (inside ? n_true : 0); ++l) {
                double value = flux[l] * folded_back(source, l, rows, edisp, reach, slope + column);
                if (source[S_EXPOSURE] >= 0) value *= exposure[source[S_EXPOSURE] + l * source[S_AREA] + column];
                for (int m = 0; m < RANKS; ++m) total[m] += mixing[l * rank + min(n + m, rank - 1)] * value;
            }
            for (int m = 0; m < RANKS; ++m)
                if (n + m < rank) field[(n + m) * size + i] = total[m];
        }
    }
    const real* values = templates + b * n_templates + row[I_TEMPLATES];
    const int begin = y0 * width, end = min(y_end, height) * width;
    for (int l = 0; l < n_true; ++l) {
        double total = 0.0;
        for (int i = begin + threadIdx.x; i < end; i += blockDim.x) {
            const long long column = starts[i / width] + i % width;
            total += values[(long long)l * height * width + i] * folded_back(source, l, rows, edisp, reach, slope + column);
        }
        total = block_sum(total);
        if (threadIdx.x == 0) parts[b * n_parts + item[W_PART] + l * item[W_CHUNKS]] = total;
    }
}
