#include "worker/item_result.h"

#include <gtest/gtest.h>

namespace fanfare::worker {
namespace {

TEST(ItemResults, AreBlankWhenTheyAreUsedAgainAndKeepTheMemoryOfShortTexts) {
  ItemResults results;
  const std::string brief(ItemResults::kKeptMax / 2, 'b'), large(ItemResults::kKeptMax * 2, 'l');
  ItemResult& used = results.add();
  used = {.batch = 1,
          .item = 2,
          .outcome = protocol::Outcome::kFunctionError,
          .output = large,
          .content_type = brief,
          .failure = {.type = brief, .message = brief, .retryable = false, .retry_after_ms = 5},
          .asked = {Asked{}},
          .started_at = TimePoint{Duration{1}},
          .duration = Duration{1},
          .peak_memory_kb = 1,
          .log = {1, 2},
          .log_tail = brief,
          .log_truncated = true,
          .printed = brief,
          .printed_cut = 3};
  const void* const kept = used.content_type.data();
  results.clear();
  EXPECT_TRUE(results.empty());

  const ItemResult& again = results.add();
  EXPECT_EQ(again.content_type.data(), kept);
  EXPECT_LE(again.output.capacity(), ItemResults::kKeptMax);
  for (const std::string* text : {&again.output, &again.content_type, &again.failure.type,
                                  &again.failure.message, &again.log_tail, &again.printed}) {
    EXPECT_EQ(*text, "");
  }
  EXPECT_EQ(again.failure, protocol::Failure{});
  EXPECT_TRUE(again.asked.empty() && again.log.empty() && !again.log_truncated);
  EXPECT_EQ(again.printed_cut, 0u);
}

}  // namespace
}  // namespace fanfare::worker
