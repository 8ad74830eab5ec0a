// fanfare usage: what functions and tenants have used, as the workers have metered it in Redis.
#include <fmt/format.h>

#include <algorithm>

#include "cli/retrying.h"
#include "cli/usage_report.h"
#include "cli/verbs.h"
#include "store/keys.h"

namespace fanfare::cli {
namespace {

Result<void> read_hour(RedisSync& redis, std::int64_t hour, const UsageCommand& command,
                       std::vector<UsageRow>& rows) {
  const auto reply = redis.call({"HGETALL", store::usage_key(hour)});
  if (!reply) return reply.error();
  if ((*reply)->is_error()) return reject("Redis: " + std::string((*reply)->text()));
  const std::size_t first = rows.size();
  for (std::size_t i = 0; i + 1 < (*reply)->size(); i += 2) {
    const auto field = store::parse_usage_field((**reply)[i].text());
    const auto usage = store::parse_usage((**reply)[i + 1].text());
    if (!field || !usage) continue;
    if (!command.function.empty() && field->function != command.function) continue;
    if (command.tenant && field->tenant != *command.tenant) continue;
    rows.push_back({hour, std::string(field->function), std::string(field->tenant), *usage});
  }
  std::sort(rows.begin() + static_cast<std::ptrdiff_t>(first), rows.end(),
            [](const UsageRow& a, const UsageRow& b) {
              return std::tie(a.function, a.tenant) < std::tie(b.function, b.tenant);
            });
  return {};
}

}  // namespace

int run_usage(const Common& common, const UsageCommand& command) {
  auto redis = connect_redis(common.address);
  if (!redis) return fail(common.output, redis.error());
  const std::int64_t now_ms = to_ms(wall_now());
  const std::int64_t since_ms =
      now_ms - std::chrono::duration_cast<std::chrono::milliseconds>(command.since).count();
  // Whole hours: an hour that is begun counts from its beginning.
  const std::int64_t first = std::max<std::int64_t>(0, store::hour_of(since_ms));
  std::vector<UsageRow> rows;
  for (std::int64_t hour = first; hour <= store::hour_of(now_ms); ++hour) {
    if (auto read = read_hour(*redis, hour, command, rows); !read) {
      return fail(common.output, read.error());
    }
  }
  const std::string since = store::hour_name(first) + ":00Z";
  if (command.csv) {
    fmt::print("{}", usage_csv(rows));
  } else if (common.output.json) {
    print_line(usage_json(add_hours_up(rows), since));
  } else if (rows.empty()) {
    fmt::print("nothing was metered since {}\n", since);
  } else {
    fmt::print("{}", usage_table(add_hours_up(rows), common.output.colour_out));
    fmt::print(stderr, "since {}; workers tell once a second\n", since);
  }
  return kDone;
}

}  // namespace fanfare::cli
