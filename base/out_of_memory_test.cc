#include "base/out_of_memory.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <new>

namespace fanfare {
namespace {

TEST(OutOfMemory, IsSaidInOneLineAndEndsTheProcess) {
#ifdef FANFARE_SANITIZED
  GTEST_SKIP() << "sanitizers have allocators of their own";
#endif
  EXPECT_EXIT(
      {
        end_when_out_of_memory("fanfare-test");
        volatile std::size_t too_much = PTRDIFF_MAX / 2;
        ::operator delete(::operator new(too_much));
      },
      testing::ExitedWithCode(kOutOfMemoryStatus), "^fanfare-test: out of memory; it ends");
}

}  // namespace
}  // namespace fanfare
