// Second derivatives: weighted products of derivative images, summed over the pixels that two sources share.
//
// For derivative images J_i = d mu / d theta_i and weights w (2 / mu for the Fisher matrix, 2 n / mu^2 for the Hessian; see cash.cu):
//
//     M[i, j] = sum_k,p w[k, p] J_i[k, p] J_j[k, p]
//
// A *block of images* holds the derivative images of one source on its box. Images of large shapes may be thinned out to every few rows and
// columns, each pixel then standing for stride^2 pixels. The derivative by the norm of a background in bin k is its template, on all pixels.
//
// blockIdx.x is the pair of blocks of images, the block of images, or the row of bins. How many sums belong to it stands in the tables,
// which a launch does not look into, so blockIdx.y (and z) start at a sum each and go on in steps of the grid; a block of threads
// without a sum ends at once.
#include "common.cuh"

// A block of images, and the way from its pixels to bins. Pixels are counted in the map thinned out by the stride.
struct Images {
    const long long* block;
    const long long* source;
    const long long* starts;
    int n_reco;

    __device__ Images(const long long* block, const long long* sources, const long long* datasets, const long long* starts)
        : block(block), source(sources + S_SIZE * block[J_SOURCE]), starts(starts + source[S_STARTS]),
          n_reco(datasets[D_SIZE * source[S_DATASET] + D_RECO]) {}

    // Offset in the jacobian of image i in bin k.
    __device__ __forceinline__ long long pixel(int i, int k, int y, int x) const {
        return block[J_FIRST] + (((long long)i * n_reco + k) * block[J_NY] + y - block[J_ROW]) * block[J_NX] + x - block[J_COLUMN];
    }

    // Column of the dataset's rows of bins.
    __device__ __forceinline__ long long column(int y, int x) const {
        return starts[y * block[J_STRIDE] - source[S_ROW]] + x * block[J_STRIDE] - source[S_COLUMN];
    }

    // Pixels that each pixel stands for.
    __device__ __forceinline__ double area() const { return block[J_STRIDE] * block[J_STRIDE]; }

    // The dataset's rows of bins.
    __device__ __forceinline__ const long long* rows_of(const long long* rows, const long long* datasets) const {
        return rows + R_SIZE * datasets[D_SIZE * source[S_DATASET] + D_ROW];
    }
};

// sources[n, S_SIZE], datasets[n, D_SIZE], rows[n, R_SIZE], blocks[n, J_SIZE], pairs[n, PAIR_SIZE], starts[...], weights[n_bins],
// jacobian[...] -> parts[...]: [n_first, n_second] from PAIR_PART on. Block (p, y, z) begins with M[y, z] of pair p.
extern "C" __global__ void __launch_bounds__(256)
products(const long long* __restrict__ sources, const long long* __restrict__ datasets, const long long* __restrict__ rows,
         const long long* __restrict__ blocks, const long long* __restrict__ pairs, const long long* __restrict__ starts,
         const double* __restrict__ weights, const real* __restrict__ jacobian, double* __restrict__ parts) {
    const long long* pair = pairs + PAIR_SIZE * blockIdx.x;
    const Images one(blocks + J_SIZE * pair[PAIR_FIRST], sources, datasets, starts);
    const Images two(blocks + J_SIZE * pair[PAIR_SECOND], sources, datasets, starts);
    const int y0 = max(one.block[J_ROW], two.block[J_ROW]), x0 = max(one.block[J_COLUMN], two.block[J_COLUMN]);
    const int y1 = min(one.block[J_ROW] + one.block[J_NY], two.block[J_ROW] + two.block[J_NY]);
    const int x1 = min(one.block[J_COLUMN] + one.block[J_NX], two.block[J_COLUMN] + two.block[J_NX]);
    const int nx = x1 - x0, size = (y1 - y0) * nx;
    rows = one.rows_of(rows, datasets);
    for (int i = blockIdx.y; i < one.block[J_COUNT]; i += gridDim.y) {
        for (int j = blockIdx.z; j < two.block[J_COUNT]; j += gridDim.z) {
            double total = 0.0;
            for (int k = 0; k < one.n_reco; ++k) {
                const double* weight = weights + rows[R_SIZE * k + R_BEGIN];
                for (int p = threadIdx.x; p < size; p += blockDim.x) {
                    const int y = y0 + p / nx, x = x0 + p % nx;
                    total += weight[one.column(y, x)] * jacobian[one.pixel(i, k, y, x)] * jacobian[two.pixel(j, k, y, x)];
                }
            }
            total = block_sum(total);
            if (threadIdx.x == 0) parts[pair[PAIR_PART] + i * two.block[J_COUNT] + j] = one.area() * total;
        }
    }
}

// Products of each block of images with the background template, per reconstructed bin.
// sources[n, S_SIZE], datasets[n, D_SIZE], rows[n, R_SIZE], blocks[n, J_SIZE], ranges[n + 1], starts[...], weights[n_bins],
// template_[n_bins], jacobian[...] -> parts[...]: [count, K] from ranges[block] on. Block (j, y) begins with product y of block j.
extern "C" __global__ void __launch_bounds__(256)
crosses(const long long* __restrict__ sources, const long long* __restrict__ datasets, const long long* __restrict__ rows,
        const long long* __restrict__ blocks, const long long* __restrict__ ranges, const long long* __restrict__ starts,
        const double* __restrict__ weights, const cube* __restrict__ template_, const real* __restrict__ jacobian,
        double* __restrict__ parts) {
    const Images one(blocks + J_SIZE * blockIdx.x, sources, datasets, starts);
    const int y0 = one.block[J_ROW], x0 = one.block[J_COLUMN], nx = one.block[J_NX], size = one.block[J_NY] * nx;
    rows = one.rows_of(rows, datasets);
    for (int e = blockIdx.y; e < one.block[J_COUNT] * one.n_reco; e += gridDim.y) {
        const int i = e / one.n_reco, k = e % one.n_reco;
        const long long begin = rows[R_SIZE * k + R_BEGIN];
        double total = 0.0;
        for (int p = threadIdx.x; p < size; p += blockDim.x) {
            const int y = y0 + p / nx, x = x0 + p % nx;
            const long long bin = begin + one.column(y, x);
            total += weights[bin] * template_[bin] * jacobian[one.pixel(i, k, y, x)];
        }
        total = block_sum(total);
        if (threadIdx.x == 0) parts[ranges[blockIdx.x] + e] = one.area() * total;
    }
}

// Weighted square of the background template over each row of bins: rows[n, R_SIZE], weights[n_bins], template_[n_bins] -> parts[n]
extern "C" __global__ void __launch_bounds__(256)
squares(const long long* __restrict__ rows, const double* __restrict__ weights, const cube* __restrict__ template_,
        double* __restrict__ parts) {
    const long long r = blockIdx.x, begin = rows[R_SIZE * r + R_BEGIN], end = begin + rows[R_SIZE * r + R_LENGTH];
    double total = 0.0;
    for (long long bin = begin + threadIdx.x; bin < end; bin += blockDim.x) {
        const double t = template_[bin];
        total += weights[bin] * t * t;
    }
    total = block_sum(total);
    if (threadIdx.x == 0) parts[r] = total;
}
