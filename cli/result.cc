// fanfare result: what became of an event, as Redis has it.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "cli/pending.h"
#include "cli/result_view.h"
#include "cli/results.h"
#include "cli/verbs.h"

namespace fanfare::cli {
namespace {

// The functions to look under: the one that was named, or all that are deployed.
Result<std::vector<std::string>> functions_to_ask(RedisSync& redis, const ResultCommand& command) {
  if (command.function.empty()) return function_names(redis);
  if (!protocol::is_function_name(command.function)) {
    return fatal(fmt::format("'{}' is not a function's name", command.function));
  }
  return std::vector<std::string>{command.function};
}

// Without a function's name nobody knows how many results there will be: wait until the first is
// there and the broker holds nothing more of the event.
Result<Results> wait_for_any(RedisSync& redis, client::BlockingClient& broker,
                             const std::vector<std::string>& functions, const protocol::EventId& id,
                             Duration timeout, const Meanwhile& meanwhile) {
  const auto end = std::chrono::steady_clock::now() + timeout;
  auto results = read_results(redis, functions, id);
  while (results) {
    const auto left = end - std::chrono::steady_clock::now();
    if (left <= Duration{}) break;
    // Nobody waits longer than a moment for a second function that may not exist.
    const Duration for_first = meanwhile ? kMeanwhileEvery : Duration{std::chrono::seconds{1}};
    const Duration at_most = std::min<Duration>(
        left, results->empty() ? for_first : Duration{std::chrono::milliseconds{50}});
    const auto asked = std::chrono::steady_clock::now();
    const auto awaited = broker.await(id, "", at_most);
    if (!awaited) return awaited.error();
    const std::size_t known = results->size();
    results = read_results(redis, functions, id);
    if (!results) break;
    const bool nothing_new = results->size() == known && awaited->ended.empty();
    if (!results->empty() && nothing_new && awaited->pending.empty()) break;
    if (meanwhile && nothing_new) meanwhile();
    if (results->empty() &&
        std::chrono::steady_clock::now() - asked < std::chrono::milliseconds{20}) {
      std::this_thread::sleep_for(std::chrono::milliseconds{20});
      results = read_results(redis, functions, id);
    }
  }
  return results;
}

Result<Results> wait(client::BlockingClient& broker, RedisSync& redis, const ResultCommand& command,
                     const std::vector<std::string>& functions, const protocol::EventId& id,
                     bool on_terminal) {
  ProgressLine line(on_terminal);
  const Meanwhile meanwhile = show_progress(line, broker, redis, functions, id);
  return command.function.empty()
             ? wait_for_any(redis, broker, functions, id, *command.wait, meanwhile)
             : wait_results(redis, broker, functions, id, *command.wait, meanwhile);
}

// Whether the broker holds deliveries of the event that have not ended. It is asked only by those
// who have waited on it already.
bool still_going(client::BlockingClient& broker, const ResultCommand& command,
                 const protocol::EventId& id) {
  if (!command.wait) return false;
  const auto awaited = broker.await(id, command.function, std::chrono::milliseconds{1});
  return awaited && !awaited->pending.empty();
}

// Nothing has ended, and nobody knows of a delivery that will.
int explain_absence(const Common& common, const ResultCommand& command, bool goes_on) {
  const std::string within =
      command.wait ? fmt::format(" within {}", format_duration(*command.wait)) : " yet";
  if (goes_on) {
    print_error(common.output, fmt::format("{} has not ended{}", command.event_id, within),
                "It is queued or running; `fanfare status` shows the queues.");
    return kFailed;
  }
  print_error(
      common.output, fmt::format("no result of {}{}", command.event_id, within),
      command.wait
          ? "No delivery of it is open: it matched no function, its results are not kept, "
            "or they have expired."
          : "It may be far back in its queue (wait with --wait), match no function, or have "
            "expired.");
  return kRefused;
}

// Results, and in their shape what has not ended.
void show_json(const ResultCommand& command, const Results& results,
               const std::vector<PendingDelivery>& pending, const protocol::EventId& id) {
  std::vector<std::string> documents;
  for (const auto& [function, record] : results) {
    documents.push_back(protocol::to_json(record, id, function));
  }
  for (const auto& one : pending) documents.push_back(pending_json(one));
  if (command.function.empty()) {
    print_line(fmt::format("[{}]", fmt::join(documents, ",")));
  } else if (!documents.empty()) {
    print_line(documents.front());
  }
}

int show(const Common& common, const ResultCommand& command, const Results& results,
         const std::vector<PendingDelivery>& pending, const protocol::EventId& id) {
  if (common.output.json) {
    show_json(command, results, pending, id);
  } else {
    for (const auto& [function, record] : results) {
      fmt::print("{}", format_whole_result(function, record, common.output.colour_out, id));
    }
  }
  int code = kDone;
  for (const auto& [function, record] : results) {
    if (record.status != protocol::Status::kSucceeded) code = kFailed;
  }
  if (pending.empty()) return code;
  if (results.empty()) {
    print_error(common.output,
                fmt::format("{} has not ended {}", command.event_id,
                            command.wait ? "within " + format_duration(*command.wait) : "yet"));
    code = command.wait ? kFailed : kRefused;
  } else if (command.wait) {
    code = kFailed;
  }
  if (!common.output.json || results.empty()) print_pending(pending);
  return code;
}

}  // namespace

int run_result(const Common& common, const ResultCommand& command) {
  const auto id = protocol::parse_event_id(command.event_id);
  if (!id) return fail(common.output, fatal(id.error().message));
  auto redis = connect_redis(common.address);
  if (!redis) return fail(common.output, redis.error());
  const auto functions = functions_to_ask(*redis, command);
  if (!functions) return fail(common.output, functions.error());
  // Results lie in Redis, also while there is no broker.
  auto broker = connect_broker(common.address);
  if (!broker && command.wait) return fail(common.output, broker.error());
  const auto results =
      command.wait ? wait(**broker, *redis, command, *functions, *id, common.output.progress)
                   : read_results(*redis, *functions, *id);
  if (!results) return fail(common.output, results.error());

  std::vector<std::string> without;
  for (const auto& function : *functions) {
    if (!results->contains(function)) without.push_back(function);
  }
  std::vector<PendingDelivery> pending;
  if (!without.empty()) {
    auto read = read_pending(broker ? broker->get() : nullptr, *redis, without, *id);
    if (!read) return fail(common.output, read.error());
    pending = *std::move(read);
  }
  if (results->empty() && pending.empty()) {
    return explain_absence(common, command, broker && still_going(**broker, command, *id));
  }
  return show(common, command, *results, pending, *id);
}

}  // namespace fanfare::cli
