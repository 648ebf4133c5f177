// What every .cu file shares: the types of the arrays, the size of a block, and sums over a block in a fixed order.
//
// The compiler is given -DREAL=double|float and -DCUBE=double|float. Tables are long long; parameters and sums are always double.
#pragma once

#include "tables.cuh"

#if !defined(REAL) || !defined(CUBE)
#error "compile with -DREAL=double (or float) and -DCUBE=double (or float)"
#endif

typedef REAL real;           // working arrays: prediction, slope, templates, transfer functions
typedef CUBE cube;           // counts, background, exposure: the precision of the files
typedef unsigned char byte;  // masks: 1 where a bin takes part

// complex_t has members x and y, the real and the imaginary part, as complex128 (complex64) arrays of NumPy and CuPy hold them.
template <class T>
struct complex_of {};
template <>
struct complex_of<double> {
    typedef double2 type;
};
template <>
struct complex_of<float> {
    typedef float2 type;
};
typedef complex_of<real>::type complex_t;

constexpr int THREADS = 256;  // threads of a block, at most; write __launch_bounds__(256) at each kernel
constexpr int WARP = 32;
constexpr unsigned FULL_WARP = 0xffffffffu;

// Sum over the 32 threads of a warp; the first one has the result. All 32 must call it.
__device__ __forceinline__ double warp_sum(double value) {
    for (int step = 0; step < 5; ++step) value += __shfl_down_sync(FULL_WARP, value, 16 >> step);
    return value;
}

// Sums over a block of several values at once; thread 0 has the results, the others keep nothing of use. All threads of the block
// must call it, and the block must consist of whole warps, at most THREADS threads. The tree is fixed: the same bits every time.
template <int N>
__device__ __forceinline__ void block_sums(double (&values)[N]) {
    __shared__ double part[N][THREADS / WARP];
    const int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP, n_warps = blockDim.x / WARP;
    for (int i = 0; i < N; ++i) {
        values[i] = warp_sum(values[i]);
        if (lane == 0) part[i][warp] = values[i];
    }
    __syncthreads();
    if (warp == 0) {
        for (int i = 0; i < N; ++i) values[i] = warp_sum((lane < n_warps) ? part[i][lane] : 0.0);
    }
    __syncthreads();  // `part` may be filled again by the next call
}

// Sum over a block of one value; otherwise as block_sums.
__device__ __forceinline__ double block_sum(double value) {
    double values[1] = {value};
    block_sums(values);
    return values[0];
}
