#include "cli/publish_event.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/pending.h"
#include "cli/receipt_view.h"
#include "cli/result_view.h"
#include "cli/results.h"

namespace fanfare::cli {
namespace {

int show_outcomes(const Common& common, client::BlockingClient& broker, RedisSync& redis,
                  const client::Receipt& receipt, const Results& results, Duration waited) {
  for (const auto& [function, record] : results) {
    if (!common.output.json)
      fmt::print("{}", format_result(function, record, common.output.colour_out, receipt.id));
  }
  if (results.size() < receipt.functions->size()) {
    print_error(common.output,
                fmt::format("{} of {} deliveries did not end within {}",
                            receipt.functions->size() - results.size(), receipt.functions->size(),
                            format_duration(waited)),
                fmt::format("They go on: look again with `fanfare result {} --wait`.",
                            to_string(receipt.id)));
    const auto pending = read_pending(&broker, redis, *receipt.functions, receipt.id);
    if (pending) print_pending(*pending);
    return kFailed;
  }
  for (const auto& [function, record] : results) {
    if (record.status != protocol::Status::kSucceeded) return kFailed;
  }
  return kDone;
}

// Deliveries whose function stores no results never have one: there is nothing to wait for.
int wait_and_show(const Common& common, client::BlockingClient& broker,
                  const client::Receipt& receipt, Duration wait) {
  auto redis = connect_redis(common.address);
  if (!redis) return fail(common.output, redis.error());
  ProgressLine line(common.output.progress);
  const auto results =
      wait_results(*redis, broker, *receipt.functions, receipt.id, wait,
                   show_progress(line, broker, *redis, *receipt.functions, receipt.id));
  line.clear();
  if (!results) return fail(common.output, results.error());
  if (common.output.json) {
    auto json = nlohmann::ordered_json::parse(receipt_json(receipt));
    json["results"] = nlohmann::ordered_json::parse(results_json(*results, receipt.id));
    print_line(json.dump());
  }
  return show_outcomes(common, broker, *redis, receipt, *results, wait);
}

}  // namespace

int publish_event(const Common& common, client::BlockingClient& broker,
                  const protocol::Event& event, std::optional<Duration> wait) {
  const auto receipt = broker.publish(event).get();
  if (!receipt) return fail(common.output, receipt.error());

  const bool waits = wait && !receipt->functions->empty();
  if (!common.output.json) {
    fmt::print("{}", format_receipt(*receipt, event.type, common.output.colour_out));
  } else if (!waits) {
    print_line(receipt_json(*receipt));
  }
  return waits ? wait_and_show(common, broker, *receipt, *wait) : kDone;
}

}  // namespace fanfare::cli
