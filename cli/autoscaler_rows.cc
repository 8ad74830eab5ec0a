#include "cli/autoscaler_rows.h"

#include <algorithm>

namespace fanfare::cli {

using nlohmann::ordered_json;

Result<std::vector<AutoscalerRow>> read_autoscalers(RedisSync& redis, WallTime now) {
  const auto reply = redis.call({"HGETALL", "fanfare:autoscalers"});
  if (!reply) return reply.error();
  if ((*reply)->is_error()) return reject("Redis: " + std::string((*reply)->text()));
  std::vector<AutoscalerRow> all;
  for (std::size_t i = 0; i + 1 < (*reply)->size(); i += 2) {
    AutoscalerRow row{
        std::string((**reply)[i].text()),
        ordered_json::parse((**reply)[i + 1].text(), nullptr, /*allow_exceptions=*/false),
        std::nullopt};
    if (!row.status.is_object()) continue;
    const auto at = row.status.find("at");
    if (at != row.status.end() && at->is_string()) {
      if (const auto told = parse_wall_time(at->get<std::string>())) {
        row.age = std::chrono::duration_cast<std::chrono::milliseconds>(now - *told);
      }
    }
    all.push_back(std::move(row));
  }
  std::ranges::sort(all, {}, &AutoscalerRow::name);
  return all;
}

}  // namespace fanfare::cli
