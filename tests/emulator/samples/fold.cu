// out[k, p] += sum_l edisp[k, l] spec[l] tmpl[l, p]: eight rows per block, tiles of the matrix in dynamic shared memory.
#ifndef TILE
#define TILE 16
#endif
extern "C" __global__ void __launch_bounds__(128)
fold(const double* __restrict__ edisp, const double* __restrict__ spec, const double* __restrict__ tmpl, double* __restrict__ out,
     int K, int L, int P) {
    extern __shared__ double tile[];  // 8 * TILE
    const int p = blockIdx.x * blockDim.x + threadIdx.x;
    const int first_k = blockIdx.y * 8;
    double sums[8] = {0, 0, 0, 0, 0, 0, 0, 0};
    for (int first_l = 0; first_l < L; first_l += TILE) {
        const int n_l = min(TILE, L - first_l);
        for (int j = threadIdx.x; j < 8 * TILE; j += blockDim.x) {
            const int k = j / TILE, l = j % TILE;
            tile[j] = (first_k + k < K && l < n_l) ? edisp[(size_t)(first_k + k) * L + first_l + l] * spec[first_l + l] : 0.0;
        }
        __syncthreads();  // FILLED
        if (p < P)
            for (int l = 0; l < n_l; ++l) {
                const double t = tmpl[(size_t)(first_l + l) * P + p];
                for (int k = 0; k < 8; ++k) sums[k] = fma(tile[k * TILE + l], t, sums[k]);
            }
        __syncthreads();  // USED
    }
    if (p < P)
        for (int k = 0; k < 8 && first_k + k < K; ++k) out[(size_t)(first_k + k) * P + p] += sums[k];
}
