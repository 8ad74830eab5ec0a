// What the probe function writes of each of its executions: one record when it begins, one when it
// ends, in a single write to a file that all instances append to. One that was killed has no end.
// Into another file goes a record for each process of it, from when its code begins to run there.
//
// The probe includes this header and nothing else of Fanfare's.
#pragma once

#include <cstdint>

namespace fanfare::chaos {

struct ExecutionRecord {
  enum Kind : std::uint32_t { kBegan = 1, kEnded = 2, kFailed = 3 };
  static constexpr std::uint32_t kMagic = 0x46414e46;

  std::uint32_t magic = kMagic;
  std::uint32_t kind = 0;
  std::uint64_t nonce = 0;
  std::uint64_t tag = 0;
  std::uint64_t entry_ms = 0, entry_seq = 0;
  std::uint32_t index = 0;
  std::uint32_t attempt = 0;
  std::int32_t instance = 0, worker = 0;
  std::int64_t at_ns = 0;  // CLOCK_MONOTONIC
};
static_assert(sizeof(ExecutionRecord) == 64);

struct BirthRecord {
  // A zygote when its init begins, and when it ends. Left: see brood in probe.cc.
  enum Kind : std::uint32_t { kZygote = 1, kWarm, kInstance, kLeft };
  static constexpr std::uint32_t kMagic = 0x42495254;

  std::uint32_t magic = kMagic;
  std::uint32_t kind = 0;
  std::int32_t pid = 0, worker = 0;
  std::int64_t at_ns = 0;  // CLOCK_MONOTONIC
};
static_assert(sizeof(BirthRecord) == 24);

// A worker hands a delivery to an instance, or is about to: under which attempt token. Functions do
// not know it.
struct TokenRecord {
  static constexpr std::uint32_t kMagic = 0x544f4b45;

  std::uint32_t magic = kMagic;
  std::int32_t worker = 0;
  std::uint64_t entry_ms = 0, entry_seq = 0;
  std::uint32_t index = 0;
  std::uint32_t token = 0;
  std::int64_t at_ns = 0;  // CLOCK_MONOTONIC
};
static_assert(sizeof(TokenRecord) == 40);

// The files, in the environment of the function.
inline constexpr const char* kExecutionLogVariable = "CHAOS_EXECUTIONS";
inline constexpr const char* kBirthLogVariable = "CHAOS_BIRTHS";

}  // namespace fanfare::chaos
