#include "autoscaler/exec_driver.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace fanfare::autoscaler {
namespace {

constexpr std::size_t kShownMax = 400;
constexpr std::string_view kWorkers = "{workers}";

std::vector<std::string> filled_in(std::vector<std::string> words, const std::string& workers) {
  for (std::string& word : words) {
    for (std::size_t at = 0; (at = word.find(kWorkers, at)) != word.npos; at += workers.size()) {
      word.replace(at, kWorkers.size(), workers);
    }
  }
  return words;
}

Result<WorkerSet> set_of(const std::string& program, std::string_view text) {
  WorkerSet set;
  const char* end = text.data() + text.size();
  const auto [after, error] = std::from_chars(text.data(), end, set.running);
  if (error != std::errc{} || set.running > 100'000) {
    return fatal(fmt::format("{} should print how many workers there are, and printed '{}'",
                             program, text.substr(0, 200)));
  }
  const char* more = after;
  while (more < end && *more == ' ') ++more;
  if (more == end) return set;
  const auto [last, wrong] = std::from_chars(more, end, set.leaving);
  if (wrong != std::errc{} || last != end || more == after) {
    return fatal(fmt::format("{} should print one or two numbers, and printed '{}'", program,
                             text.substr(0, 200)));
  }
  return set;
}

}  // namespace

ExecDriver::ExecDriver(Loop& loop, ExecOptions options)
    : loop_(loop), options_(std::move(options)) {}

ExecDriver::~ExecDriver() = default;

void ExecDriver::run(const std::vector<std::string>& words, const std::string& workers,
                     Command::OnEnd on_end) {
  auto started =
      Command::start(loop_, filled_in(words, workers), {{"FANFARE_WORKERS", workers}},
                     options_.time, [this, on_end](Result<std::string> said) {
                       // Not within the command's own callback: the next one replaces it.
                       loop_.post([on_end, said = std::move(said), alive = std::weak_ptr(alive_)] {
                         if (!alive.expired()) on_end(said);
                       });
                     });
  if (started) {
    running_ = *std::move(started);
    return;
  }
  loop_.post([on_end, error = started.error(), alive = std::weak_ptr(alive_)] {
    if (!alive.expired()) on_end(error);
  });
}

void ExecDriver::count(const std::vector<ConnectedWorker>&, OnCount on_count) {
  run(options_.count, "", [this, on_count](Result<std::string> said) {
    if (!said) return on_count(said.error());
    on_count(set_of(options_.count.front(), *said));
  });
}

void ExecDriver::release(OnReleased on_released) {
  loop_.post([on_released, alive = std::weak_ptr(alive_)] {
    if (!alive.expired()) on_released({});
  });
}

void ExecDriver::scale_to(std::uint32_t workers, OnScaled on_scaled) {
  run(options_.scale, std::to_string(workers), [this, on_scaled](Result<std::string> said) {
    if (!said) return on_scaled(said.error());
    std::string text = said->substr(0, kShownMax);
    std::ranges::replace_if(text, [](char c) { return static_cast<unsigned char>(c) < 0x20; }, ' ');
    on_scaled(fmt::format("{} ran{}{}", options_.scale.front(), text.empty() ? "" : ": ", text));
  });
}

}  // namespace fanfare::autoscaler
