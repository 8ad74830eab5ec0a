// How one delivery ended in an instance, as its worker has checked it; and a list of them that is
// used again and again.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/time.h"
#include "protocol/record.h"
#include "worker/asked.h"
#include "worker/board.h"

namespace fanfare::worker {

struct ItemResult {
  std::uint64_t batch = 0;
  std::uint32_t item = 0;
  protocol::Outcome outcome = protocol::Outcome::kOk;
  std::string output, content_type;
  protocol::Failure failure;  // meaningful unless outcome is ok
  std::vector<Asked> asked;   // only if outcome is ok
  TimePoint started_at;
  Duration duration{};
  std::uint32_t peak_memory_kb = 0;  // of the process, so far
  LogRange log;
  std::string log_tail;
  bool log_truncated = false;
  std::string printed;            // of its output what take_output() has not handed out, its end
  std::uint64_t printed_cut = 0;  // and how many bytes before that were too many
};

// What was cleared keeps its memory, text by text up to kKeptMax: results come by the hundred
// thousand, and nearly all of them are short.
class ItemResults {
 public:
  static constexpr std::size_t kKeptMax = 1024;

  bool empty() const { return used_ == 0; }
  std::size_t size() const { return used_; }
  std::span<ItemResult> all() { return std::span(results_).first(used_); }
  std::span<const ItemResult> all() const { return std::span(results_).first(used_); }
  ItemResult& operator[](std::size_t at) { return all()[at]; }
  const ItemResult& operator[](std::size_t at) const { return all()[at]; }

  // Without texts, and else as the one that was here before. What add() gave before may move.
  ItemResult& add();
  void drop_last();
  void clear();

 private:
  std::vector<ItemResult> results_;  // those behind the first `used_` have no texts
  std::size_t used_ = 0;
};

}  // namespace fanfare::worker
