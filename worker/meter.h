// What this worker's attempts have used and Redis does not know of yet.
//
// Rows gather by hour, function and tenant until they are taken for a call; one call is under way
// at a time and goes out again, the same, until it is answered. What is here dies with the process:
// the core takes a call every second, so that a worker that is killed loses no more than that.
//
// Bounded: beyond kRowsMax rows (Redis is away, or there are very many tenants) further tenants
// share one; beyond twice as many, which only very many functions and hours can make, rows are
// dropped and counted. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>

#include "base/result.h"
#include "base/time.h"
#include "store/calls.h"

namespace fanfare::worker {

class Meter {
 public:
  struct Options {
    std::string worker;  // of this process alone
    Duration ttl{};      // 0: nothing is metered
    std::uint32_t hour_rows_max = 1000;
  };
  explicit Meter(Options options) : options_(std::move(options)) {}

  bool on() const { return options_.ttl > Duration::zero(); }
  void add(std::int64_t hour, std::string_view function, std::string_view tenant,
           const store::Usage& usage);

  // The call to make now, if there is one. Stays as it is until its answer.
  const store::Meter* take(TimePoint now);
  // Whether that call was full: there may be more that should not wait.
  bool on_answer();
  // Sent again by take(), after a while; one that Redis rejects is given up. Whether it was.
  bool on_failed(ErrorKind kind, TimePoint now);

  bool idle() const { return rows_.empty() && !under_way_; }
  std::uint64_t attempts_lost() const { return lost_; }  // of rows given up or dropped

 private:
  static constexpr std::size_t kRowsMax = 4096;
  using Key = std::tuple<std::int64_t, std::string, std::string>;  // hour, function, tenant

  Options options_;
  std::map<Key, store::Usage> rows_;
  std::optional<store::Meter> under_way_;
  std::optional<TimePoint> again_at_;  // of the call under way
  std::uint32_t failures_ = 0;
  std::uint64_t sequence_ = 0;
  std::uint64_t lost_ = 0;
};

}  // namespace fanfare::worker
