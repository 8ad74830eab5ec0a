// Patterns as people write them, and what they match: all of them in one matcher say the same as
// each of them alone. The input is patterns, one a line, an empty line, and the data of an event.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/utf8.h"
#include "protocol/event.h"
#include "protocol/matcher.h"
#include "protocol/notification_attributes.h"
#include "protocol/pattern_explain.h"
#include "tests/fuzz/expect.h"

using namespace fanfare::protocol;

namespace {

constexpr std::size_t kPatternsMax = 32;

// Takes the lines up to an empty one; the rest stays.
std::vector<Pattern> read_patterns(std::string_view& input, Matcher& matcher) {
  std::vector<Pattern> patterns;
  while (!input.empty() && patterns.size() < kPatternsMax) {
    const std::size_t end = std::min(input.find('\n'), input.size());
    const std::string_view line = input.substr(0, end);
    input.remove_prefix(std::min(end + 1, input.size()));
    if (line.empty()) break;
    auto pattern = compile_pattern(line);
    if (!pattern) {
      FUZZ_EXPECT(!pattern.error().message.empty() && pattern.error().message.size() < 2000);
      continue;
    }
    matcher.add(*pattern, static_cast<std::uint32_t>(patterns.size()));
    patterns.push_back(*std::move(pattern));
  }
  return patterns;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view input{reinterpret_cast<const char*>(data), size};
  Matcher matcher;
  const std::vector<Pattern> patterns = read_patterns(input, matcher);

  Event event;
  event.type = "order.placed";
  event.source = "/shop";
  event.subject = "10.0.0.1";
  event.extensions = {{"region", "North"}};
  event.data = input;
  if (input.size() <= kNotificationAttributesMax && fanfare::is_utf8(input)) {
    event.extensions.emplace_back(kNotificationAttributes, input);
  }
  const std::string packed = pack(event);
  const auto view = view_event(packed);
  FUZZ_EXPECT(view);
  const std::string json = to_pattern_json(*view);
  // The second time all tables and the parser have been used.
  for (int time = 0; time < 2; ++time) {
    const auto matched = matcher.match(*view).subscribers;
    for (std::uint32_t number = 0; number < patterns.size(); ++number) {
      const bool alone = matches(patterns[number], json);
      FUZZ_EXPECT(std::ranges::binary_search(matched, number) == alone);
      if (time > 0) continue;
      const auto told = explain(patterns[number], json);
      FUZZ_EXPECT(told && told->matches == alone);
    }
  }
  return 0;
}
