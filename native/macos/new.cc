// Memory of C++ on macOS, where release binaries define it themselves so that it is theirs alone: the
// standard library that is linked in would export its own operators, and the loader gives every library of a
// process the first that it finds (scripts/release/compile.mjs hides these).
#include <cstdlib>
#include <new>

namespace {

// `get` is asked again for as long as a handler says that it has freed something.
template <class Get>
void* gotten(Get get) {
  for (;;) {
    if (void* const memory = get()) return memory;
    const std::new_handler handler = std::get_new_handler();
    if (handler == nullptr) throw std::bad_alloc();
    handler();
  }
}

void* plain(size_t size) {
  return gotten([size] { return std::malloc(size == 0 ? 1 : size); });
}

void* aligned(size_t size, std::align_val_t alignment) {
  const size_t least = sizeof(void*), to = size_t(alignment) < least ? least : size_t(alignment);
  return gotten([size, to] {
    void* memory = nullptr;
    return posix_memalign(&memory, to, size == 0 ? 1 : size) == 0 ? memory : nullptr;
  });
}

template <class Get>
void* or_null(Get get) noexcept {
  try {
    return get();
  } catch (...) {
    return nullptr;
  }
}

}  // namespace

void* operator new(size_t size) { return plain(size); }
void* operator new[](size_t size) { return plain(size); }
void* operator new(size_t size, std::align_val_t to) { return aligned(size, to); }
void* operator new[](size_t size, std::align_val_t to) { return aligned(size, to); }
void* operator new(size_t size, const std::nothrow_t&) noexcept {
  return or_null([size] { return plain(size); });
}
void* operator new[](size_t size, const std::nothrow_t&) noexcept {
  return or_null([size] { return plain(size); });
}
void* operator new(size_t size, std::align_val_t to, const std::nothrow_t&) noexcept {
  return or_null([size, to] { return aligned(size, to); });
}
void* operator new[](size_t size, std::align_val_t to, const std::nothrow_t&) noexcept {
  return or_null([size, to] { return aligned(size, to); });
}

void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t, const std::nothrow_t&) noexcept { std::free(memory); }
