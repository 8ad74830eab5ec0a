// What the worker's log gets of attempts: a line about each, and the lines that functions print.
// Both are bounded per second, because 200,000 attempts a second are more than a disk wants to hear
// of; what is left out is counted and said.
#include <algorithm>

#include "worker/core.h"

namespace fanfare::worker {
namespace {

constexpr std::size_t kLineBytesMax = 4096;  // longer ones become several
constexpr Duration kSayEvery = std::chrono::seconds{1};

// Without its end; moves `text` behind it.
std::string_view take_line(std::string_view& text) {
  const std::size_t end = std::min(text.find('\n'), text.size());
  std::string_view line = text.substr(0, std::min(end, kLineBytesMax));
  text.remove_prefix(line.size());
  if (text.starts_with('\n')) text.remove_prefix(1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

}  // namespace

void Core::report(const Held& held, const protocol::AttemptRow& row, Now now) {
  using Reports = CoreOptions::Reports;
  if (options_.reports == Reports::kNone) return;
  if (options_.reports == Reports::kFailures && row.outcome == protocol::Outcome::kOk) return;
  if (!report_budget_.take(now.steady)) return void(++counters_.reports_left_out);
  effects_.report(
      {.function = held.function->spec.name,
       .id = held.id,
       .row = row,
       .memory_limit_mb = static_cast<std::uint32_t>(held.function->manifest.memory_bytes >> 20)});
}

void Core::print(const Held& held, std::string_view text, std::uint64_t bytes_cut, Now now) {
  if (options_.output_lines_per_second == 0) return;
  counters_.output_bytes_cut += bytes_cut;
  output_bytes_cut_ += bytes_cut;
  while (!text.empty()) {
    const std::string_view line = take_line(text);
    if (!output_budget_.take(now.steady)) {
      ++counters_.output_lines_left_out;
      continue;
    }
    effects_.print({held.function->spec.name, held.id, held.attempt, line});
  }
}

// An attempt that takes long is heard while it runs.
void Core::print_what_runs(Now now) {
  if (options_.output_lines_per_second == 0) return;
  for (auto& [id, instance] : instances_) {
    if (instance->idle()) continue;
    const auto output = effects_.output(id);
    if (!output) continue;
    if (const Held* const held = item_at(*instance, output->running)) {
      print(*held, output->text, output->cut, now);
    }
  }
}

void Core::say_left_out(Now now) {
  if (now.steady - said_left_out_at_ < kSayEvery) return;
  const LeftOut left_out{.reports = report_budget_.take_left_out(),
                         .output_lines = output_budget_.take_left_out(),
                         .output_bytes = std::exchange(output_bytes_cut_, 0)};
  if (!left_out.any()) return;
  said_left_out_at_ = now.steady;
  effects_.say_left_out(left_out);
}

}  // namespace fanfare::worker
