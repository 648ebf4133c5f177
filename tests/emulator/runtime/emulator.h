// State shared by the block scheduler (scheduler.cc) and the checks (checks.cc). Not seen by kernels.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include <unordered_map>
#include <vector>

#define HIDDEN __attribute__((visibility("hidden")))
#define EXPORTED extern "C" __attribute__((visibility("default")))
#define CALLED_BY_KERNEL extern "C" HIDDEN

struct uint3 {
    unsigned x, y, z;
};
struct dim3 {
    unsigned x, y, z;
};
extern HIDDEN uint3 threadIdx, blockIdx;
extern HIDDEN dim3 blockDim, gridDim;

// The three structures below are mirrored by ctypes in module.py.
struct Range {  // one array argument
    uint64_t base, size, item_size;
};
struct Options {
    int32_t order;  // 0 forward, 1 reverse, 2 random
    uint32_t seed;
    int32_t check;
    int32_t sampled_blocks;  // blocks whose memory transactions are counted in 32-byte sectors
};
struct Result {
    int64_t threads, blocks, barriers, warp_syncs;
    int64_t bytes_read, bytes_written, bytes_atomic, reads, writes, atomics, shared_accesses;
    int64_t sampled_bytes, sampled_sector_bytes;
    char message[1024];
};

namespace emu {

const size_t STACK = 128 << 10;     // of one fiber
const size_t OVERRUN = 8192;        // bytes after the dynamic shared memory that are watched
enum State : uint8_t { NEW, RUNNING, AT_BARRIER, AT_WARP_SYNC, DONE };

struct Fiber {
    void* stack_pointer;
    char* stack;
    int thread;
};
struct Warp {
    uint32_t arrived, alive, epoch;
    uint64_t slot[2][32];  // values in flight; two, so that a fast lane may start the next shuffle while others read the last
    uint32_t parity[32];
    int line;
};
// One remembered access to one cell of memory.
struct Access {
    int32_t block;
    int16_t thread;
    uint8_t valid, atomic;
    uint8_t bytes;  // which bytes of the cell: neighbours in one cell do not race
    uint32_t barrier_epoch, warp_epoch, fences;
    uint64_t pc;
};
struct Cell {
    Access write, read, other_read;
};
struct Sample {  // one global access of a sampled block
    uint64_t pc, sector;
    uint32_t warp, occurrence, bytes;
};

struct Launch {
    void (*kernel)(void**);
    void** arguments;
    Options options;
    Result* result;
    int n_threads, block, failed;
    uint32_t barrier_epoch;
    Fiber* current;
    std::vector<Warp> warps;
    std::vector<Range> ranges;
    char* static_shared;  // the __shared__ variables of the module
    size_t static_size;
    std::vector<char> dynamic_shared;
    size_t dynamic_size;
    std::vector<uint32_t> fences;  // per block: number of __threadfence() calls
};
extern HIDDEN Launch launch;

HIDDEN void fail(const char* format, ...) __attribute__((format(printf, 1, 2)));
HIDDEN void begin_checks();
HIDDEN void begin_block_checks(bool sampled);
HIDDEN void end_block_checks();
HIDDEN void end_checks();

}  // namespace emu
