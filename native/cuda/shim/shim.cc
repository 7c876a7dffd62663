// Fibers for shim.h. A thread of a block runs until it waits or ends; when every live thread of its warp (or
// block) waits at the warp's (or block's) barrier, they go on. Threads that wait for each other at different
// barriers can never go on, which is an error with a name.
//
// A fiber that has ended lends its stack to the next thread, so a kernel without barriers needs one stack.
#include "shim.h"

#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <new>
#include <stdexcept>
#include <vector>

#include "../machine/device.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

thread_local dim3 threadIdx, blockIdx, blockDim, gridDim;

// void shim_swap_stack(void** save, void* load): the registers that a call keeps, and the stack.
extern "C" void shim_swap_stack(void** save, void* load);
__asm__(R"(
.text
.hidden shim_swap_stack
.globl shim_swap_stack
.type shim_swap_stack, @function
shim_swap_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size shim_swap_stack, . - shim_swap_stack
)");

namespace local_entropy {

thread_local bool shim_reverse = false;
std::atomic<size_t> shim_largest{SIZE_MAX};

namespace {

constexpr size_t kStack = size_t(1) << 18;

struct Stack {
  char* memory;
  Stack() {
    void* pages =
        mmap(nullptr, kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pages == MAP_FAILED) throw std::bad_alloc();
    memory = static_cast<char*>(pages);
  }
  ~Stack() { munmap(memory, kStack); }
};

enum class State : uint8_t { kNew, kReady, kAtWarp, kAtBlock, kDone };

// One thread of the block in hand.
struct Thread {
  State state;
  void* stack_pointer;
  Stack* stack;
  uint64_t given[2];  // a lane may give again before all have taken; never twice
  unsigned exchanges, block_barriers, warp_barriers;
};

struct Scheduler {
  std::vector<std::unique_ptr<Stack>> stacks;
  std::vector<Stack*> idle;
  std::vector<Thread> threads;
  std::unique_ptr<unsigned char[]> pool;
  void (*body)(void*);
  void* data;
  unsigned current;
  bool running;  // a thread of a kernel
  ShimPlace place;
  void* own_stack_pointer;
#if defined(__SANITIZE_ADDRESS__)
  const void* own_stack = nullptr;
  size_t own_size = 0;
#endif
};

thread_local Scheduler scheduler;

void to_scheduler(bool ends) {
  Thread& thread = scheduler.threads[scheduler.current];
#if defined(__SANITIZE_ADDRESS__)
  void* fake = nullptr;
  __sanitizer_start_switch_fiber(ends ? nullptr : &fake, scheduler.own_stack, scheduler.own_size);
#endif
  (void)ends;
  shim_swap_stack(&thread.stack_pointer, scheduler.own_stack_pointer);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fake, &scheduler.own_stack, &scheduler.own_size);
#endif
}

void enter() {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, &scheduler.own_stack, &scheduler.own_size);
#endif
  scheduler.body(scheduler.data);
  scheduler.threads[scheduler.current].state = State::kDone;
  to_scheduler(true);
  std::abort();  // nobody resumes a thread that has ended
}

void start(Thread* thread) {
  if (scheduler.idle.empty()) {
    scheduler.stacks.push_back(std::make_unique<Stack>());
    scheduler.idle.push_back(scheduler.stacks.back().get());
  }
  thread->stack = scheduler.idle.back();
  scheduler.idle.pop_back();
  // Below the top, as `ret` expects it: six registers, where to go, and a return address that is never used.
  void** top = reinterpret_cast<void**>(thread->stack->memory + kStack);
  for (int i = 1; i <= 8; i++) top[-i] = nullptr;
  top[-2] = reinterpret_cast<void*>(enter);
  thread->stack_pointer = top - 8;
}

void resume(unsigned number) {
  Thread& thread = scheduler.threads[number];
  if (thread.state == State::kNew) start(&thread);
  thread.state = State::kReady;
  scheduler.current = number;
  threadIdx.x = number % blockDim.x;
  threadIdx.y = number / blockDim.x % blockDim.y;
  threadIdx.z = number / blockDim.x / blockDim.y;
#if defined(__SANITIZE_ADDRESS__)
  void* fake = nullptr;
  __sanitizer_start_switch_fiber(&fake, thread.stack->memory, kStack);
#endif
  scheduler.running = true;
  shim_swap_stack(&scheduler.own_stack_pointer, thread.stack_pointer);
  scheduler.running = false;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#endif
  if (thread.state == State::kDone) scheduler.idle.push_back(thread.stack);
}

// Lets threads begin … end - 1 go on if all that live wait at `barrier`; whether any does now.
bool open_barrier(size_t begin, size_t end, State barrier) {
  std::vector<Thread>& threads = scheduler.threads;
  bool any = false;
  for (size_t t = begin; t < end; t++) {
    if (threads[t].state == State::kDone) continue;
    if (threads[t].state != barrier) return false;
    any = true;
  }
  for (size_t t = begin; t < end && any; t++)
    if (threads[t].state == barrier) threads[t].state = State::kReady;
  return any;
}

void run_block() {
  std::vector<Thread>& threads = scheduler.threads;
  const size_t count = threads.size();
  for (Thread& thread : threads) thread = {State::kNew, nullptr, nullptr, {0, 0}, 0, 0, 0};
  for (;;) {
    size_t done = 0;
    for (size_t i = 0; i < count; i++) {
      const size_t t = shim_reverse ? count - 1 - i : i;
      if (threads[t].state == State::kNew || threads[t].state == State::kReady) resume(unsigned(t));
      done += threads[t].state == State::kDone;
    }
    if (done == count) return;
    bool goes_on = open_barrier(0, count, State::kAtBlock);
    for (size_t first = 0; first < count; first += 32)
      goes_on = open_barrier(first, first + 32 < count ? first + 32 : count, State::kAtWarp) || goes_on;
    if (!goes_on) throw DeviceError("Threads of a block wait for each other at different barriers");
  }
}

void wait_at(State barrier) {
  scheduler.threads[scheduler.current].state = barrier;
  to_scheduler(false);
}

}  // namespace

// What a device refuses.
void check_launch(const ShimLaunch& shape) {
  const auto [grid, block, shared] = shape;
  const size_t threads = size_t(block.x) * block.y * block.z, blocks = size_t(grid.x) * grid.y * grid.z;
  if (threads == 0 || threads > 1024 || block.z > 64 || blocks == 0 || grid.x > INT32_MAX ||
      grid.y > UINT16_MAX || grid.z > UINT16_MAX || shared > shared_memory_per_block())
    throw DeviceError("No device can launch " + std::to_string(grid.x) + " x " + std::to_string(grid.y) +
                      " x " + std::to_string(grid.z) + " blocks of " + std::to_string(threads) +
                      " threads with " + std::to_string(shared) + " bytes of shared memory");
}

void run_kernel(const ShimLaunch& shape, void (*thread)(void*), void* data) {
  check_launch(shape);
  scheduler.body = thread;
  scheduler.data = data;
  scheduler.threads.resize(size_t(shape.block.x) * shape.block.y * shape.block.z);
  gridDim = shape.grid;
  blockDim = shape.block;
  static std::atomic<uint64_t> kernels{0};
  scheduler.place.kernel = ++kernels;
  scheduler.place.block = 0;
  for (unsigned z = 0; z < shape.grid.z; z++)
    for (unsigned y = 0; y < shape.grid.y; y++)
      for (unsigned x = 0; x < shape.grid.x; x++) {
        blockIdx = dim3(x, y, z);
        scheduler.pool.reset(new unsigned char[shape.shared]);
        std::memset(scheduler.pool.get(), 0xff, shape.shared);
        scheduler.place.shared_begin = uintptr_t(scheduler.pool.get());
        scheduler.place.shared_end = scheduler.place.shared_begin + shape.shared;
        run_block();
        scheduler.place.block++;
      }
}

void* shim_dynamic_shared() { return scheduler.pool.get(); }
void shim_block_barrier() {
  scheduler.threads[scheduler.current].block_barriers++;
  wait_at(State::kAtBlock);
}
void shim_warp_barrier() {
  scheduler.threads[scheduler.current].warp_barriers++;
  wait_at(State::kAtWarp);
}
const ShimPlace* shim_place() {
  if (!scheduler.running) return nullptr;
  const Thread& thread = scheduler.threads[scheduler.current];
  ShimPlace& place = scheduler.place;
  place.thread = uint16_t(scheduler.current);
  place.block_barriers = thread.block_barriers;
  place.warp_barriers = thread.warp_barriers;
  place.stack_begin = uintptr_t(thread.stack->memory);
  place.stack_end = place.stack_begin + kStack;
  return &place;
}
unsigned shim_lane() { return scheduler.current % 32; }

void shim_give(uint64_t value) {
  Thread& thread = scheduler.threads[scheduler.current];
  thread.given[++thread.exchanges % 2] = value;
  wait_at(State::kAtWarp);
}

uint64_t shim_taken(unsigned lane) {
  const Thread& own = scheduler.threads[scheduler.current];
  const size_t other = scheduler.current / 32 * 32 + lane;
  const bool there = lane < 32 && other < scheduler.threads.size();
  return (there ? scheduler.threads[other] : own).given[own.exchanges % 2];
}

namespace {

// What is recorded, or null.
thread_local std::vector<std::function<void()>>* recorded = nullptr;

// As on a device, where these end a recording with an error.
void not_recording(const char* what) {
  if (recorded != nullptr)
    throw DeviceError(std::string("The host shim cannot begin ") + what + " while it records");
}

}  // namespace

void run_or_record(std::function<void()> work) {
  if (recorded != nullptr)
    recorded->push_back(std::move(work));
  else
    work();
}

Recording::~Recording() { drop(); }
void Recording::begin() {
  not_recording("a recording");
  recorded = new std::vector<std::function<void()>>();
}
void Recording::start() {
  const std::unique_ptr<std::vector<std::function<void()>>> all(recorded);
  recorded = nullptr;
  for (const std::function<void()>& work : *all) work();
}
void Recording::drop() noexcept {
  delete recorded;
  recorded = nullptr;
}

// The host's memory as the device's. It is filled with NaN, as a device's is with anything.
void* allocate(size_t bytes) {
  void* memory = bytes > shim_largest ? nullptr : std::malloc(bytes ? bytes : 1);
  if (memory == nullptr)
    throw DeviceError("The host shim has not enough memory: " + std::to_string(bytes) +
                      " bytes were asked for");
  if (bytes < size_t(1) << 28) std::memset(memory, 0xff, bytes);
  return memory;
}
void release(void* memory) noexcept { std::free(memory); }
void upload(Stream, void* to, const void* from, size_t bytes) {
  not_recording("an upload");
  std::memcpy(to, from, bytes);
}
void download(Stream, void* to, const void* from, size_t bytes) {
  not_recording("a download");
  std::memcpy(to, from, bytes);
}
void copy(Stream, void* to, const void* from, size_t bytes) {
  run_or_record([=] { std::memmove(to, from, bytes); });
}
void zero(Stream, void* to, size_t bytes) {
  run_or_record([=] { std::memset(to, 0, bytes); });
}
void blank(Stream, void* to, size_t bytes) {
  run_or_record([=] { std::memset(to, 0xff, bytes); });
}
Pace::Pace(Stream stream) : stream_(stream) {}
Pace::~Pace() = default;
void Pace::follow() { calls_++; }
void wait(Stream) { not_recording("a wait"); }
Stream new_stream() { return nullptr; }
void delete_stream(Stream) noexcept {}
double device_milliseconds(Stream, int repeats, const std::function<void()>& work) {
  using Clock = std::chrono::steady_clock;
  double best = 1e30;
  for (int i = 0; i < repeats; i++) {
    const auto begin = Clock::now();
    work();
    best = std::min(best, std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
  }
  return best;
}
std::string device_name(std::string*) { return "shim"; }
size_t shared_memory_per_block() { return size_t(227) * 1024; }
unsigned multiprocessors() { return 2; }

}  // namespace local_entropy
