// fanfare schedule preview: what an expression means, before anything depends on it.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/schedule_verbs.h"
#include "triggers/schedule_expression.h"

namespace fanfare::cli {
namespace {

using nlohmann::ordered_json;
using triggers::ScheduleExpression;
using triggers::TimeZone;

constexpr const char* kWeekdays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};

std::string weekday_of(WallTime instant, const TimeZone& zone) {
  const auto second = std::chrono::floor<std::chrono::seconds>(instant);
  const auto day = std::chrono::floor<std::chrono::days>(second + zone.at(second).offset);
  return kWeekdays[std::chrono::weekday{day}.c_encoding()];
}

void print_table(const Common& common, const std::vector<WallTime>& fires, const TimeZone& zone,
                 WallTime from) {
  std::vector<std::vector<std::string>> rows;
  for (const WallTime at : fires) {
    rows.push_back({weekday_of(at, zone), triggers::format_local(at, zone),
                    triggers::format_local(at, TimeZone{}),
                    human_ms(static_cast<double>((at - from).count()))});
  }
  fmt::print("{}", format_table({"DAY", "LOCAL", "UTC", "IN"}, rows, common.output.colour_out));
}

}  // namespace

int run_schedule_preview(const Common& common, const PreviewCommand& command) {
  const auto expression = ScheduleExpression::parse(command.expression);
  if (!expression) return fail(common.output, fatal(expression.error().message));
  const auto zone = TimeZone::find(command.zone);
  if (!zone) return fail(common.output, fatal(zone.error().message));
  const WallTime from = command.from.empty() ? read_clocks().wall : *parse_wall_time(command.from);

  std::vector<WallTime> fires;
  for (auto at = expression->next(from, *zone, from); at && fires.size() < command.count;
       at = expression->next(*at, *zone, from)) {
    fires.push_back(*at);
  }
  if (common.output.json) {
    ordered_json json{{"expression", expression->text()},
                      {"zone", zone->name()},
                      {"from", format_wall_time(from)},
                      {"fires", ordered_json::array()},
                      {"ends", fires.size() < command.count}};
    for (const WallTime at : fires) {
      json["fires"].push_back(
          {{"at", format_wall_time(at)}, {"local", triggers::format_local(at, *zone)}});
    }
    print_line(json.dump());
    return kDone;
  }
  if (!fires.empty()) print_table(common, fires, *zone, from);
  if (fires.size() < command.count) {
    print_line(fires.empty() ? "never fires after that" : "and never again");
  }
  return kDone;
}

}  // namespace fanfare::cli
