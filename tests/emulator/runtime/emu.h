// CUDA C on the host: this header is injected in front of a .cu file (g++ -include emu.h kernel.cu) and gives meaning to the
// words of the language that a C++ compiler does not know. The block scheduler and the checks behind it are in scheduler.cc
// and checks.cc. What is missing here on purpose (textures, cooperative groups, cub, __activemask) ends in a compile error.
#pragma once
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <type_traits>

// ---- vocabulary ---------------------------------------------------------------------------------------------------------
#define __CUDA_EMULATOR__ 1
#define __CUDACC__ 1
#define __CUDA_ARCH__ 800
#define __global__ __attribute__((noinline))
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __restrict__ __restrict
#define __launch_bounds__(...)
#define __align__(n) alignas(n)
#define __constant__ __attribute__((visibility("default")))
// The thread-local storage of the module holds its __shared__ variables and nothing else, so that the scheduler can poison them and the
// checks can find them. All emulated threads are fibers of one OS thread. (A section attribute would be ignored inside of templates.)
// used: what a kernel only reads is not known to be zero.
#define __shared__ static thread_local __attribute__((used))

struct uint3 {
    unsigned x, y, z;
};
struct dim3 {
    unsigned x, y, z;
    dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {}
};
// CUDA's vector types are aligned to their size: a vector load at an odd offset is a fault on the GPU.
struct alignas(8) float2 {
    float x, y;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
struct alignas(16) double2 {
    double x, y;
};
struct alignas(8) int2 {
    int x, y;
};
struct alignas(16) int4 {
    int x, y, z, w;
};
static inline float2 make_float2(float x, float y) { return {x, y}; }
static inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
static inline double2 make_double2(double x, double y) { return {x, y}; }
static inline int2 make_int2(int x, int y) { return {x, y}; }
static inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }

extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;
static const int warpSize = 32;

// ---- the runtime's side -------------------------------------------------------------------------------------------------
extern "C" {
void* emu_dynamic_shared();
void emu_syncthreads(int line);
int emu_syncthreads_count(int predicate, int line);
void emu_syncwarp(unsigned mask, int line);
uint64_t emu_shuffle(unsigned mask, uint64_t bits, int source_lane, int line);
unsigned emu_ballot(unsigned mask, int predicate, int line);
int emu_lane();
void emu_fence();
void emu_atomic(const volatile void* address, int size, void* caller);
void emu_trap(const char* why, int line);
}
// Helpers that touch memory on behalf of the kernel report the access themselves.
#define EMU_UNCHECKED __attribute__((no_sanitize("thread")))

// ---- barriers, shuffles and votes ---------------------------------------------------------------------------------------
#define __syncthreads() emu_syncthreads(__LINE__)
#define __syncthreads_count(p) emu_syncthreads_count(p, __LINE__)
#define __syncthreads_or(p) (emu_syncthreads_count(p, __LINE__) != 0)
#define __syncthreads_and(p) (emu_syncthreads_count(!(p), __LINE__) == 0)
#define __threadfence() emu_fence()
#define __threadfence_block() ((void)0)
#define __threadfence_system() emu_fence()
#define __trap() emu_trap("__trap() was called", __LINE__)
#undef assert
#define assert(condition) ((condition) ? (void)0 : emu_trap("assertion failed: " #condition, __LINE__))
static inline void __syncwarp(unsigned mask = 0xffffffffu, int line = __builtin_LINE()) { emu_syncwarp(mask, line); }

static inline int emu_source_down(int delta, int width) {
    int lane = emu_lane();
    return (lane & (width - 1)) + delta < width ? lane + delta : lane;
}
static inline int emu_source_up(int delta, int width) {
    int lane = emu_lane();
    return (lane & (width - 1)) - delta >= 0 ? lane - delta : lane;
}
static inline int emu_source_xor(int lane_mask, int width) {
    int lane = emu_lane();
    return (lane & ~(width - 1)) | ((lane ^ lane_mask) & (width - 1));
}
static inline int emu_source_index(int source, int width) { return (emu_lane() & ~(width - 1)) | (source & (width - 1)); }

#define EMU_SHUFFLE(NAME, SOURCE)                                                                       \
    template <class T>                                                                                  \
    static inline T NAME(unsigned mask, T value, int lane, int width = 32, int line = __builtin_LINE()) { \
        static_assert(sizeof(T) <= 8, "a shuffle moves at most 8 bytes");                               \
        uint64_t bits = 0;                                                                              \
        memcpy(&bits, &value, sizeof(T));                                                               \
        bits = emu_shuffle(mask, bits, SOURCE(lane, width), line);                                      \
        memcpy(&value, &bits, sizeof(T));                                                               \
        return value;                                                                                   \
    }
EMU_SHUFFLE(__shfl_down_sync, emu_source_down)
EMU_SHUFFLE(__shfl_up_sync, emu_source_up)
EMU_SHUFFLE(__shfl_xor_sync, emu_source_xor)
EMU_SHUFFLE(__shfl_sync, emu_source_index)
#define __ballot_sync(mask, p) emu_ballot(mask, p, __LINE__)
#define __any_sync(mask, p) (emu_ballot(mask, p, __LINE__) != 0)
#define __all_sync(mask, p) (emu_ballot(mask, !(p), __LINE__) == 0)

// ---- atomics ------------------------------------------------------------------------------------------------------------
// Threads are fibers of one OS thread, so plain code is atomic; the runtime only has to know that it was meant to be.
// noinline: the return address is the line of the kernel that is shown when something is wrong.
#define EMU_ATOMIC(NAME, UPDATE)                                                \
    template <class T, class U>                                                 \
    EMU_UNCHECKED __attribute__((noinline)) T NAME(T* address, U operand) {     \
        emu_atomic(address, sizeof(T), __builtin_return_address(0));            \
        T old = *address, value = (T)operand;                                   \
        *address = UPDATE;                                                      \
        return old;                                                             \
    }
EMU_ATOMIC(atomicAdd, (T)(old + value))
EMU_ATOMIC(atomicSub, (T)(old - value))
EMU_ATOMIC(atomicMax, value > old ? value : old)
EMU_ATOMIC(atomicMin, value < old ? value : old)
EMU_ATOMIC(atomicExch, value)
EMU_ATOMIC(atomicAnd, (T)(old & value))
EMU_ATOMIC(atomicOr, (T)(old | value))
EMU_ATOMIC(atomicXor, (T)(old ^ value))
EMU_ATOMIC(atomicInc, (T)(old >= value ? 0 : old + 1))
EMU_ATOMIC(atomicDec, (T)(old == 0 || old > value ? value : old - 1))
template <class T>
EMU_UNCHECKED __attribute__((noinline)) T atomicCAS(T* address, T compare, T value) {
    emu_atomic(address, sizeof(T), __builtin_return_address(0));
    T old = *address;
    if (old == compare) *address = value;
    return old;
}

// ---- device functions that the C library lacks ----------------------------------------------------------------------------
template <class T>
static inline T __ldg(const T* p) {
    return *p;
}
static inline double rsqrt(double x) { return 1.0 / sqrt(x); }
static inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
static inline double sinpi(double x) { return sin(M_PI * x); }
static inline double cospi(double x) { return cos(M_PI * x); }
static inline double normcdf(double x) { return 0.5 * erfc(-x * M_SQRT1_2); }
// Macros, because glibc has functions of these names for itself.
#define __expf(x) expf(x)
#define __logf(x) logf(x)
#define __powf(x, y) powf(x, y)
static inline float __fdividef(float a, float b) { return a / b; }
static inline double __dmul_rn(double a, double b) { return a * b; }
static inline double __dadd_rn(double a, double b) { return a + b; }
static inline double __dsub_rn(double a, double b) { return a - b; }
static inline double __ddiv_rn(double a, double b) { return a / b; }
static inline double __dsqrt_rn(double a) { return sqrt(a); }
static inline double __fma_rn(double a, double b, double c) { return fma(a, b, c); }
static inline int __popc(unsigned x) { return __builtin_popcount(x); }
static inline int __ffs(int x) { return __builtin_ffs(x); }
static inline int __clz(int x) { return x ? __builtin_clz((unsigned)x) : 32; }
static inline long long __double_as_longlong(double d) {
    long long r;
    memcpy(&r, &d, 8);
    return r;
}
static inline double __longlong_as_double(long long d) {
    double r;
    memcpy(&r, &d, 8);
    return r;
}
static inline int __float_as_int(float d) {
    int r;
    memcpy(&r, &d, 4);
    return r;
}
static inline float __int_as_float(int d) {
    float r;
    memcpy(&r, &d, 4);
    return r;
}
template <class A, class B>
static inline typename std::common_type<A, B>::type min(A a, B b) {
    typedef typename std::common_type<A, B>::type C;
    return (C)b < (C)a ? (C)b : (C)a;
}
template <class A, class B>
static inline typename std::common_type<A, B>::type max(A a, B b) {
    typedef typename std::common_type<A, B>::type C;
    return (C)a < (C)b ? (C)b : (C)a;
}

// ---- launch glue: the parameter types are deduced from the kernel itself, so that the host can check what it is given -----
// A signature is a list such as "cPd,Pd,i,": const double*, double*, int. Type letters are those of Python's struct module.
template <class T>
struct EmuLetter {
    static const char* get() { return "x"; }  // a type the launcher cannot pass
};
#define EMU_LETTER(T, S)                       \
    template <>                                \
    struct EmuLetter<T> {                      \
        static const char* get() { return S; } \
    };
EMU_LETTER(double, "d")
EMU_LETTER(float, "f")
EMU_LETTER(int, "i")
EMU_LETTER(unsigned, "I")
EMU_LETTER(long long, "q")
EMU_LETTER(unsigned long long, "Q")
EMU_LETTER(long, "q")
EMU_LETTER(unsigned long, "Q")
EMU_LETTER(short, "h")
EMU_LETTER(unsigned short, "H")
EMU_LETTER(char, "b")
EMU_LETTER(signed char, "b")
EMU_LETTER(unsigned char, "B")
EMU_LETTER(bool, "?")
EMU_LETTER(double2, "D")
EMU_LETTER(float2, "F")
EMU_LETTER(void, "v")

template <class T>
struct EmuParameter {
    static void append(char* out) {
        strcat(out, EmuLetter<typename std::remove_cv<T>::type>::get());
        strcat(out, ",");
    }
};
template <class T>
struct EmuParameter<T*> {
    static void append(char* out) {
        strcat(out, std::is_const<T>::value ? "cP" : "P");
        strcat(out, EmuLetter<typename std::remove_cv<T>::type>::get());
        strcat(out, ",");
    }
};
template <int... I>
struct EmuIndices {};
template <int N, int... I>
struct EmuCount : EmuCount<N - 1, N - 1, I...> {};
template <int... I>
struct EmuCount<0, I...> {
    typedef EmuIndices<I...> type;
};
template <class T>
using EmuBare = typename std::remove_const<typename std::remove_reference<T>::type>::type;

template <class... A>
struct EmuKernel {
    template <int... I>
    EMU_UNCHECKED static void apply(void (*kernel)(A...), void** arguments, EmuIndices<I...>) {
        kernel(*(EmuBare<A>*)arguments[I]...);
    }
    EMU_UNCHECKED static void call(void (*kernel)(A...), void** arguments) {
        apply(kernel, arguments, typename EmuCount<sizeof...(A)>::type());
    }
    static void signature(char* out) {
        out[0] = 0;
        int done[] = {0, (EmuParameter<EmuBare<A>>::append(out), 0)...};
        (void)done;
    }
};
template <class... A>
EMU_UNCHECKED static void emu_call(void (*kernel)(A...), void** arguments) {
    EmuKernel<A...>::call(kernel, arguments);
}
template <class... A>
static void emu_signature(void (*)(A...), char* out) {
    EmuKernel<A...>::signature(out);
}
#define EMU_VISIBLE extern "C" __attribute__((visibility("default"), no_sanitize("thread")))
#define EMU_EXPORT(ID, KERNEL)                                                           \
    EMU_VISIBLE void emu_call_##ID(void** arguments) { emu_call(KERNEL, arguments); }    \
    EMU_VISIBLE void emu_signature_##ID(char* out) { emu_signature(KERNEL, out); }
