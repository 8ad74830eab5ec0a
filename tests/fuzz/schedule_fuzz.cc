// Schedules' expressions, from whoever may have written them: read or refused with a line, and what
// is read goes forward, stays in range and is found again from just before.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "tests/fuzz/expect.h"
#include "triggers/schedule_expression.h"

using namespace fanfare;
using namespace fanfare::triggers;

namespace {

const TimeZone& zone_for(std::size_t size) {
  static const TimeZone utc;
  static const auto new_york = TimeZone::find("America/New_York"),
                    lord_howe = TimeZone::find("Australia/Lord_Howe");
  if (size % 3 == 1 && new_york) return *new_york;
  if (size % 3 == 2 && lord_howe) return *lord_howe;
  return utc;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  const auto expression = ScheduleExpression::parse(text);
  if (!expression) {
    FUZZ_EXPECT(!expression.error().message.empty());
    return 0;
  }
  const auto again = ScheduleExpression::parse(expression->text());
  FUZZ_EXPECT(again && *again == *expression);

  const TimeZone& zone = zone_for(size);
  const WallTime anchor = wall_from_ms(1'795'846'200'123);
  WallTime after = wall_from_ms(1'793'000'000'000);
  for (int i = 0; i < 20; ++i) {
    const auto next = expression->next(after, zone, anchor);
    if (!next) break;
    FUZZ_EXPECT(*next > after);
    FUZZ_EXPECT(expression->next(*next - std::chrono::milliseconds{1}, zone, anchor) == next);
    after = *next;
  }
  return 0;
}
