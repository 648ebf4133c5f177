// Instances are chosen with name_expressions=("block_sums<double>", "block_sums<float>"): storage of one type, sums in double.
template <class T>
__global__ void block_sums(const T* __restrict__ x, double* __restrict__ sums, T scale, int n) {
    __shared__ T tile[64];
    const int t = threadIdx.x, i = blockIdx.x * 64 + t;
    tile[t] = i < n ? x[i] * scale : T(0);
    __syncthreads();
    if (t == 0) {
        double s = 0.0;
        for (int j = 0; j < 64; ++j) s += tile[j];
        sums[blockIdx.x] = s;
    }
}
