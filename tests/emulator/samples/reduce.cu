// Three ways to sum an array. Blocks of 128 threads.

// Tree in shared memory; the blocks meet in an atomic.
extern "C" __global__ void __launch_bounds__(128) sum_shared(const double* __restrict__ x, double* __restrict__ total, int n) {
    __shared__ double part[128];
    const int t = threadIdx.x, i = blockIdx.x * blockDim.x + t;
    part[t] = i < n ? x[i] : 0.0;
    __syncthreads();  // FILLED
    for (int half = 64; half > 0; half >>= 1) {
        if (t < half) part[t] += part[t + half];
        __syncthreads();  // HALVED
    }
    if (t == 0) atomicAdd(total, part[0]);
}

// Shuffles inside a warp, shared memory between warps.
__device__ __forceinline__ double warp_sum(double v) {
    for (int delta = 16; delta > 0; delta >>= 1) v += __shfl_down_sync(0xffffffffu, v, delta);
    return v;
}
extern "C" __global__ void __launch_bounds__(128) sum_shuffle(const double* __restrict__ x, double* __restrict__ total, int n) {
    __shared__ double part[32];
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    double v = 0.0;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += blockDim.x * gridDim.x) v += x[i];
    v = warp_sum(v);
    if (lane == 0) part[warp] = v;
    __syncthreads();  // WARPS
    if (warp == 0) {
        v = lane < (int)((blockDim.x + 31) >> 5) ? part[lane] : 0.0;
        v = warp_sum(v);
        if (lane == 0) atomicAdd(total, v);
    }
}

// Fixed order: each block leaves its sum, the block that finishes last adds them up.
extern "C" __global__ void __launch_bounds__(128)
sum_last_block(const double* __restrict__ x, double* __restrict__ block_sums, double* __restrict__ total, unsigned int* ticket, int n) {
    __shared__ double part[128];
    __shared__ bool is_last;
    const int t = threadIdx.x, i = blockIdx.x * blockDim.x + t;
    part[t] = i < n ? x[i] : 0.0;
    __syncthreads();
    for (int half = 64; half > 0; half >>= 1) {
        if (t < half) part[t] += part[t + half];
        __syncthreads();
    }
    if (t == 0) {
        block_sums[blockIdx.x] = part[0];
        __threadfence();
        is_last = atomicAdd(ticket, 1u) == gridDim.x - 1;
    }
    __syncthreads();
    if (is_last && t == 0) {
        double s = 0.0;
        for (unsigned b = 0; b < gridDim.x; ++b) s += block_sums[b];
        total[0] = s;
    }
}

// One warp, tree in shared memory without block barriers.
extern "C" __global__ void sum_one_warp(const double* __restrict__ x, double* __restrict__ total) {
    __shared__ double part[32];
    const int t = threadIdx.x;
    part[t] = x[t];
    __syncwarp();
    for (int half = 16; half > 0; half >>= 1) {
        if (t < half) part[t] += part[t + half];
        __syncwarp();
    }
    if (t == 0) total[0] = part[0];
}
