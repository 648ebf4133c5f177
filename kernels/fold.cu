// Fold sources through energy dispersion into predicted counts, forward and transposed.
//
// Forward, for the norm g and template B of the background and templates T of the sources (image x PSF x exposure):
//
//     mu[k, p] = g[k] B[k, p] + static[k, p] + sum over sources, l of R[l, k] F[l] T[l, p]
//
// Transposed, for the slope r = d stat / d mu, with q[l, p] = sum_k R[l, k] r[k, p]:
//
//     d stat / d F[l] = sum_p T[l, p] q[l, p]            d stat / d image[l, p] = F[l] E[l, p] q[l, p]  (before the PSF)
//
// A source whose PSF acts last has templates per reconstructed energy k: they are added as they are, and q is r itself.
//
// `fold` gathers: block (i, b) makes item i, up to BINS reconstructed bins of some columns of one dataset, for row b of the batch. A thread
// takes one column through all sources that may reach it, in their order, so nothing is added twice or in another order. In `fold_pull`
// block (i, b) takes item i, some rows of pixels of one plane of one source's templates. R is 0 outside the ranges in `reach`.
#include "common.cuh"

constexpr int BINS = 4;  // reconstructed bins of an item of `fold`, at most: a template is read once for all of them

// Where the pixel (y, x) of the map lies in a source's template; inside is false beyond the template or the source's box.
struct Place {
    bool inside;
    long long offset;  // in a plane
};

__device__ __forceinline__ Place place_in(const long long* source, const double* params, long long y, long long x) {
    const bool moves = source[S_CORNER] >= 0;
    const long long row = moves ? (long long)params[source[S_CORNER]] : 0, column = moves ? (long long)params[source[S_CORNER] + 1] : 0;
    const long long top = min(row + source[S_HEIGHT], source[S_NY]), right = min(column + source[S_WIDTH], source[S_NX]);
    y -= source[S_ROW];
    x -= source[S_COLUMN];
    const bool inside = y >= max(row, 0LL) && y < top && x >= max(column, 0LL) && x < right;
    return {inside, (y - row) * source[S_WIDTH] + x - column};
}

// sources[n, S_SIZE], datasets[n, D_SIZE], rows[n, R_SIZE], items[n, FOLD_SIZE], members[...], pixels[...], starts[...], edisp[...],
// reach[...], params[B, n_params], fixed[...], templates[B, n_templates], template_[n_bins or 0], static_[n_static = n_bins or 0]
// -> mu[B, n_bins]
extern "C" __global__ void __launch_bounds__(256)
fold(const long long* __restrict__ sources, const long long* __restrict__ datasets, const long long* __restrict__ rows,
     const long long* __restrict__ items, const long long* __restrict__ members, const long long* __restrict__ pixels,
     const long long* __restrict__ starts, const double* __restrict__ edisp, const long long* __restrict__ reach,
     const double* __restrict__ params, const real* __restrict__ fixed, const real* __restrict__ templates,
     const cube* __restrict__ template_, const real* __restrict__ static_, real* __restrict__ mu, long long n_params,
     long long n_templates, long long n_static, long long n_bins) {
    const long long b = blockIdx.y;
    const long long* item = items + FOLD_SIZE * blockIdx.x;
    const long long* dataset = datasets + D_SIZE * item[FOLD_DATASET];
    params += b * n_params;
    int k[BINS];  // where the item has fewer, the last one is made several times over
    for (int j = 0; j < BINS; ++j) k[j] = min(item[FOLD_K] + j, item[FOLD_K_END] - 1);
    for (long long column = item[FOLD_BEGIN] + threadIdx.x; column < item[FOLD_END]; column += blockDim.x) {
        double total[BINS] = {};
        // Bins behind the active region have no pixel here, and no member.
        const int pixel = (column < dataset[D_AREA]) ? pixels[dataset[D_PIXELS] + column] : 0, nx = dataset[D_NX];
        for (long long m = item[FOLD_MEMBERS]; m < item[FOLD_MEMBERS_END]; ++m) {
            const long long* source = sources + S_SIZE * members[m];
            const Place at = place_in(source, params, pixel / nx, pixel % nx);
            if (!at.inside) continue;
            const long long size = source[S_HEIGHT] * source[S_WIDTH];
            const real* values = (source[S_FIXED] ? fixed : templates + b * n_templates) + source[S_TEMPLATES] + at.offset;
            if (source[S_LAST]) {
                for (int j = 0; j < BINS; ++j) total[j] += values[k[j] * size];
                continue;
            }
            const int n_reco = source[S_RECO];
            const long long* low = reach + source[S_REACH] + 2 * source[S_TRUE];
            const long long* high = low + n_reco;
            int begin = low[k[0]], end = high[k[0]];
            for (int j = 1; j < BINS; ++j) {
                begin = min(begin, (int)low[k[j]]);
                end = max(end, (int)high[k[j]]);
            }
            const double* flux = params + source[S_FLUX];
            const double* matrix = edisp + source[S_EDISP];
            _Pragma("unroll 1")  // unrolled it takes up to twice the registers, and spills on some GPUs
            for (int l = begin; l < end; ++l) {
                const double value = flux[l] * values[l * size];
                for (int j = 0; j < BINS; ++j) total[j] += matrix[l * n_reco + k[j]] * value;
            }
        }
        for (int j = 0; j < BINS; ++j) {
            const long long* row = rows + R_SIZE * (dataset[D_ROW] + k[j]);
            if (column >= row[R_LENGTH]) continue;
            const long long bin = row[R_BEGIN] + column;
            if (dataset[D_NORM] >= 0) total[j] += params[dataset[D_NORM] + k[j]] * template_[bin];
            if (n_static > 0) total[j] += static_[bin];
            mu[b * n_bins + bin] = total[j];
        }
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

// sources[n, S_SIZE], datasets[n, D_SIZE], rows[n, R_SIZE], images[n, I_SIZE], groups[n, F_SIZE], items[n, W_SIZE], starts[...],
// exposure[...], edisp[...], reach[...], params[B, n_params], fixed[...], templates[B, n_templates], slope[B, n_bins]
// -> field[...], parts[B, n_parts]
extern "C" __global__ void __launch_bounds__(256)
fold_pull(const long long* __restrict__ sources, const long long* __restrict__ datasets, const long long* __restrict__ rows,
          const long long* __restrict__ images, const long long* __restrict__ groups, const long long* __restrict__ items,
          const long long* __restrict__ starts, const cube* __restrict__ exposure, const double* __restrict__ edisp,
          const long long* __restrict__ reach, const double* __restrict__ params, const real* __restrict__ fixed,
          const real* __restrict__ templates, const real* __restrict__ slope, real* __restrict__ field, double* __restrict__ parts,
          long long n_params, long long n_templates, long long n_bins, long long n_parts) {
    const long long b = blockIdx.y, batch = gridDim.y;
    const long long* item = items + W_SIZE * blockIdx.x;
    const long long* source = sources + S_SIZE * item[W_WHAT];
    const int plane = item[W_PLANE], height = source[S_HEIGHT], width = source[S_WIDTH];
    const bool writes = item[W_FIELD] >= 0;
    const real* values = (source[S_FIXED] ? fixed : templates + b * n_templates) + source[S_TEMPLATES] + (long long)plane * height * width;
    const double flux = source[S_LAST] ? 1.0 : params[b * n_params + source[S_FLUX] + plane];
    const bool exposed = !source[S_LAST] && source[S_EXPOSURE] >= 0;
    rows += R_SIZE * datasets[D_SIZE * source[S_DATASET] + D_ROW];
    slope += b * n_bins;
    int nx = width;  // of the plane that is walked through: the template, or the field, which may be larger
    if (writes) {
        const long long* image = images + I_SIZE * item[W_FIELD];
        const long long* group = groups + F_SIZE * image[I_GROUP];
        nx = group[F_NX];
        field += batch * group[F_OUT] + (b * group[F_OUT_PLANES] + image[I_FIRST_OUT] + plane) * group[F_NY] * nx;
    }
    double total = 0.0;
    for (int i = item[W_Y] * nx + threadIdx.x; i < item[W_Y_END] * nx; i += blockDim.x) {
        const int y = i / nx, x = i % nx;
        double value = 0.0;
        if (y < height && x < width) {
            const long long column = starts[source[S_STARTS] + y] + x;
            value = folded_back(source, plane, rows, edisp, reach, slope + column);
            total += values[y * width + x] * value;
            if (exposed) value *= exposure[source[S_EXPOSURE] + plane * source[S_AREA] + column];
        }
        if (writes) field[i] = flux * value;
    }
    total = block_sum(total);
    if (item[W_PART] >= 0 && threadIdx.x == 0) parts[b * n_parts + item[W_PART]] = total;
}
