// The checking mode: every load and store of a kernel comes here.
//
// Kernels are compiled with -fsanitize=thread, but only for its instrumentation pass: the hooks it calls (__tsan_read8, ...) are
// defined here instead of in libtsan, so nothing has to be preloaded into Python and the fibers confuse nobody. The handlers of
// the undefined-behaviour sanitizer are our own too. Compiled without sanitizers itself.
#include "emulator.h"

#include <link.h>
#include <string.h>

#include <algorithm>

namespace emu {
namespace {

const unsigned SHARED_SHIFT = 2;  // log2 of the bytes of shared memory that are remembered together
std::vector<std::vector<Cell>> global_cells;
std::vector<unsigned> cell_shift;  // log2 of the bytes of a cell, per array argument
std::vector<Cell> static_cells, dynamic_cells;
std::vector<Sample> samples;
std::unordered_map<uint64_t, uint32_t> occurrences;
bool sampling;
uint64_t image_begin, image_end;

// Address range of this shared library: its constants and __constant__ variables are fair to read.
int find_image(dl_phdr_info* info, size_t, void*) {
    uint64_t begin = ~0ull, end = 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        if (info->dlpi_phdr[i].p_type != PT_LOAD) continue;
        begin = std::min(begin, (uint64_t)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr));
        end = std::max(end, (uint64_t)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr + info->dlpi_phdr[i].p_memsz));
    }
    const uint64_t here = (uint64_t)(void*)&find_image;
    if (here < begin || here >= end) return 0;
    image_begin = begin;
    image_end = end;
    return 1;
}

// Is `access` ordered before what `thread` does now? Barriers order a block, warp synchronisations a warp.
bool happened_before(const Access& access, int thread) {
    if (access.block != launch.block) return false;
    if (access.thread == thread || access.barrier_epoch < launch.barrier_epoch) return true;
    return (access.thread >> 5) == (thread >> 5) && access.warp_epoch < launch.warps[thread >> 5].epoch;
}

bool conflict(const Access& access, const Access& now) {
    if (!access.valid || !(access.bytes & now.bytes) || (access.atomic && now.atomic)) return false;
    if (happened_before(access, now.thread)) return false;
    // Another block's access is published by a __threadfence() that came after it (the last-block pattern).
    return access.block == launch.block || access.fences == launch.fences[access.block];
}

void report_race(const char* what, const Access& access, uint64_t address, uint64_t pc, const char* space) {
    fail("DATA RACE in %s memory (%s) at 0x%llx: this access [pc %llx] vs block %d thread %d [pc %llx]", space, what,
         (unsigned long long)address, (unsigned long long)pc, access.block, (int)access.thread, (unsigned long long)access.pc);
}

void touch_cell(Cell& cell, const Access& now, bool writes, uint64_t address, const char* space) {
    if (conflict(cell.write, now))
        return report_race(writes ? "write/write" : "write/read", cell.write, address, now.pc, space);
    if (writes) {
        if (conflict(cell.read, now)) return report_race("read/write", cell.read, address, now.pc, space);
        if (conflict(cell.other_read, now)) return report_race("read/write", cell.other_read, address, now.pc, space);
        cell.write = now;
        cell.read.valid = cell.other_read.valid = 0;
    } else if (!cell.read.valid || cell.read.thread == now.thread || happened_before(cell.read, now.thread)) {
        cell.read = now;
    } else {
        cell.other_read = now;
    }
}

void touch(std::vector<Cell>& cells, uint64_t offset, unsigned size, unsigned shift, bool writes, bool atomic, uint64_t address,
           uint64_t pc, const char* space) {
    const int thread = launch.current->thread;
    Access now = {launch.block, (int16_t)thread, 1, (uint8_t)atomic, 0, launch.barrier_epoch, launch.warps[thread >> 5].epoch,
                  launch.fences[launch.block], pc};
    const uint64_t end = offset + size;
    for (uint64_t i = offset >> shift; i << shift < end && !launch.failed; i++) {
        const uint64_t begin = i << shift;
        const uint64_t first = std::max(offset, begin) - begin, last = std::min(end, begin + (1u << shift)) - begin;
        now.bytes = (uint8_t)(((1u << last) - 1) & ~((1u << first) - 1));
        touch_cell(cells[i], now, writes, address, space);
    }
}

void count(unsigned size, bool writes, bool atomic) {
    Result& result = *launch.result;
    if (atomic) {
        result.bytes_atomic += size;
        result.atomics++;
    } else if (writes) {
        result.bytes_written += size;
        result.writes++;
    } else {
        result.bytes_read += size;
        result.reads++;
    }
}

void report_out_of_bounds(uint64_t address, unsigned size, bool writes, uint64_t pc) {
    // Name the argument whose array is nearest: it is nearly always the one that was overrun.
    uint64_t nearest = ~0ull;
    int argument = -1;
    int64_t offset = 0;
    for (size_t i = 0; i < launch.ranges.size(); i++) {
        const int64_t from_base = (int64_t)(address - launch.ranges[i].base);
        const uint64_t distance = from_base < 0 ? (uint64_t)-from_base : (uint64_t)from_base - launch.ranges[i].size;
        if (distance < nearest) {
            nearest = distance;
            argument = (int)i;
            offset = from_base;
        }
    }
    fail("OUT OF BOUNDS %s of %u bytes [pc %llx]: byte offset %lld of array argument %d (%lld bytes)", writes ? "write" : "read",
         size, (unsigned long long)pc, (long long)offset, argument,
         argument >= 0 ? (long long)launch.ranges[argument].size : 0ll);
}

void access(uint64_t address, unsigned size, bool writes, bool atomic, uint64_t pc) {
    if (!launch.current || launch.failed) return;
    if (address - (uint64_t)launch.current->stack < STACK) return;  // a thread's own variables
    const uint64_t in_static = address - (uint64_t)launch.static_shared;
    if (in_static < launch.static_size) {
        launch.result->shared_accesses++;
        if (in_static + size > launch.static_size) return fail("SHARED MEMORY overrun [pc %llx]", (unsigned long long)pc);
        return touch(static_cells, in_static, size, SHARED_SHIFT, writes, atomic, address, pc, "shared");
    }
    if (address >= image_begin && address < image_end) return;  // threadIdx and its like, constants
    const uint64_t in_dynamic = address - (uint64_t)launch.dynamic_shared.data();
    if (in_dynamic < launch.dynamic_shared.size()) {
        launch.result->shared_accesses++;
        if (in_dynamic + size > launch.dynamic_size)
            return fail("DYNAMIC SHARED MEMORY overrun [pc %llx]: byte offset %d of %d", (unsigned long long)pc, (int)in_dynamic,
                        (int)launch.dynamic_size);
        return touch(dynamic_cells, in_dynamic, size, SHARED_SHIFT, writes, atomic, address, pc, "dynamic shared");
    }
    for (size_t i = 0; i < launch.ranges.size(); i++) {
        const Range& range = launch.ranges[i];
        const uint64_t offset = address - range.base;
        if (offset >= range.size) continue;
        if (offset + size > range.size) return report_out_of_bounds(address, size, writes, pc);
        count(size, writes, atomic);
        if (sampling) {
            const int thread = launch.current->thread;
            const uint32_t occurrence = occurrences[pc * 1315423911ull + thread]++;
            samples.push_back({pc, address >> 5, (uint32_t)thread >> 5, occurrence, size});
        }
        return touch(global_cells[i], offset, size, cell_shift[i], writes, atomic, address, pc, "global");
    }
    report_out_of_bounds(address, size, writes, pc);
}

bool sample_before(const Sample& a, const Sample& b) {
    if (a.pc != b.pc) return a.pc < b.pc;
    if (a.warp != b.warp) return a.warp < b.warp;
    if (a.occurrence != b.occurrence) return a.occurrence < b.occurrence;
    return a.sector < b.sector;
}

}  // namespace

void begin_checks() {
    if (!image_end) dl_iterate_phdr(find_image, nullptr);
    global_cells.assign(launch.ranges.size(), {});
    cell_shift.clear();
    for (size_t i = 0; i < launch.ranges.size(); i++) {
        const uint64_t item = launch.ranges[i].item_size;
        cell_shift.push_back(item >= 8 ? 3 : item >= 4 ? 2 : item >= 2 ? 1 : 0);
        global_cells[i].resize((launch.ranges[i].size >> cell_shift[i]) + 1);
    }
    static_cells.resize((launch.static_size >> SHARED_SHIFT) + 1);
    dynamic_cells.resize((launch.dynamic_size >> SHARED_SHIFT) + 1);
}

void begin_block_checks(bool sampled) {
    sampling = sampled;
    std::fill(static_cells.begin(), static_cells.end(), Cell());
    std::fill(dynamic_cells.begin(), dynamic_cells.end(), Cell());
}

// The k-th access of an instruction by the lanes of a warp is one request; it moves each 32-byte sector that it touches once.
void end_block_checks() {
    if (!sampling) return;
    std::sort(samples.begin(), samples.end(), sample_before);
    for (size_t i = 0; i < samples.size(); i++) {
        launch.result->sampled_bytes += samples[i].bytes;
        if (i == 0 || sample_before(samples[i - 1], samples[i])) launch.result->sampled_sector_bytes += 32;
    }
    samples.clear();
    occurrences.clear();
}

void end_checks() {
    global_cells.clear();
    static_cells.clear();
    dynamic_cells.clear();
    samples.clear();
    occurrences.clear();
    sampling = false;
}

}  // namespace emu

using namespace emu;

#define CALLER (uint64_t) __builtin_return_address(0)
CALLED_BY_KERNEL void emu_atomic(const volatile void* address, int size, void* caller) {
    if (launch.options.check) access((uint64_t)address, size, true, true, (uint64_t)caller);
}

// ---- hooks of -fsanitize=thread -----------------------------------------------------------------------------------------
#define HOOKS(N)                                                                                                     \
    CALLED_BY_KERNEL void __tsan_read##N(void* p) { access((uint64_t)p, N, false, false, CALLER); }                  \
    CALLED_BY_KERNEL void __tsan_write##N(void* p) { access((uint64_t)p, N, true, false, CALLER); }                  \
    CALLED_BY_KERNEL void __tsan_unaligned_read##N(void* p) { access((uint64_t)p, N, false, false, CALLER); }        \
    CALLED_BY_KERNEL void __tsan_unaligned_write##N(void* p) { access((uint64_t)p, N, true, false, CALLER); }        \
    CALLED_BY_KERNEL void __tsan_volatile_read##N(void* p) { access((uint64_t)p, N, false, false, CALLER); }         \
    CALLED_BY_KERNEL void __tsan_volatile_write##N(void* p) { access((uint64_t)p, N, true, false, CALLER); }
HOOKS(1)
HOOKS(2)
HOOKS(4)
HOOKS(8)
HOOKS(16)
CALLED_BY_KERNEL void __tsan_read_range(void* p, size_t n) { access((uint64_t)p, n, false, false, CALLER); }
CALLED_BY_KERNEL void __tsan_write_range(void* p, size_t n) { access((uint64_t)p, n, true, false, CALLER); }
CALLED_BY_KERNEL void __tsan_init() {}
CALLED_BY_KERNEL void __tsan_func_entry(void*) {}
CALLED_BY_KERNEL void __tsan_func_exit() {}
CALLED_BY_KERNEL void __tsan_vptr_update(void**, void*) {}
CALLED_BY_KERNEL void* __tsan_memcpy(void* to, const void* from, size_t n) {
    access((uint64_t)from, n, false, false, CALLER);
    access((uint64_t)to, n, true, false, CALLER);
    return memcpy(to, from, n);
}
CALLED_BY_KERNEL void* __tsan_memset(void* to, int value, size_t n) {
    access((uint64_t)to, n, true, false, CALLER);
    return memset(to, value, n);
}

// ---- handlers of -fsanitize=signed-integer-overflow,... ---------------------------------------------------------------------
#define UNDEFINED(NAME, TEXT)                                                                                   \
    CALLED_BY_KERNEL void __ubsan_handle_##NAME(void*, ...) {                                                   \
        if (launch.current && !launch.failed) fail("UNDEFINED BEHAVIOUR: " TEXT " [pc %llx]", (unsigned long long)CALLER); \
    }
UNDEFINED(add_overflow, "signed overflow in +")
UNDEFINED(sub_overflow, "signed overflow in -")
UNDEFINED(mul_overflow, "signed overflow in *")
UNDEFINED(negate_overflow, "signed overflow in negation")
UNDEFINED(shift_out_of_bounds, "shift by a negative or too large number of bits")
UNDEFINED(divrem_overflow, "integer division by zero or overflow")
UNDEFINED(type_mismatch_v1, "MISALIGNED access: the address is no multiple of the type's alignment")
UNDEFINED(out_of_bounds, "index outside an array of fixed size")
