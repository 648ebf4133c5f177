// y += a x, one thread per element: the smallest kernel there is.
extern "C" __global__ void axpy(const double* __restrict__ x, double* __restrict__ y, double a, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] += a * x[i];
}

// The same with a grid-stride loop: any grid covers any length.
extern "C" __global__ void __launch_bounds__(256)
axpy_stride(const double* __restrict__ x, double* __restrict__ y, double a, long long n) {
    const long long stride = (long long)blockDim.x * gridDim.x;
    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < n; i += stride) y[i] += a * x[i];
}
