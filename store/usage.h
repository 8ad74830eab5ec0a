// What attempts have used, by hour, function and tenant: the rows of metering.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fanfare::store {

struct Usage {
  std::uint64_t invocations = 0;  // attempts that ended, however they did
  std::uint64_t failed = 0;       // of them
  std::uint64_t billed_ms = 0;    // each rounded up
  std::uint64_t mb_ms = 0;        // billed ms × the limit of memory, MiB
  std::uint64_t peak_memory_kb = 0;
  bool operator==(const Usage&) const = default;

  Usage& operator+=(const Usage& other) {
    invocations += other.invocations;
    failed += other.failed;
    billed_ms += other.billed_ms;
    mb_ms += other.mb_ms;
    peak_memory_kb = std::max(peak_memory_kb, other.peak_memory_kb);
    return *this;
  }
  double gb_seconds() const { return static_cast<double>(mb_ms) / 1024 / 1000; }
};

// Who is charged when an hour has more tenants than are told apart.
inline constexpr std::string_view kOtherTenants = "(other)";
inline constexpr std::size_t kTenantBytesMax = 128;  // of a name here; longer ones are cut

// As it lies in Redis: five decimal numbers in the order above.
std::string to_text(const Usage& usage);
std::optional<Usage> parse_usage(std::string_view text);

// An hour is counted from 1970; its name is "2026-11-28T06", in UTC.
std::int64_t hour_of(std::int64_t unix_ms);
std::string hour_name(std::int64_t hour);

// The field of a row, "<function> <tenant>"; the tenant may be empty.
std::string usage_field(std::string_view function, std::string_view tenant);
struct UsageField {
  std::string_view function, tenant;
};
std::optional<UsageField> parse_usage_field(std::string_view field);

}  // namespace fanfare::store
