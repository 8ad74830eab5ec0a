#include "store/usage.h"

#include <charconv>

#include "base/time.h"
#include "protocol/ids.h"

namespace fanfare::store {
namespace {

constexpr std::int64_t kHourMs = 3'600'000;

}  // namespace

std::string to_text(const Usage& usage) {
  std::string text = std::to_string(usage.invocations);
  for (const std::uint64_t number :
       {usage.failed, usage.billed_ms, usage.mb_ms, usage.peak_memory_kb}) {
    text += ' ' + std::to_string(number);
  }
  return text;
}

std::optional<Usage> parse_usage(std::string_view text) {
  Usage usage;
  for (std::uint64_t* number :
       {&usage.invocations, &usage.failed, &usage.billed_ms, &usage.mb_ms, &usage.peak_memory_kb}) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
    if (error != std::errc{}) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    if (text.starts_with(' ')) text.remove_prefix(1);
  }
  return usage;
}

std::int64_t hour_of(std::int64_t unix_ms) {
  return unix_ms / kHourMs;
}

std::string hour_name(std::int64_t hour) {
  return format_wall_time(wall_from_ms(hour * kHourMs)).substr(0, 13);
}

std::string usage_field(std::string_view function, std::string_view tenant) {
  return std::string{function}.append(" ").append(tenant.substr(0, kTenantBytesMax));
}

std::optional<UsageField> parse_usage_field(std::string_view field) {
  const std::size_t blank = field.find(' ');
  if (blank == field.npos || !protocol::is_function_name(field.substr(0, blank))) return {};
  return UsageField{field.substr(0, blank), field.substr(blank + 1)};
}

}  // namespace fanfare::store
