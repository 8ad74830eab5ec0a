// Of what happens on this machine: schedules, and files in buckets.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "triggers/definition_keys.h"
#include "triggers/definition_values.h"

namespace fanfare::triggers {
namespace {

template <std::size_t kSize>
struct MemberName {
  constexpr MemberName(const char (&name)[kSize]) { std::copy_n(name, kSize, text); }
  char text[kSize];
};

template <MemberName kName>
Result<void> read_member(const toml::node& node, ScheduleText& schedule) {
  std::ostringstream json;
  node.visit([&json](const auto& value) { json << toml::json_formatter{value}; });
  schedule[kName.text] = ScheduleText::parse(json.str(), nullptr, false);
  return {};
}

constexpr DefinitionKey<ScheduleText> kScheduleKeys[] = {
    {"expression", read_member<"expression">, "\"cron(0 3 * * ? *)\"",
     "When: \"rate(5 minutes)\", \"cron(0 3 * * ? *)\", \"0 3 * * *\" or "
     "\"at(2026-12-24T18:00:00)\".\nIt has no default."},
    {"zone", read_member<"zone">, "\"UTC\"", "Whose clocks: \"Europe/Berlin\"."},
    {"start", read_member<"start">, "\"\"", "Nothing before it: \"2026-12-01T00:00:00Z\"."},
    {"end", read_member<"end">, "\"\"", "Nothing after it."},
    {"jitter", read_member<"jitter">, "\"0s\"",
     "Each instant fires up to this much later, always by the same."},
    {"missed", read_member<"missed">, "\"fire_once\"",
     "Of instants that were missed: \"skip\" none, \"fire_once\" the last one, \"catch_up\" "
     "all."},
    {"catch_up_max", read_member<"catch_up_max">, "100",
     "Of \"catch_up\": the last so many, up to 1000."},
    {"overlap", read_member<"overlap">, "\"allow\"",
     "\"skip\": one run at a time; what cannot begin before the next is skipped."},
    {"data", read_member<"data">, "\"\"",
     "The event's; left out: which schedule and instant it is, as JSON."},
    {"content_type", read_member<"content_type">, "\"\"", "The data's."},
    {"attributes", read_member<"attributes">, "{}",
     "The event's extensions: { region = \"north\" }."},
    {"tenant", read_member<"tenant">, "\"\"", "Whose the events are, for fairness and usage."},
    {"ordering_key", read_member<"ordering_key">, "\"\"",
     "Events of one key run one after the other, in order."},
    {"enabled", read_member<"enabled">, "true", "Whether it fires."},
};

constexpr DefinitionKey<StorageBucketOptions> kBucketKeys[] = {
    {"directory",
     [](const toml::node& node, StorageBucketOptions& bucket) {
       return read_text(node, bucket.directory);
     },
     "\"/srv/photos\"", "What is watched, with all below it. An absolute path; it has no default."},
    {"watch",
     [](const toml::node& node, StorageBucketOptions& bucket) {
       return read_flag(node, bucket.watched);
     },
     "true", "Whether its files are announced; else it is a place for files of forms."},
    {"ignore",
     [](const toml::node& node, StorageBucketOptions& bucket) {
       return read_texts(node, bucket.ignore);
     },
     "[\".*\", \"*.part\", \"*.tmp\"]", "Names that are none of the bucket's, as shell patterns."},
    {"existing",
     [](const toml::node& node, StorageBucketOptions& bucket) {
       return read_flag(node, bucket.core.announce_existing);
     },
     "true", "Whether what is there when the bucket is watched for the first time is announced."},
    {"ordered",
     [](const toml::node& node, StorageBucketOptions& bucket) {
       return read_flag(node, bucket.events.ordered);
     },
     "false", "Whether events of one file run one after the other, in order."},
    {"settle",
     [](const toml::node& node, StorageBucketOptions& bucket) {
       return read_duration(node, bucket.core.settle, std::chrono::milliseconds{20});
     },
     "\"5s\"", "How long a file must not have changed where nobody can tell who writes it."},
    {"poll",
     [](const toml::node& node, StorageBucketOptions& bucket) {
       return read_duration(node, bucket.poll, std::chrono::seconds{1});
     },
     "\"30s\"", "How often all is scanned while something cannot be watched or read."},
};

}  // namespace

std::span<const DefinitionKey<ScheduleText>> schedule_keys() {
  return kScheduleKeys;
}

std::span<const DefinitionKey<StorageBucketOptions>> bucket_keys() {
  return kBucketKeys;
}

}  // namespace fanfare::triggers
