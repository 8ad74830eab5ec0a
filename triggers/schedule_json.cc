#include "triggers/schedule_json.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/utf8.h"
#include "protocol/base64.h"

namespace fanfare::triggers {
namespace {

using nlohmann::ordered_json;

// Takes members out of an object; what is left at the end is unknown.
class Members {
 public:
  explicit Members(ordered_json object) : object_(std::move(object)) {}

  // Empty if it is not there.
  Result<std::string> text(const std::string& name) {
    const auto at = object_.find(name);
    if (at == object_.end()) return std::string{};
    if (!at->is_string()) return wrong(name, "is no text");
    std::string value = at->get<std::string>();
    object_.erase(at);
    return value;
  }
  Result<std::optional<WallTime>> instant(const std::string& name) {
    const auto value = text(name);
    if (!value) return value.error();
    if (value->empty()) return std::optional<WallTime>{};
    const auto time = parse_wall_time(*value);
    if (!time) return wrong(name, time.error().message);
    return std::optional<WallTime>{*time};
  }
  bool has(const std::string& name) const { return object_.contains(name); }
  ordered_json take(const std::string& name) {
    const auto at = object_.find(name);
    if (at == object_.end()) return nullptr;
    ordered_json value = std::move(*at);
    object_.erase(at);
    return value;
  }
  Result<void> all_taken() const {
    if (object_.empty()) return {};
    return wrong(object_.begin().key(), "is unknown");
  }
  static Error wrong(std::string_view name, std::string_view why) {
    return reject(fmt::format("a schedule's {} {}", name, why));
  }

 private:
  ordered_json object_;
};

Result<Missed> parse_missed(std::string_view text) {
  for (const Missed one : {Missed::kSkip, Missed::kFireOnce, Missed::kCatchUp}) {
    if (text == to_string(one)) return one;
  }
  return Members::wrong("missed", "takes skip, fire_once or catch_up");
}

Result<Overlap> parse_overlap(std::string_view text) {
  for (const Overlap one : {Overlap::kAllow, Overlap::kSkip}) {
    if (text == to_string(one)) return one;
  }
  return Members::wrong("overlap", "takes allow or skip");
}

Result<void> read_times(Members& members, Schedule& schedule) {
  for (const auto& [name, into] : {std::pair{"start", &schedule.start}, {"end", &schedule.end}}) {
    auto time = members.instant(name);
    if (!time) return time.error();
    *into = *time;
  }
  const auto since = members.instant("since");
  if (!since) return since.error();
  if (*since) schedule.since = **since;
  const auto jitter = members.text("jitter");
  if (!jitter) return jitter.error();
  if (!jitter->empty()) {
    const auto duration = parse_duration(*jitter);
    if (!duration) return Members::wrong("jitter", duration.error().message);
    schedule.jitter = *duration;
  }
  return {};
}

Result<void> read_policies(Members& members, Schedule& schedule) {
  const auto missed = members.text("missed"), overlap = members.text("overlap");
  if (!missed) return missed.error();
  if (!overlap) return overlap.error();
  if (!missed->empty()) {
    const auto policy = parse_missed(*missed);
    if (!policy) return policy.error();
    schedule.missed = *policy;
  }
  if (!overlap->empty()) {
    const auto policy = parse_overlap(*overlap);
    if (!policy) return policy.error();
    schedule.overlap = *policy;
  }
  if (const auto most = members.take("catch_up_max"); !most.is_null()) {
    if (!most.is_number_unsigned() || most.get<std::uint64_t>() > Schedule::kCatchUpMax) {
      return Members::wrong("catch_up_max", fmt::format("is 1 to {}", Schedule::kCatchUpMax));
    }
    schedule.catch_up_max = most.get<std::uint32_t>();
  }
  for (const auto& [name, into] :
       {std::pair{"enabled", &schedule.enabled}, {"declared", &schedule.declared}}) {
    const auto flag = members.take(name);
    if (flag.is_null()) continue;
    if (!flag.is_boolean()) return Members::wrong(name, "is true or false");
    *into = flag.get<bool>();
  }
  return {};
}

Result<void> read_event(Members& members, Schedule& schedule) {
  const bool has_data = members.has("data"), has_bytes = members.has("data_base64");
  auto data = members.text("data"), bytes = members.text("data_base64");
  for (const auto& [name, into] : {std::pair{"content_type", &schedule.content_type},
                                   {"tenant", &schedule.tenant},
                                   {"ordering_key", &schedule.ordering_key}}) {
    auto value = members.text(name);
    if (!value) return value.error();
    *into = *std::move(value);
  }
  if (!data) return data.error();
  if (!bytes) return bytes.error();
  if (has_data) schedule.data = *std::move(data);
  if (has_bytes) {
    auto decoded = protocol::from_base64(*bytes);
    if (!decoded) return Members::wrong("data_base64", "is not base64");
    schedule.data = *std::move(decoded);
  }
  const auto attributes = members.take("attributes");
  if (attributes.is_null()) return {};
  if (!attributes.is_object()) return Members::wrong("attributes", "are an object of texts");
  for (const auto& [name, value] : attributes.items()) {
    if (!value.is_string()) return Members::wrong("attributes", "are an object of texts");
    schedule.attributes.emplace_back(name, value.get<std::string>());
  }
  return {};
}

}  // namespace

std::string to_json(const Schedule& schedule) {
  const Schedule standard{.name = {}, .expression = schedule.expression};
  ordered_json json{{"name", schedule.name},
                    {"expression", schedule.expression.text()},
                    {"zone", schedule.zone.name()},
                    {"since", format_wall_time(schedule.since)}};
  if (schedule.start) json["start"] = format_wall_time(*schedule.start);
  if (schedule.end) json["end"] = format_wall_time(*schedule.end);
  if (schedule.jitter > Duration::zero()) json["jitter"] = format_duration(schedule.jitter);
  if (schedule.missed != standard.missed) json["missed"] = to_string(schedule.missed);
  if (schedule.catch_up_max != standard.catch_up_max) json["catch_up_max"] = schedule.catch_up_max;
  if (schedule.overlap != standard.overlap) json["overlap"] = to_string(schedule.overlap);
  if (!schedule.enabled) json["enabled"] = false;
  if (schedule.declared) json["declared"] = true;
  if (schedule.data && is_utf8(*schedule.data)) {
    json["data"] = *schedule.data;
  } else if (schedule.data) {
    json["data_base64"] = protocol::to_base64(*schedule.data);
  }
  if (!schedule.content_type.empty()) json["content_type"] = schedule.content_type;
  for (const auto& [name, value] : schedule.attributes) json["attributes"][name] = value;
  if (!schedule.tenant.empty()) json["tenant"] = schedule.tenant;
  if (!schedule.ordering_key.empty()) json["ordering_key"] = schedule.ordering_key;
  return json.dump();
}

Result<Schedule> schedule_from_json(std::string_view text) {
  auto json = ordered_json::parse(text, nullptr, false);
  if (!json.is_object()) return reject("a schedule's definition is a JSON object");
  Members members(std::move(json));
  const auto expression_text = members.text("expression"), zone_name = members.text("zone");
  auto name = members.text("name");
  for (const auto* member : {&expression_text, &zone_name}) {
    if (!*member) return member->error();
  }
  if (!name) return name.error();
  auto expression = ScheduleExpression::parse(*expression_text);
  if (!expression) return expression.error();
  auto zone = zone_name->empty() ? Result<TimeZone>(TimeZone{}) : TimeZone::find(*zone_name);
  if (!zone) return zone.error();
  Schedule schedule{.name = *std::move(name), .expression = *std::move(expression)};
  schedule.zone = *std::move(zone);
  for (const auto read : {read_times, read_policies, read_event}) {
    if (auto fine = read(members, schedule); !fine) return fine.error();
  }
  if (auto fine = members.all_taken(); !fine) return fine.error();
  return schedule;
}

}  // namespace fanfare::triggers
