// Preloaded into programs under measurement (tests/perf/allocations): counts what they allocate on
// the heap, with what libraries allocate for them, and writes it when they end, to
// $FANFARE_ALLOCATIONS/<program>.<pid>: calls and bytes asked for.
//
// The allocator that comes next does the work, whichever it is: Redis brings one of its own.
#include <dlfcn.h>
#include <errno.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace {

std::atomic<std::uint64_t> calls{0}, bytes{0};

void count(std::size_t size) {
  calls.fetch_add(1, std::memory_order_relaxed);
  bytes.fetch_add(size, std::memory_order_relaxed);
}

// What looking for the next allocator may ask for itself; it is not given back.
alignas(std::max_align_t) char early[16'384];
std::size_t early_used = 0;
bool looking = false;

void* take_early(std::size_t size) {
  const std::size_t rounded = (size + 15) & ~std::size_t{15};
  if (early_used + rounded > sizeof early) return nullptr;
  return early + std::exchange(early_used, early_used + rounded);
}

bool is_early(const void* at) {
  return at >= static_cast<const void*>(early) &&
         at < static_cast<const void*>(early + sizeof early);
}

template <typename Function>
Function* next(const char* name) {
  looking = true;
  auto* const found = reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
  looking = false;
  return found;
}

struct AtEnd {
  ~AtEnd() {
    const char* const folder = std::getenv("FANFARE_ALLOCATIONS");
    if (folder == nullptr) return;
    char path[512];
    std::snprintf(path, sizeof path, "%s/%s.%d", folder, program_invocation_short_name, ::getpid());
    std::FILE* const file = std::fopen(path, "w");
    if (file == nullptr) return;
    std::fprintf(file, "%llu %llu\n", static_cast<unsigned long long>(calls.load()),
                 static_cast<unsigned long long>(bytes.load()));
    std::fclose(file);
  }
} at_end;

}  // namespace

extern "C" {

void* malloc(std::size_t size) {
  if (looking) return take_early(size);
  static auto* const real = next<void*(std::size_t)>("malloc");
  count(size);
  return real(size);
}
void* calloc(std::size_t n, std::size_t size) {
  if (looking) return take_early(n * size);
  static auto* const real = next<void*(std::size_t, std::size_t)>("calloc");
  count(n * size);
  return real(n, size);
}
void* realloc(void* before, std::size_t size) {
  static auto* const real = next<void*(void*, std::size_t)>("realloc");
  count(size);
  if (!is_early(before)) return real(before, size);
  void* const moved = malloc(size);
  if (moved != nullptr) std::memcpy(moved, before, size);  // what lies behind it is readable, too
  return moved;
}
void* aligned_alloc(std::size_t alignment, std::size_t size) {
  static auto* const real = next<void*(std::size_t, std::size_t)>("aligned_alloc");
  count(size);
  return real(alignment, size);
}
int posix_memalign(void** result, std::size_t alignment, std::size_t size) {
  static auto* const real = next<int(void**, std::size_t, std::size_t)>("posix_memalign");
  count(size);
  return real(result, alignment, size);
}
void free(void* at) {
  if (is_early(at)) return;
  static auto* const real = next<void(void*)>("free");
  real(at);
}

}  // extern "C"
