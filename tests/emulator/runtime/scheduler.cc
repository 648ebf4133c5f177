// Runs the blocks of a launch one after another, the threads of a block as fibers of one OS thread.
//
// A fiber runs threads back to back until one of them has to wait (barrier, warp synchronisation); only then is another fiber
// made. Kernels without barriers therefore pay no context switch at all. Compiled without sanitizers.
#include "emulator.h"

#include <link.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <algorithm>

HIDDEN uint3 threadIdx, blockIdx;
HIDDEN dim3 blockDim, gridDim;

// emu_switch(&save, load): push the callee-saved registers, keep the stack pointer in *save, continue on the stack `load`.
extern "C" void emu_switch(void** save, void* load);
#if defined(__x86_64__)
asm(".text\n"
    ".hidden emu_switch\n"
    ".globl emu_switch\n"
    "emu_switch:\n"
    " pushq %rbp\n pushq %rbx\n pushq %r12\n pushq %r13\n pushq %r14\n pushq %r15\n"
    " movq %rsp,(%rdi)\n movq %rsi,%rsp\n"
    " popq %r15\n popq %r14\n popq %r13\n popq %r12\n popq %rbx\n popq %rbp\n"
    " ret\n");
#else
#error "emu_switch is written for x86-64; port these few lines to run the emulator here"
#endif

namespace emu {

Launch launch;

namespace {

std::vector<Fiber*> all_fibers, idle_fibers;
void* scheduler_stack;
std::vector<int> thread_order, run_queue;
std::vector<Fiber*> fiber_of;  // per thread
std::vector<State> state_of;
std::vector<int> line_of;  // where a waiting thread waits
std::vector<int> votes;
int next_thread, n_done, n_at_barrier, vote_result;
uint64_t random_state;

unsigned random_number() {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (unsigned)(random_state >> 11);
}

void set_thread(int thread) {
    threadIdx.x = thread % blockDim.x;
    threadIdx.y = (thread / blockDim.x) % blockDim.y;
    threadIdx.z = thread / (blockDim.x * blockDim.y);
}

void make_order(std::vector<int>& order, int n) {
    order.resize(n);
    for (int i = 0; i < n; i++) order[i] = launch.options.order == 1 ? n - 1 - i : i;
    if (launch.options.order == 2)
        for (int i = n - 1; i > 0; i--) std::swap(order[i], order[random_number() % (i + 1)]);
}

void leave_to_scheduler() {
    Fiber* fiber = launch.current;
    emu_switch(&fiber->stack_pointer, scheduler_stack);
    set_thread(fiber->thread);
}

// Body of every fiber: take the next thread that has not begun, run the kernel for it, repeat until somebody else can go on.
void fiber_body() {
    for (;;) {
        while (next_thread < launch.n_threads && !launch.failed) {
            int thread = thread_order[next_thread++];
            launch.current->thread = thread;
            fiber_of[thread] = launch.current;
            state_of[thread] = RUNNING;
            set_thread(thread);
            launch.kernel(launch.arguments);
            state_of[thread] = DONE;
            n_done++;
            launch.result->threads++;
            launch.warps[thread >> 5].alive &= ~(1u << (thread & 31));
            if (!run_queue.empty()) break;
        }
        idle_fibers.push_back(launch.current);
        Fiber* fiber = launch.current;
        emu_switch(&fiber->stack_pointer, scheduler_stack);
    }
}

Fiber* make_fiber() {
    Fiber* fiber = new Fiber;
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    fiber->stack = (char*)mmap(nullptr, STACK + 4096, PROT_READ | PROT_WRITE, flags, -1, 0);
    mprotect(fiber->stack, 4096, PROT_NONE);  // a stack overflow stops here instead of running into the next fiber
    fiber->stack += 4096;
    // The first switch pops six registers and returns into fiber_body; the extra word keeps rsp % 16 == 8 there, as after a call.
    uint64_t* top = (uint64_t*)(fiber->stack + STACK);
    *--top = 0;
    *--top = (uint64_t)(void*)fiber_body;
    for (int i = 0; i < 6; i++) *--top = 0;
    fiber->stack_pointer = top;
    all_fibers.push_back(fiber);
    return fiber;
}

void free_fibers() {
    for (Fiber* fiber : all_fibers) {
        munmap(fiber->stack - 4096, STACK + 4096);
        delete fiber;
    }
    all_fibers.clear();
    idle_fibers.clear();
}

void resume(Fiber* fiber) {
    launch.current = fiber;
    emu_switch(&scheduler_stack, fiber->stack_pointer);
    launch.current = nullptr;
}

void wake(int thread) {
    state_of[thread] = RUNNING;
    run_queue.push_back(thread);
}

int take_from_queue() {
    if (launch.options.order == 2) std::swap(run_queue[random_number() % run_queue.size()], run_queue.back());
    if (launch.options.order == 1) std::swap(run_queue.front(), run_queue.back());
    int thread = run_queue.back();
    run_queue.pop_back();
    return thread;
}

void reset_block() {
    const int n = launch.n_threads;
    make_order(thread_order, n);
    fiber_of.assign(n, nullptr);
    state_of.assign(n, NEW);
    line_of.assign(n, 0);
    votes.assign(n, 0);
    run_queue.clear();
    next_thread = n_done = n_at_barrier = 0;
    launch.barrier_epoch = 0;
    launch.warps.resize((n + 31) / 32);
    for (size_t i = 0; i < launch.warps.size(); i++) {
        Warp& warp = launch.warps[i];
        const int lanes = std::min(32, n - (int)i * 32);
        warp.arrived = warp.epoch = 0;
        warp.line = 0;
        warp.alive = lanes == 32 ? ~0u : (1u << lanes) - 1;
        memset(warp.parity, 0, sizeof warp.parity);
        memset(warp.slot, 0xff, sizeof warp.slot);
    }
    // All ones is NaN for floating point and -1 for integers: a slot that was never written shows in the result.
    memset(launch.static_shared, 0xff, launch.static_size);
    memset(launch.dynamic_shared.data(), 0xff, launch.dynamic_shared.size());
}

void check_overrun() {
    for (size_t i = launch.dynamic_size; i < launch.dynamic_shared.size(); i++)
        if (launch.dynamic_shared[i] != (char)0xff) {
            fail("dynamic shared-memory overrun: byte %d of %d was overwritten", (int)i, (int)launch.dynamic_size);
            return;
        }
}

// Everybody who is left waits at a barrier: let them go on, unless the barrier is not the same for all.
void release_barrier() {
    int line = 0;
    for (int i = 0; i < launch.n_threads; i++) {
        if (state_of[i] != AT_BARRIER) continue;
        if (line && line_of[i] != line) {
            set_thread(i);
            fail("barrier divergence: __syncthreads at line %d while another thread waits at line %d", line_of[i], line);
            return;
        }
        line = line_of[i];
    }
    if (launch.options.check && n_done) {
        fail("barrier divergence: %d of %d threads exited before __syncthreads at line %d", n_done, launch.n_threads, line);
        return;
    }
    vote_result = 0;
    for (int i = 0; i < launch.n_threads; i++) vote_result += state_of[i] == AT_BARRIER && votes[i];
    launch.barrier_epoch++;
    launch.result->barriers++;
    n_at_barrier = 0;
    for (int thread : thread_order)
        if (state_of[thread] == AT_BARRIER) wake(thread);
}

void run_block() {
    reset_block();
    while (!launch.failed) {
        if (!run_queue.empty()) {
            resume(fiber_of[take_from_queue()]);
        } else if (next_thread < launch.n_threads) {
            Fiber* fiber = idle_fibers.empty() ? make_fiber() : idle_fibers.back();
            if (!idle_fibers.empty()) idle_fibers.pop_back();
            resume(fiber);
        } else if (n_done == launch.n_threads) {
            check_overrun();
            return;
        } else if (n_at_barrier > 0 && n_at_barrier + n_done == launch.n_threads) {
            release_barrier();
        } else {
            for (int i = 0; i < launch.n_threads && !launch.failed; i++)
                if (state_of[i] == AT_WARP_SYNC) {
                    set_thread(i);
                    fail("warp-sync deadlock at line %d: a lane named in the mask never arrives (divergent or exited)", line_of[i]);
                }
        }
    }
}

// Lays down the value of this lane for a shuffle or a vote; returns which of the two slots holds it.
unsigned put_in_slot(uint64_t bits) {
    const int thread = launch.current->thread;
    Warp& warp = launch.warps[thread >> 5];
    const unsigned parity = warp.parity[thread & 31] ^= 1;
    warp.slot[parity][thread & 31] = bits;
    return parity;
}

}  // namespace

void fail(const char* format, ...) {
    if (!launch.failed) {
        char* message = launch.result->message;
        va_list arguments;
        va_start(arguments, format);
        int n = snprintf(message, 200, "block (%u,%u,%u) thread (%u,%u,%u): ", blockIdx.x, blockIdx.y, blockIdx.z, threadIdx.x,
                         threadIdx.y, threadIdx.z);
        vsnprintf(message + n, sizeof launch.result->message - n, format, arguments);
        va_end(arguments);
    }
    launch.failed = 1;
    if (launch.current) leave_to_scheduler();  // never comes back: the fibers of a failed launch are thrown away
}

}  // namespace emu

using namespace emu;

CALLED_BY_KERNEL void* emu_dynamic_shared() { return launch.dynamic_shared.data(); }
CALLED_BY_KERNEL int emu_lane() { return launch.current->thread & 31; }
CALLED_BY_KERNEL void emu_trap(const char* why, int line) { fail("%s (line %d)", why, line); }
CALLED_BY_KERNEL void emu_fence() { launch.fences[launch.block]++; }

CALLED_BY_KERNEL void emu_syncthreads(int line) {
    const int thread = launch.current->thread;
    state_of[thread] = AT_BARRIER;
    line_of[thread] = line;
    n_at_barrier++;
    leave_to_scheduler();
}

CALLED_BY_KERNEL int emu_syncthreads_count(int predicate, int line) {
    votes[launch.current->thread] = predicate != 0;
    emu_syncthreads(line);
    return vote_result;
}

CALLED_BY_KERNEL void emu_syncwarp(unsigned mask, int line) {
    const int thread = launch.current->thread, lane = thread & 31, first = thread & ~31;
    Warp& warp = launch.warps[thread >> 5];
    const int lanes = std::min(32, launch.n_threads - first);
    mask &= lanes == 32 ? ~0u : (1u << lanes) - 1;
    if (!(mask >> lane & 1)) fail("a lane is not in its own synchronisation mask (line %d)", line);
    if (warp.arrived && warp.line != line && launch.options.check)
        fail("warp-sync divergence: a lane at line %d while others wait at line %d", line, warp.line);
    warp.arrived |= 1u << lane;
    warp.line = line;
    if ((warp.arrived & mask) != mask) {
        state_of[thread] = AT_WARP_SYNC;
        line_of[thread] = line;
        leave_to_scheduler();
        return;
    }
    warp.arrived &= ~mask;
    warp.epoch++;
    launch.result->warp_syncs++;
    for (int i = 0; i < 32; i++)
        if ((mask >> i & 1) && i != lane) wake(first + i);
}

CALLED_BY_KERNEL uint64_t emu_shuffle(unsigned mask, uint64_t bits, int source, int line) {
    const unsigned parity = put_in_slot(bits);
    Warp& warp = launch.warps[launch.current->thread >> 5];
    emu_syncwarp(mask, line);
    if (launch.options.check) {
        if (!(mask >> (source & 31) & 1))
            fail("a shuffle reads lane %d, which is not in its mask 0x%x (line %d)", source, mask, line);
        if ((launch.current->thread & ~31) + (source & 31) >= launch.n_threads)
            fail("a shuffle reads lane %d, which the last warp of this block does not have (line %d)", source, line);
    }
    return warp.slot[parity][source & 31];
}

CALLED_BY_KERNEL unsigned emu_ballot(unsigned mask, int predicate, int line) {
    const unsigned parity = put_in_slot(predicate != 0);
    const int first = launch.current->thread & ~31;
    Warp& warp = launch.warps[first >> 5];
    emu_syncwarp(mask, line);
    unsigned result = 0;
    for (int i = 0; i < 32 && first + i < launch.n_threads; i++)
        if (mask >> i & 1) result |= (unsigned)warp.slot[parity][i] << i;
    return result;
}

// ---- where the __shared__ variables of this module are ----------------------------------------------------------------------
namespace {

thread_local char anchor[16];  // a variable among them

struct Storage {
    char* begin;
    size_t size;
};

int find_storage(dl_phdr_info* info, size_t, void* found) {
    Storage* storage = (Storage*)found;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const size_t size = info->dlpi_phdr[i].p_memsz;
        if (info->dlpi_phdr[i].p_type != PT_TLS || (size_t)(anchor - (char*)info->dlpi_tls_data) >= size) continue;
        *storage = {(char*)info->dlpi_tls_data, size};
        return 1;
    }
    return 0;
}

// Its address differs between OS threads, its distance from the anchor does not.
void find_static_shared() {
    static ptrdiff_t distance;
    static size_t size;
    if (!size) {
        Storage storage = {anchor, sizeof anchor};
        dl_iterate_phdr(find_storage, &storage);
        distance = anchor - storage.begin;
        size = storage.size;
    }
    launch.static_shared = anchor - distance;
    launch.static_size = size;
}

}  // namespace

// Runs a whole grid. `dimensions`: grid x, y, z, block x, y, z. Returns 0, or 1 with a message in `result`.
EXPORTED int emu_launch(void (*kernel)(void**), void** arguments, const unsigned* dimensions, size_t shared_bytes,
                        const Range* ranges, int n_ranges, const Options* options, Result* result) {
    const int64_t n_blocks = (int64_t)dimensions[0] * dimensions[1] * dimensions[2];
    launch.kernel = kernel;
    launch.arguments = arguments;
    launch.options = *options;
    launch.result = result;
    memset(result, 0, sizeof *result);
    random_state = 88172645463325252ull ^ ((uint64_t)options->seed << 20);
    launch.failed = 0;
    launch.current = nullptr;
    gridDim = {dimensions[0], dimensions[1], dimensions[2]};
    blockDim = {dimensions[3], dimensions[4], dimensions[5]};
    launch.n_threads = dimensions[3] * dimensions[4] * dimensions[5];
    find_static_shared();
    launch.dynamic_size = shared_bytes;
    launch.dynamic_shared.assign(shared_bytes + OVERRUN, 0);
    launch.fences.assign(n_blocks, 0);
    launch.ranges.assign(ranges, ranges + n_ranges);
    if (options->check) begin_checks();
    std::vector<int> block_order;
    make_order(block_order, (int)n_blocks);
    for (int64_t i = 0; i < n_blocks && !launch.failed; i++) {
        launch.block = block_order[i];
        blockIdx.x = launch.block % dimensions[0];
        blockIdx.y = (launch.block / dimensions[0]) % dimensions[1];
        blockIdx.z = launch.block / (dimensions[0] * dimensions[1]);
        if (options->check) begin_block_checks(i < options->sampled_blocks);
        run_block();
        if (options->check) end_block_checks();
        result->blocks++;
    }
    if (launch.failed) free_fibers();
    end_checks();
    return launch.failed;
}
