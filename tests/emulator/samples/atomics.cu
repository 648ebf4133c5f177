// Counts of small integers: atomics in shared memory, then in global memory. 16 bins.
extern "C" __global__ void histogram(const int* __restrict__ values, unsigned int* __restrict__ counts, int n) {
    __shared__ unsigned int local[16];
    if (threadIdx.x < 16) local[threadIdx.x] = 0;
    __syncthreads();
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += blockDim.x * gridDim.x) atomicAdd(&local[values[i]], 1u);
    __syncthreads();
    if (threadIdx.x < 16) atomicAdd(&counts[threadIdx.x], local[threadIdx.x]);
}

// Largest and smallest value, number of positive ones.
extern "C" __global__ void extremes(const int* __restrict__ values, int* largest, int* smallest, int* positive, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    const int v = i < n ? values[i] : 0;
    if (i < n) {
        atomicMax(largest, v);
        atomicMin(smallest, v);
    }
    const int here = __syncthreads_count(i < n && v > 0);
    if (threadIdx.x == 0) atomicAdd(positive, here);
}
