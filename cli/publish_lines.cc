#include "cli/publish_lines.h"

#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <iostream>
#include <mutex>
#include <string>
#include <thread>

#include "cli/event_input.h"
#include "cli/receipt_view.h"

namespace fanfare::cli {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr std::uint64_t kLinesNamedMax = 10;  // of those that failed; all are counted

// What the client's thread learns and the reading thread waits for.
class Tally {
 public:
  explicit Tally(const Common& common) : common_(common) {}

  void sent() {
    const std::lock_guard lock(mutex_);
    ++sent_;
  }
  // On the client's thread, in the order of the lines.
  void answered(const Result<client::Receipt>& receipt, const std::string& type,
                std::uint64_t line) {
    if (receipt) {
      // The stream buffers by itself; what is printed is acknowledged.
      fmt::print("{}", common_.output.json
                           ? receipt_json(*receipt) + '\n'
                           : format_receipt(*receipt, type, common_.output.colour_out));
    }
    const std::lock_guard lock(mutex_);
    ++answered_;
    if (!receipt) {
      ++failed_;
      if (!first_error_) first_error_ = receipt.error();
      if (failed_ <= kLinesNamedMax) say_failed(line, receipt.error());
    }
    all_answered_.notify_one();
  }
  void wait_for_all() {
    std::unique_lock lock(mutex_);
    while (!all_answered_.wait_for(lock, 200ms, [this] { return answered_ == sent_; })) {
      show(answered_, failed_);
    }
    show(answered_, failed_);
  }
  void show_progress() {
    if (!common_.output.progress || Clock::now() < next_show_) return;
    next_show_ = Clock::now() + 200ms;
    const std::lock_guard lock(mutex_);
    show(answered_, failed_);
  }
  int finish() {
    if (common_.output.progress) fmt::print(stderr, "\n");
    std::fflush(stdout);
    const std::lock_guard lock(mutex_);
    if (!first_error_) return kDone;
    fmt::print(stderr, "fanfare: {} of {} events were not published\n", failed_, sent_);
    return fail(common_.output, *first_error_);
  }

 private:
  void say_failed(std::uint64_t line, const Error& error) const {
    fmt::print(stderr, "{}fanfare: line {} was not published: {}\n",
               common_.output.progress ? "\r" : "", line, printable(error.message));
  }
  void show(std::uint64_t answered, std::uint64_t failed) const {
    if (!common_.output.progress) return;
    const double seconds = std::chrono::duration<double>(Clock::now() - started_).count();
    fmt::print(stderr, "\r{} published, {} failed, {:.0f}/s ", answered - failed, failed,
               static_cast<double>(answered) / std::max(seconds, 0.001));
  }

  const Common& common_;
  const Clock::time_point started_ = Clock::now();
  Clock::time_point next_show_ = Clock::now();
  std::mutex mutex_;
  std::condition_variable all_answered_;
  std::uint64_t sent_ = 0, answered_ = 0, failed_ = 0;  // under mutex_
  std::optional<Error> first_error_;                    // under mutex_
};

}  // namespace

int run_publish_lines(const Common& common, const PublishCommand& command) {
  auto made = make_event(command.event);
  if (!made) return fail(common.output, made.error());
  auto broker = connect_broker(common.address);
  if (!broker) return fail(common.output, broker.error());

  protocol::Event event = *std::move(made);
  Tally tally(common);
  const auto started = Clock::now();
  std::uint64_t count = 0;
  for (std::string line; std::getline(std::cin, line); ++count) {
    if (command.rate > 0) {
      std::this_thread::sleep_until(
          started + std::chrono::duration_cast<Clock::duration>(
                        std::chrono::duration<double>(static_cast<double>(count) / command.rate)));
    }
    event.data = std::move(line);
    event.content_type = command.event.content_type.empty() ? guess_content_type(event.data)
                                                            : command.event.content_type;
    tally.sent();
    (*broker)->publish(event,
                       [&tally, &event, line = count + 1](const Result<client::Receipt>& receipt) {
                         tally.answered(receipt, event.type, line);
                       });
    tally.show_progress();
  }
  tally.wait_for_all();
  return tally.finish();
}

}  // namespace fanfare::cli
