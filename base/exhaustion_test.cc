#include "base/exhaustion.h"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdint>
#include <new>
#include <stdexcept>
#include <system_error>
#include <thread>

namespace fanfare {
namespace {

// What nobody catches; gtest would, in its own thread.
void end_by(const auto& exception) {
  std::thread([&exception] { throw exception; }).join();
}

TEST(Exhaustion, OfMemoryIsSaidInOneLineAndEndsTheProcess) {
#ifdef FANFARE_SANITIZED
  GTEST_SKIP() << "sanitizers have allocators of their own";
#endif
  EXPECT_EXIT(
      {
        end_when_exhausted("fanfare-test");
        volatile std::size_t too_much = PTRDIFF_MAX / 2;
        ::operator delete(::operator new(too_much));
      },
      testing::ExitedWithCode(kExhaustedStatus), "^fanfare-test: out of memory; it ends");
}

TEST(Exhaustion, OfWhatTheKernelGivesIsSaidInOneLineAndEndsTheProcess) {
  EXPECT_EXIT(
      {
        end_when_exhausted("fanfare-test");
        end_by(std::system_error(std::make_error_code(std::errc::too_many_files_open), "a pipe"));
      },
      testing::ExitedWithCode(kExhaustedStatus),
      "^fanfare-test: a pipe: Too many open files; it ends");
}

TEST(Exhaustion, IsNotWhatAnyOtherExceptionIsTakenFor) {
  EXPECT_EXIT(
      {
        end_when_exhausted("fanfare-test");
        end_by(std::logic_error("a bug"));
      },
      testing::KilledBySignal(SIGABRT), "a bug");
}

}  // namespace
}  // namespace fanfare
