// Shapes whose planes behind the PSF are combinations of few: from these planes to predicted counts, and the slope carried back to them.
//
// With the planes g of a basis, T[l] = E[l] sum_n V[l, n] g[n] would be the templates. They are not stored. `mix` adds them to what `fold`
// has made of everything else:
//
//     mu[k, p] += sum_l R[l, k] F[l] T[l, p]
//
// and with q[l] = sum_k R[l, k] r[k] for the slope r, `mix_pull` is its adjoint:
//
//     d stat / d F[l] = sum_p T[l, p] q[l, p]            d stat / d g[n, p] = sum_l V[l, n] F[l] E[l, p] q[l, p]
//
// In `mix` block (i, b) makes item i, up to BINS reconstructed bins of some columns of one dataset, for row b of the batch; a thread takes
// one column through all sources that may reach it. In `mix_pull` block (i, b) takes item i, a run of rows of the padded planes of an image.
#include "common.cuh"

constexpr int RANKS = 8;  // planes made at once: slope and exposure are read once for all of them
constexpr int BINS = 4;   // reconstructed bins of an item of `mix`, at most

// First element of an image's planes behind the PSF.
__device__ __forceinline__ long long first_plane(const long long* row, const long long* group) {
    return gridDim.y * group[F_OUT] + (blockIdx.y * group[F_OUT_PLANES] + row[I_FIRST_OUT]) * group[F_NY] * group[F_NX];
}

// sum_n V[n] g[n] at a pixel, normalised; `planes` begin there and are `size` apart.
__device__ __forceinline__ double mixed(const real* planes, const double* mixing, int rank, int size) {
    double total = 0.0;
    _Pragma("unroll 1")  // few registers are worth more here
    for (int n = 0; n < rank; ++n, planes += size) total += mixing[n] * *planes;
    return total / size;
}

// E[l] at a column of the active region; 1 for a source without exposure.
__device__ __forceinline__ double exposure_at(const long long* source, const cube* exposure, int l, int column) {
    return (source[S_EXPOSURE] < 0) ? 1.0 : exposure[source[S_EXPOSURE] + l * source[S_AREA] + column];
}

// sources[n, S_SIZE], datasets[n, D_SIZE], rows[n, R_SIZE], images[n, I_SIZE], groups[n, F_SIZE], items[n, FOLD_SIZE], members[...],
// pixels[...], starts[...], exposure[...], edisp[...], reach[...], params[B, n_params], planes[...] -> mu[B, n_bins], added to
extern "C" __global__ void __launch_bounds__(256)
mix(const long long* __restrict__ sources, const long long* __restrict__ datasets, const long long* __restrict__ rows,
    const long long* __restrict__ images, const long long* __restrict__ groups, const long long* __restrict__ items,
    const long long* __restrict__ members, const long long* __restrict__ pixels, const long long* __restrict__ starts,
    const cube* __restrict__ exposure, const double* __restrict__ edisp, const long long* __restrict__ reach,
    const double* __restrict__ params, const real* __restrict__ planes, real* __restrict__ mu, long long n_params, long long n_bins) {
    const long long b = blockIdx.y;
    const long long* item = items + FOLD_SIZE * blockIdx.x;
    const long long* dataset = datasets + D_SIZE * item[FOLD_DATASET];
    params += b * n_params;
    mu += b * n_bins;
    const int first_k = item[FOLD_K], last_k = item[FOLD_K_END] - 1;  // where the item has fewer, the last is made several times over
    for (long long column = item[FOLD_BEGIN] + threadIdx.x; column < item[FOLD_END]; column += blockDim.x) {
        double total[BINS] = {};
        const int pixel = pixels[dataset[D_PIXELS] + column], nx = dataset[D_NX];
        for (long long m = item[FOLD_MEMBERS]; m < item[FOLD_MEMBERS_END]; ++m) {
            const long long* source = sources + S_SIZE * members[m];
            const long long* row = images + I_SIZE * source[S_MIXED];
            const long long* group = groups + F_SIZE * row[I_GROUP];
            const int y = pixel / nx - (int)source[S_ROW], x = pixel % nx - (int)source[S_COLUMN];
            if (y < 0 || y >= source[S_NY] || x < 0 || x >= source[S_NX]) continue;
            const real* own = planes + first_plane(row, group) + (y + row[I_OFFSET_Y]) * group[F_NX] + row[I_OFFSET_X] + x;
            const int seen = starts[row[I_STARTS] + y] + x, size = group[F_NY] * group[F_NX];
            const int n_reco = source[S_RECO], rank = row[I_RANK];
            const long long* low = reach + source[S_REACH] + 2 * source[S_TRUE];
            const long long* high = low + n_reco;
            int begin = low[first_k], end = high[first_k];
            for (int k = first_k + 1; k <= last_k; ++k) {
                begin = min(begin, (int)low[k]);
                end = max(end, (int)high[k]);
            }
            const double* flux = params + source[S_FLUX];
            const double* matrix = edisp + source[S_EDISP];
            const double* mixing = edisp + row[I_MIXING];
            _Pragma("unroll 1")  // few registers are worth more here
            for (int l = begin; l < end; ++l) {
                const double value = flux[l] * exposure_at(source, exposure, l, seen) * mixed(own, mixing + l * rank, rank, size);
                for (int j = 0; j < BINS; ++j) total[j] += matrix[l * n_reco + min(first_k + j, last_k)] * value;
            }
        }
        for (int j = 0; j < BINS; ++j)
            if (first_k + j <= last_k) mu[rows[R_SIZE * (dataset[D_ROW] + first_k + j) + R_BEGIN] + column] += total[j];
    }
}

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
// exposure[...], edisp[...], reach[...], params[B, n_params], slope[B, n_bins], planes[...] -> field[...], parts[B, n_parts]
// Three blocks at a time: left alone, the compiler aims at four or five and spills.
extern "C" __global__ void __launch_bounds__(256, 3)
mix_pull(const long long* __restrict__ sources, const long long* __restrict__ datasets, const long long* __restrict__ rows,
         const long long* __restrict__ images, const long long* __restrict__ groups, const long long* __restrict__ items,
         const long long* __restrict__ starts, const cube* __restrict__ exposure, const double* __restrict__ edisp,
         const long long* __restrict__ reach, const double* __restrict__ params, const real* __restrict__ slope,
         const real* __restrict__ planes, real* __restrict__ field, double* __restrict__ parts, long long n_params, long long n_bins,
         long long n_parts) {
    const long long b = blockIdx.y;
    const long long* item = items + W_SIZE * blockIdx.x;
    const long long* row = images + I_SIZE * item[W_WHAT];
    const long long* source = sources + S_SIZE * row[I_SOURCE];
    const long long* group = groups + F_SIZE * row[I_GROUP];
    const int height = source[S_NY], width = source[S_NX], n_true = source[S_TRUE], rank = row[I_RANK];
    const int nx = group[F_NX], y0 = item[W_Y], y_end = item[W_Y_END];
    const int size = group[F_NY] * nx;
    const long long first = first_plane(row, group);
    const double* flux = params + b * n_params + row[I_FLUX];
    const double* mixing = edisp + row[I_MIXING];
    rows += R_SIZE * datasets[D_SIZE * source[S_DATASET] + D_ROW];
    starts += source[S_STARTS];
    slope += b * n_bins;
    if (item[W_PLANE] != W_SUMS_ONLY) {
        field += first;
        for (int i = y0 * nx + threadIdx.x; i < y_end * nx; i += blockDim.x) {
            const int y = i / nx, x = i % nx;
            const bool inside = y < height && x < width;
            const int column = inside ? starts[y] + x : 0;
            for (int n = 0; n < rank; n += RANKS) {
                double total[RANKS] = {};
                _Pragma("unroll 1")  // few registers are worth more here
                for (int l = 0; l < (inside ? n_true : 0); ++l) {
                    const double q = folded_back(source, l, rows, edisp, reach, slope + column);
                    const double value = flux[l] * exposure_at(source, exposure, l, column) * q;
                    for (int m = 0; m < RANKS; ++m) total[m] += mixing[l * rank + min(n + m, rank - 1)] * value;
                }
                for (int m = 0; m < RANKS; ++m)
                    if (n + m < rank) field[(long long)(n + m) * size + i] = total[m];
            }
        }
    }
    planes += first + row[I_OFFSET_Y] * nx + row[I_OFFSET_X];
    const int begin = y0 * width, end = min(y_end, height) * width;
    _Pragma("unroll 1")
    for (int l = 0; l < n_true; ++l) {
        double total = 0.0;
        _Pragma("unroll 1")
        for (int i = begin + threadIdx.x; i < end; i += blockDim.x) {
            const int y = i / width, x = i % width;
            const int column = starts[y] + x;
            const double value = exposure_at(source, exposure, l, column) * mixed(planes + y * nx + x, mixing + l * rank, rank, size);
            total += value * folded_back(source, l, rows, edisp, reach, slope + column);
        }
        total = block_sum(total);
        if (threadIdx.x == 0) parts[b * n_parts + item[W_PART] + l * item[W_CHUNKS]] = total;
    }
}
