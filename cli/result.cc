// fanfare result: what became of an event, as Redis has it.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "cli/result_view.h"
#include "cli/results.h"
#include "cli/retrying.h"
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
                             Duration timeout) {
  const auto end = std::chrono::steady_clock::now() + timeout;
  auto results = read_results(redis, functions, id);
  while (results) {
    const auto left = end - std::chrono::steady_clock::now();
    if (left <= Duration{}) break;
    // Nobody waits longer than a moment for a second function that may not exist.
    const Duration at_most = results->empty()
                                 ? std::min<Duration>(left, std::chrono::seconds{1})
                                 : std::min<Duration>(left, std::chrono::milliseconds{50});
    const auto asked = std::chrono::steady_clock::now();
    const auto awaited = broker.await(id, "", at_most);
    if (!awaited) return awaited.error();
    const std::size_t known = results->size();
    results = read_results(redis, functions, id);
    if (!results) break;
    const bool nothing_new = results->size() == known && awaited->ended.empty();
    if (!results->empty() && nothing_new && awaited->pending.empty()) break;
    if (results->empty() &&
        std::chrono::steady_clock::now() - asked < std::chrono::milliseconds{20}) {
      std::this_thread::sleep_for(std::chrono::milliseconds{20});
      results = read_results(redis, functions, id);
    }
  }
  return results;
}

Result<Results> wait(const Common& common, RedisSync& redis, const ResultCommand& command,
                     const std::vector<std::string>& functions, const protocol::EventId& id) {
  auto broker = connect_broker(common.address);
  if (!broker) return broker.error();
  return command.function.empty() ? wait_for_any(redis, **broker, functions, id, *command.wait)
                                  : wait_results(redis, **broker, functions, id, *command.wait);
}

// Whether the broker holds deliveries of the event that have not ended. It is asked only by those
// who have waited on it already.
bool still_going(const Common& common, const ResultCommand& command, const protocol::EventId& id) {
  if (!command.wait) return false;
  auto broker = connect_broker(common.address);
  if (!broker) return false;
  const auto awaited = (*broker)->await(id, command.function, std::chrono::milliseconds{1});
  return awaited && !awaited->pending.empty();
}

int explain_absence(const Common& common, RedisSync& redis, const ResultCommand& command,
                    const std::vector<std::string>& functions, const protocol::EventId& id) {
  const auto retrying = read_retrying(redis, functions, id);
  if (!retrying) return fail(common.output, retrying.error());
  const bool goes_on = !retrying->empty() || still_going(common, command, id);
  const std::string within =
      command.wait ? fmt::format(" within {}", format_duration(*command.wait)) : " yet";
  if (!goes_on) {
    print_error(
        common.output, fmt::format("no result of {}{}", command.event_id, within),
        command.wait
            ? "No delivery of it is open: it matched no function, its results are not kept, or "
              "they have expired."
            : "It may still be queued (wait with --wait), match no function, or have "
              "expired.");
    return kRefused;
  }
  print_error(common.output, fmt::format("{} has not ended{}", command.event_id, within),
              retrying->empty() ? "It is queued or running; `fanfare status` shows the queues."
                                : "It is being tried again:");
  print_retrying(redis, functions, id);
  return command.wait ? kFailed : kRefused;
}

}  // namespace

int run_result(const Common& common, const ResultCommand& command) {
  const auto id = protocol::parse_event_id(command.event_id);
  if (!id) return fail(common.output, fatal(id.error().message));
  auto redis = connect_redis(common.address);
  if (!redis) return fail(common.output, redis.error());
  const auto functions = functions_to_ask(*redis, command);
  if (!functions) return fail(common.output, functions.error());
  const auto results = command.wait ? wait(common, *redis, command, *functions, *id)
                                    : read_results(*redis, *functions, *id);
  if (!results) return fail(common.output, results.error());
  if (results->empty()) return explain_absence(common, *redis, command, *functions, *id);
  if (!common.output.json) {
    for (const auto& [function, record] : *results) {
      fmt::print("{}", format_result(function, record, common.output.colour_out, *id));
    }
  } else if (command.function.empty()) {
    print_line(results_json(*results, *id));
  } else {
    print_line(protocol::to_json(results->begin()->second, *id, command.function));
  }
  int code = kDone;
  for (const auto& [function, record] : *results) {
    if (record.status != protocol::Status::kSucceeded) code = kFailed;
  }
  if (command.wait && results->size() < functions->size()) {  // others may still be at it
    if (print_retrying(*redis, *functions, *id) > 0) code = kFailed;
  }
  return code;
}

}  // namespace fanfare::cli
