// The way of images through their PSFs, around cuFFT: into padded planes, times the transfer functions, out into templates, and back.
//
// PSF in true energy (S_LAST 0): one plane in, the image s itself, and one plane out per true bin l, with the exposure E[l]:
//
//     T[l] = E[l] (PSF[l] * s)
//
// or fewer planes out behind kernels Q[n], of which the others are combinations V (I_MIXING):
//
//     T[l] = E[l] sum_n V[l, n] (Q[n] * s)
//
// PSF in reconstructed energy (S_LAST 1): a plane in and out per reconstructed bin k, with the energy dispersion R and the flux F:
//
//     T[k] = PSF[k] * (s W[k])          W[k] = sum_l R[l, k] F[l] E[l]
//
// Without a PSF (I_GROUP -1) the templates are made straight from the image. Backwards, q[k] is the slope carried back through the PSF
// of reconstructed bin k (without a PSF the slope itself):
//
//     d stat / d s = sum_l F[l] H[l]        d stat / d F[l] = sum over pixels of s H[l]        H[l] = E[l] sum_k R[l, k] q[k]
//
// Planes of one padded shape [NY, NX] are a group; a convolved image begins at (OFFSET_Y, OFFSET_X) in its plane. Inverse transforms are
// not normalised, which `unload` and `back` make good. The columns of the tables are explained in tables.py.
//
// An item is a run of rows of one plane, in `dot` a run of pixels. Block (i, b) works on item i for row b of the batch.
#include "common.cuh"

// First element of a plane of parameter vector b, in an array of the planes of all groups.
__device__ __forceinline__ long long plane_begin(long long before, long long planes, long long plane, long long size) {
    return gridDim.y * before + (blockIdx.y * planes + plane) * size;
}

// E[l] at a column of the active region; 1 for a source without exposure.
__device__ __forceinline__ double exposure_at(const long long* source, const cube* exposure, int l, int column) {
    return (source[S_EXPOSURE] < 0) ? 1.0 : exposure[source[S_EXPOSURE] + l * source[S_AREA] + column];
}

// W[k] at a column of the active region, for F at `flux`.
__device__ __forceinline__ double seen(const long long* source, int k, int column, const cube* exposure, const double* edisp,
                                       const long long* reach, const double* flux) {
    const long long n_true = source[S_TRUE], n_reco = source[S_RECO];
    const long long* low = reach + source[S_REACH] + 2 * n_true;
    const double* matrix = edisp + source[S_EDISP] + k;
    double total = 0.0;
    for (int l = low[k]; l < low[n_reco + k]; ++l) total += matrix[l * n_reco] * flux[l] * exposure_at(source, exposure, l, column);
    return total;
}

// Index in a plane of n that wraps around, for one that begins at -offset.
__device__ __forceinline__ int wrapped(int i, int offset, int n) { return (i < offset) ? i - offset + n : i - offset; }

// q[k] on the pixels of a box: the slope itself, where rows are given, or planes that are not normalised and wrap around.
struct Pulled {
    const real* values;     // of the parameter vector; of the first plane
    const long long* rows;  // of the dataset, or nullptr
    int ny, nx, offset_y, offset_x;

    // Place of a pixel in a row of bins, or in a plane.
    __device__ __forceinline__ int place(int y, int x, int column) const {
        return rows ? column : wrapped(y, offset_y, ny) * nx + wrapped(x, offset_x, nx);
    }
    __device__ __forceinline__ double at(int k, int place) const {
        return values[place + (rows ? rows[R_SIZE * k + R_BEGIN] : (long long)k * ny * nx)];
    }
    __device__ __forceinline__ double scale() const { return rows ? 1.0 : 1.0 / (ny * nx); }
};

__device__ __forceinline__ Pulled pulled(const long long* row, const long long* groups, const long long* rows, const real* slope,
                                         const real* planes_in) {
    if (row[I_GROUP] < 0) return Pulled{slope, rows, 0, 0, 0, 0};
    const long long* group = groups + F_SIZE * row[I_GROUP];
    const long long first = plane_begin(group[F_IN], group[F_IN_PLANES], row[I_FIRST_IN], group[F_NY] * group[F_NX]);
    return Pulled{planes_in + first, nullptr, int(group[F_NY]), int(group[F_NX]), int(row[I_OFFSET_Y]), int(row[I_OFFSET_X])};
}

// E[l] sum_k R[l, k] q[k] at a pixel: H[l], not normalised.
__device__ __forceinline__ double field_at(const long long* source, int l, int column, const Pulled& q, int place,
                                           const cube* exposure, const double* edisp, const long long* reach) {
    const long long* first = reach + source[S_REACH];
    const double* matrix = edisp + source[S_EDISP] + l * source[S_RECO];
    double total = 0.0;
    for (int k = first[l]; k < first[source[S_TRUE] + l]; ++k) total += matrix[k] * q.at(k, place);
    return total * exposure_at(source, exposure, l, column);
}

// Images into padded planes: sources[], images[], groups[], items[n_items, 6], starts[], exposure[], edisp[], reach[],
// params[B, n_params], image[B, n_image] -> planes_in[...], zero beyond the boxes. An item is rows of a padded plane.
extern "C" __global__ void __launch_bounds__(256)
load(const long long* __restrict__ sources, const long long* __restrict__ images, const long long* __restrict__ groups,
     const long long* __restrict__ items, const long long* __restrict__ starts, const cube* __restrict__ exposure,
     const double* __restrict__ edisp, const long long* __restrict__ reach, const double* __restrict__ params,
     const real* __restrict__ image, real* __restrict__ planes_in, long long n_params, long long n_image) {
    const long long b = blockIdx.y;
    const long long* item = items + W_SIZE * (long long)blockIdx.x;
    const long long* row = images + I_SIZE * item[W_WHAT];
    const long long* source = sources + S_SIZE * row[I_SOURCE];
    const long long* group = groups + F_SIZE * row[I_GROUP];
    const int plane = item[W_PLANE], y0 = item[W_Y], nx = group[F_NX], height = source[S_NY], width = source[S_NX];
    const int n = (item[W_Y_END] - y0) * nx;
    const double* flux = params + b * n_params + row[I_FLUX];
    const real* s = image + b * n_image + row[I_IMAGE];
    real* out = planes_in + plane_begin(group[F_IN], group[F_IN_PLANES], row[I_FIRST_IN] + plane, group[F_NY] * nx) + y0 * nx;
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        const int y = y0 + i / nx, x = i % nx;
        double value = 0.0;
        if (y < height && x < width) {
            value = s[y * width + x];
            if (source[S_LAST]) value *= seen(source, plane, starts[source[S_STARTS] + y] + x, exposure, edisp, reach, flux);
        }
        out[i] = value;
    }
}

// Spectra of images times transfer functions: sources[], images[], groups[], items[n_items, 6], transfer[...], spectrum_in[...] ->
// spectrum_out[...]. An item is rows of a plane behind the PSF.
extern "C" __global__ void __launch_bounds__(256, 4)
spread(const long long* __restrict__ sources, const long long* __restrict__ images, const long long* __restrict__ groups,
       const long long* __restrict__ items, long long batch, const complex_t* __restrict__ transfer,
       const complex_t* __restrict__ spectrum_in, complex_t* __restrict__ spectrum_out) {
    const long long* item = items + W_SIZE * (long long)blockIdx.x;
    const long long* row = images + I_SIZE * item[W_WHAT];
    const long long* group = groups + F_SIZE * row[I_GROUP];
    const long long plane = item[W_PLANE], nx = group[F_NX] / 2 + 1, size = group[F_NY] * nx;
    const long long plane_in = row[I_FIRST_IN] + (sources[S_SIZE * row[I_SOURCE] + S_LAST] ? plane : 0);
    const complex_t* in = spectrum_in + plane_begin(group[F_SPECTRUM_IN], group[F_IN_PLANES], plane_in, size);
    complex_t* out = spectrum_out + plane_begin(group[F_SPECTRUM_OUT], group[F_OUT_PLANES], row[I_FIRST_OUT] + plane, size);
    const unsigned modes = group[F_MODES];  // a plane has fewer than 2^32 elements
    const complex_t* factor = transfer + row[I_TRANSFER] + plane * group[F_NY] * modes;
    for (long long i = item[W_Y] * nx + threadIdx.x; i < item[W_Y_END] * nx; i += blockDim.x) {
        complex_t product{0, 0};
        const unsigned y = (unsigned)i / (unsigned)nx, x = (unsigned)i % (unsigned)nx;
        if (x < modes) {
            const complex_t value = in[i], by = factor[(long long)y * modes + x];
            const double a = value.x, b = value.y, c = by.x, d = by.y;
            product = complex_t{real(a * c - b * d), real(a * d + b * c)};
        }
        out[i] = product;
    }
}

// Convolved planes, cropped and times exposure, into templates: sources[], images[], groups[], items[n_items, 6], starts[], exposure[],
// edisp[], reach[], params[B, n_params], image[B, n_image], planes_out[...] -> templates[B, n_templates]. An item is rows of a template.
extern "C" __global__ void __launch_bounds__(256)
unload(const long long* __restrict__ sources, const long long* __restrict__ images, const long long* __restrict__ groups,
       const long long* __restrict__ items, const long long* __restrict__ starts, const cube* __restrict__ exposure,
       const double* __restrict__ edisp, const long long* __restrict__ reach, const double* __restrict__ params,
       const real* __restrict__ image, const real* __restrict__ planes_out, real* __restrict__ templates, long long n_params,
       long long n_image, long long n_templates) {
    const long long b = blockIdx.y;
    const long long* item = items + W_SIZE * (long long)blockIdx.x;
    const long long* row = images + I_SIZE * item[W_WHAT];
    const long long* source = sources + S_SIZE * row[I_SOURCE];
    const int plane = item[W_PLANE], first = item[W_Y], width = row[I_WIDTH], stride = row[I_STRIDE];
    const int n = (item[W_Y_END] - first) * width;
    const int y0 = (stride - source[S_ROW] % stride) % stride, x0 = (stride - source[S_COLUMN] % stride) % stride;
    const double* flux = params + b * n_params + row[I_FLUX];
    const real* values = image + b * n_image + row[I_IMAGE];
    long long pitch = source[S_NX];
    double scale = 1.0;
    if (row[I_GROUP] >= 0) {
        const long long* group = groups + F_SIZE * row[I_GROUP];
        const long long size = group[F_NY] * group[F_NX];
        pitch = group[F_NX];
        scale = 1.0 / size;
        values = planes_out + plane_begin(group[F_OUT], group[F_OUT_PLANES], row[I_FIRST_OUT] + plane, size) + row[I_OFFSET_Y] * pitch +
                 row[I_OFFSET_X];
    }
    real* out = templates + b * n_templates + row[I_TEMPLATES] + (plane * row[I_HEIGHT] + first) * width;
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        const int y = y0 + (first + i / width) * stride, x = x0 + i % width * stride;
        const int column = starts[source[S_STARTS] + y] + x;
        double value = scale * values[y * pitch + x];
        if (!source[S_LAST])
            value *= exposure_at(source, exposure, plane, column);
        else if (row[I_GROUP] < 0)
            value *= seen(source, plane, column, exposure, edisp, reach, flux);
        out[i] = value;
    }
}

// Adjoint of `spread`: sources[], images[], groups[], items[n_items, 6], transfer[...], spectrum_out[...] -> spectrum_in[...], the sum
// over planes of conj(transfer) spectrum_out, plane by plane where the PSF acts last. An item is rows of a plane before the PSF.
extern "C" __global__ void __launch_bounds__(256)
gather(const long long* __restrict__ sources, const long long* __restrict__ images, const long long* __restrict__ groups,
       const long long* __restrict__ items, long long batch, const complex_t* __restrict__ transfer,
       const complex_t* __restrict__ spectrum_out, complex_t* __restrict__ spectrum_in) {
    const long long* item = items + W_SIZE * (long long)blockIdx.x;
    const long long* row = images + I_SIZE * item[W_WHAT];
    const long long* source = sources + S_SIZE * row[I_SOURCE];
    const long long* group = groups + F_SIZE * row[I_GROUP];
    const long long plane = item[W_PLANE], nx = group[F_NX] / 2 + 1, size = group[F_NY] * nx;
    const long long planes = source[S_LAST] ? 1 : row[I_RANK];  // from `plane` on, which is 0 where the PSF acts first
    const complex_t* in = spectrum_out + plane_begin(group[F_SPECTRUM_OUT], group[F_OUT_PLANES], row[I_FIRST_OUT] + plane, size);
    complex_t* out = spectrum_in + plane_begin(group[F_SPECTRUM_IN], group[F_IN_PLANES], row[I_FIRST_IN] + plane, size);
    const unsigned modes = group[F_MODES];
    const long long stride = group[F_NY] * modes;
    const complex_t* factor = transfer + row[I_TRANSFER] + plane * stride;
    for (long long i = item[W_Y] * nx + threadIdx.x; i < item[W_Y_END] * nx; i += blockDim.x) {
        double re = 0.0, im = 0.0;
        const unsigned y = (unsigned)i / (unsigned)nx, x = (unsigned)i % (unsigned)nx;
        if (x < modes)
            for (long long l = 0; l < planes; ++l) {
                const complex_t value = in[l * size + i], by = factor[l * stride + (long long)y * modes + x];
                const double a = value.x, b = value.y, c = by.x, d = by.y;
                re += a * c + b * d;
                im += b * c - a * d;
            }
        out[i] = complex_t{real(re), real(im)};
    }
}

// The derivative of the statistic by each pixel of an image: sources[], datasets[], rows[], images[], groups[], items[n_items, 6],
// starts[], exposure[], edisp[], reach[], params[B, n_params], image[B, n_image], slope[B, n_bins], planes_in[...] ->
// adjoint[B, n_image], and where an item has a place for sums, d stat / d F[l] in parts[B, n_parts] at part + l chunks. An item is rows
// of a box.
extern "C" __global__ void __launch_bounds__(256)
back(const long long* __restrict__ sources, const long long* __restrict__ datasets, const long long* __restrict__ rows,
     const long long* __restrict__ images, const long long* __restrict__ groups, const long long* __restrict__ items,
     const long long* __restrict__ starts, const cube* __restrict__ exposure, const double* __restrict__ edisp,
     const long long* __restrict__ reach, const double* __restrict__ params, const real* __restrict__ image,
     const real* __restrict__ slope, const real* __restrict__ planes_in, real* __restrict__ adjoint, double* __restrict__ parts,
     long long n_params, long long n_image, long long n_bins, long long n_parts) {
    const long long b = blockIdx.y;
    const long long* item = items + W_SIZE * (long long)blockIdx.x;
    const long long* row = images + I_SIZE * item[W_WHAT];
    const long long* source = sources + S_SIZE * row[I_SOURCE];
    const long long* begin = starts + source[S_STARTS] + item[W_Y];
    const long long first_row = datasets[D_SIZE * source[S_DATASET] + D_ROW], place_in_images = row[I_IMAGE] + item[W_Y] * source[S_NX];
    const int y0 = item[W_Y], width = source[S_NX], n_true = source[S_TRUE], n = (item[W_Y_END] - y0) * width;
    const double* flux = params + b * n_params + row[I_FLUX];
    const real* s = image + b * n_image + place_in_images;
    real* out = adjoint + b * n_image + place_in_images;
    const Pulled q = pulled(row, groups, rows + R_SIZE * first_row, slope + b * n_bins, planes_in);
    const double scale = q.scale();
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        const int column = begin[i / width] + i % width, place = q.place(y0 + i / width, i % width, column);
        double total = 0.0;
        if (row[I_GROUP] < 0 || source[S_LAST]) {
            for (int l = 0; l < n_true; ++l) total += flux[l] * field_at(source, l, column, q, place, exposure, edisp, reach);
        } else {  // exposure and flux were applied before the PSF
            total = q.at(0, place);
        }
        out[i] = scale * total;
    }
    if (item[W_PART] >= 0) {
        for (int l = 0; l < n_true; ++l) {
            double total = 0.0;
            for (int i = threadIdx.x; i < n; i += blockDim.x) {
                const int column = begin[i / width] + i % width, place = q.place(y0 + i / width, i % width, column);
                total += s[i] * field_at(source, l, column, q, place, exposure, edisp, reach);
            }
            total = block_sum(total);
            if (threadIdx.x == 0) parts[b * n_parts + item[W_PART] + l * item[W_CHUNKS]] = scale * total;
        }
    }
}

// Sums over pixels of adjoint times derivative images that came from the host: gradients[B, n_gradients], items[n_items, 5],
// adjoint[B, n_image] -> parts[B, n_parts]. An item is a run of pixels.
extern "C" __global__ void __launch_bounds__(256)
dot(const real* __restrict__ gradients, const long long* __restrict__ items, const real* __restrict__ adjoint,
    double* __restrict__ parts, long long n_gradients, long long n_image, long long n_parts) {
    const long long b = blockIdx.y;
    const long long* item = items + DOT_SIZE * (long long)blockIdx.x;
    const real* slope = adjoint + b * n_image + item[DOT_IMAGE];
    const real* gradient = gradients + b * n_gradients + item[DOT_GRADIENT];
    double total = 0.0;
    for (long long i = item[DOT_BEGIN] + threadIdx.x; i < item[DOT_END]; i += blockDim.x) total += double(slope[i]) * gradient[i];
    total = block_sum(total);
    if (threadIdx.x == 0) parts[b * n_parts + item[DOT_PART]] = total;
}
