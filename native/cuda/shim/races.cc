// A checker of races for kernels on the host shim. The kernels are compiled with -fsanitize=thread, which
// calls a function before each access to memory; these are the functions, in place of ThreadSanitizer's own,
// which keeps a clock of all threads for each of hundreds. What runs in one order here is judged as a GPU
// might run it:
//
//   two accesses to a word, one of them a write, race unless the same thread made both, or a barrier of their
//   block or warp lies between them. Shuffles are no barriers. Threads of two blocks meet at a kernel's end.
//
// Races are told when the process ends, the first of each place in the source with the access before it; its
// status is then 1. Words are of four bytes; bytes and halves are followed apart, so one array must not be
// touched as both. Not seen: what the compiler keeps in registers, and memory that the host touches while a
// kernel runs.
#include <dlfcn.h>
#include <link.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "shim.h"

namespace local_entropy {

namespace {

struct Touch {
  const void* code;
  uint32_t block, block_barriers, warp_barriers;
  uint16_t thread;
};

// Who has read since the last write: those of one warp may be ordered by its barriers, others not.
enum class Readers : uint8_t { kNone, kThread, kWarp, kBlock, kGrid };

struct Cell {
  uint64_t kernel;
  Touch write, read;  // the last of each
  bool written;
  Readers readers;
};

bool ordered(const Touch& before, const Touch& now) {
  if (before.block != now.block) return false;
  if (before.thread == now.thread || before.block_barriers < now.block_barriers) return true;
  return before.thread / 32 == now.thread / 32 && before.warp_barriers < now.warp_barriers;
}

Readers joined(Readers readers, const Touch& before, const Touch& now) {
  if (readers == Readers::kNone) return Readers::kThread;
  if (before.block != now.block) return Readers::kGrid;
  if (readers == Readers::kGrid) return readers;
  const bool warp = before.thread / 32 == now.thread / 32;
  if (before.block_barriers < now.block_barriers ||
      (readers <= Readers::kWarp && warp && before.warp_barriers < now.warp_barriers))
    return Readers::kThread;  // those before are behind a barrier
  const Readers pair = before.thread == now.thread ? Readers::kThread
                       : warp                      ? Readers::kWarp
                                                   : Readers::kBlock;
  return pair > readers ? pair : readers;
}

bool ordered(Readers readers, const Touch& read, const Touch& now) {
  switch (readers) {
    case Readers::kNone:
      return true;
    case Readers::kThread:
      return ordered(read, now);
    case Readers::kWarp: {
      Touch another = read;  // a reader beside the last one, which may be `now` itself
      another.thread ^= 1;
      return ordered(read, now) && ordered(another, now);
    }
    case Readers::kBlock:
      return read.block == now.block && read.block_barriers < now.block_barriers;
    case Readers::kGrid:
      return false;
  }
  return false;
}

// Cells of words or of bytes, made when first touched.
class Cells {
 public:
  Cell& at(uintptr_t number) {
    const uintptr_t page = number / kPage;
    Recent& recent = recent_[page % kRecent];
    if (recent.cells == nullptr || recent.page != page) {
      std::unique_ptr<Cell[]>& cells = pages_[page];
      if (cells == nullptr) cells.reset(new Cell[kPage]());
      recent = {page, cells.get()};
    }
    return recent.cells[number % kPage];
  }

 private:
  static constexpr size_t kPage = 1024, kRecent = 256;
  struct Recent {
    uintptr_t page;
    Cell* cells;
  };
  std::unordered_map<uintptr_t, std::unique_ptr<Cell[]>> pages_;
  Recent recent_[kRecent] = {};
};

thread_local Cells words, bytes;

// Where static shared arrays stand: this thread's copy of the program's thread_local variables.
struct Range {
  uintptr_t begin, end;
  bool has(uintptr_t at) const { return at >= begin && at < end; }
};

Range thread_variables() {
  Range range{0, 0};
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* data) {
        Range& found = *static_cast<Range*>(data);
        const uintptr_t begin = uintptr_t(info->dlpi_tls_data), inside = uintptr_t(&threadIdx);
        for (int i = 0; i < info->dlpi_phnum; i++)
          if (info->dlpi_phdr[i].p_type == PT_TLS && begin != 0 && inside >= begin &&
              inside < begin + info->dlpi_phdr[i].p_memsz)
            found = {begin, begin + info->dlpi_phdr[i].p_memsz};
        return 0;
      },
      &range);
  return range;
}

std::string source_of(const void* code) {
  Dl_info info;
  if (!dladdr(code, &info)) return "?";
  char command[512], line[512] = "";
  // The call before the address that it returns to.
  std::snprintf(command, sizeof command, "addr2line -fsCpe '%s' %#zx", info.dli_fname,
                size_t(uintptr_t(code) - uintptr_t(info.dli_fbase) - 1));
  if (FILE* output = popen(command, "r")) {
    if (std::fgets(line, sizeof line, output) == nullptr) line[0] = 0;
    pclose(output);
  }
  std::string text = line;
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text.empty() ? "?" : text;
}

struct Race {
  const char *what, *before;
  Touch now, then;
};

// The races of all threads of the system, the first of each place in the code.
struct Report {
  std::mutex mutex;
  std::map<const void*, Race> races;

  void add(const Race& race) {
    const std::lock_guard<std::mutex> lock(mutex);
    races.emplace(race.now.code, race);
  }
  size_t take() {
    const std::lock_guard<std::mutex> lock(mutex);
    const size_t count = races.size();
    races.clear();
    return count;
  }
  ~Report() {
    for (const auto& [code, race] : races)
      std::fprintf(
          stderr,
          "race: a %s by thread %u of block %u, in %s\n  after a %s by thread %u of block %u, in %s\n",
          race.what, unsigned(race.now.thread), race.now.block, source_of(code).c_str(), race.before,
          unsigned(race.then.thread), race.then.block, source_of(race.then.code).c_str());
    if (races.empty()) return;
    std::fflush(nullptr);
    std::_Exit(1);
  }
} report;

void touch_cell(Cell& cell, const ShimPlace& place, const Touch& now, bool own, bool write) {
  // What a block has to itself is as new with every block.
  const bool stale = cell.kernel != place.kernel ||
                     (own && (cell.written ? cell.write.block : cell.read.block) != now.block);
  if (stale) {
    cell.kernel = place.kernel;
    cell.written = false;
    cell.readers = Readers::kNone;
  }
  if (cell.written && !ordered(cell.write, now))
    report.add({write ? "write" : "read", "write", now, cell.write});
  if (!write) {
    cell.readers = joined(cell.readers, cell.read, now);
    cell.read = now;
    return;
  }
  if (!ordered(cell.readers, cell.read, now)) report.add({"write", "read", now, cell.read});
  cell.write = now;
  cell.written = true;
  cell.readers = Readers::kNone;
}

void touch(const void* at, size_t size, bool write, const void* code) {
  const ShimPlace* place = shim_place();
  if (place == nullptr) return;
  const uintptr_t begin = uintptr_t(at), end = begin + size;
  if (begin >= place->stack_begin && begin < place->stack_end) return;  // a thread's own variables
  static thread_local const Range variables = thread_variables();
  const bool own = variables.has(begin) || Range{place->shared_begin, place->shared_end}.has(begin);
  const Touch now{code, place->block, place->block_barriers, place->warp_barriers, place->thread};
  if (begin % 4 == 0 && size % 4 == 0)
    for (uintptr_t word = begin / 4; word < end / 4; word++)
      touch_cell(words.at(word), *place, now, own, write);
  else
    for (uintptr_t byte = begin; byte < end; byte++) touch_cell(bytes.at(byte), *place, now, own, write);
}

}  // namespace

size_t shim_take_races() { return report.take(); }

}  // namespace local_entropy

using local_entropy::touch;

#define LOCAL_ENTROPY_ACCESS(size)                                                                    \
  void __tsan_read##size(void* at) { touch(at, size, false, __builtin_return_address(0)); }           \
  void __tsan_write##size(void* at) { touch(at, size, true, __builtin_return_address(0)); }           \
  void __tsan_unaligned_read##size(void* at) { touch(at, size, false, __builtin_return_address(0)); } \
  void __tsan_unaligned_write##size(void* at) { touch(at, size, true, __builtin_return_address(0)); }

extern "C" {

LOCAL_ENTROPY_ACCESS(1)
LOCAL_ENTROPY_ACCESS(2)
LOCAL_ENTROPY_ACCESS(4)
LOCAL_ENTROPY_ACCESS(8)
LOCAL_ENTROPY_ACCESS(16)
void __tsan_read_range(void* at, size_t size) { touch(at, size, false, __builtin_return_address(0)); }
void __tsan_write_range(void* at, size_t size) { touch(at, size, true, __builtin_return_address(0)); }
void __tsan_vptr_update(void*, void*) {}
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}

// Atomics of one word race with no other; those of the host's flags come here too.
uint64_t __tsan_atomic64_fetch_add(volatile uint64_t* at, uint64_t value, int) {
  return __atomic_fetch_add(at, value, __ATOMIC_SEQ_CST);
}
uint64_t __tsan_atomic64_load(const volatile uint64_t* at, int) {
  return __atomic_load_n(at, __ATOMIC_SEQ_CST);
}
uint8_t __tsan_atomic8_load(const volatile uint8_t* at, int) { return __atomic_load_n(at, __ATOMIC_SEQ_CST); }

}  // extern "C"
