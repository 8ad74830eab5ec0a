#include "broker/later_window.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <vector>

namespace fanfare::broker {
namespace {

constexpr std::int64_t kDue = 1000;

protocol::EventId row_id(std::size_t number) {
  return {{1'700'000'000'000, number / 256}, static_cast<std::uint8_t>(number % 256)};
}

// `later` as Redis has it, in the order of due times and numbers.
class LaterRows {
 public:
  void place(std::size_t number, std::int64_t due_ms = kDue) { rows_[{due_ms, number}] = {}; }
  void erase(std::size_t number, std::int64_t due_ms = kDue) { rows_.erase({due_ms, number}); }

  store::DueRows answer(const store::Due& page) const {
    store::DueRows rows;
    auto at = rows_.begin();
    while (at != rows_.end() &&
           (at->first.first < page.from_ms || (page.after && at->first.first == page.from_ms &&
                                               row_id(at->first.second) <= *page.after)))
      ++at;
    for (std::uint32_t i = 0; i < page.skip && at != rows_.end(); ++i, ++at) {
      if (i + 1 == page.skip) rows.before = {row_id(at->first.second), at->first.first};
    }
    for (; at != rows_.end(); ++at) {
      if (at->first.first > page.until_ms || rows.rows.size() == page.rows_max) {
        rows.next_due_ms = at->first.first;
        break;
      }
      store::DueRows::Row row;
      row.id = row_id(at->first.second);
      row.due_ms = at->first.first;
      rows.rows.push_back(row);
    }
    return rows;
  }

 private:
  std::map<std::pair<std::int64_t, std::size_t>, char> rows_;
};

struct LaterStory {
  LaterRows rows;
  LaterWindow window;
  std::vector<protocol::EventId> taken;

  explicit LaterStory(std::size_t count, LaterLimits limits = {.rows_max = 100, .page_rows = 4})
      : window(limits) {
    for (std::size_t i = 0; i < count; ++i) rows.place(i);
    window.note_placed(kDue);
  }

  std::vector<store::Due> ask() {
    std::vector<store::Due> pages;
    while (auto page = window.next_page("f", kDue)) pages.push_back(*page);
    return pages;
  }
  bool give(const store::Due& page, const store::DueRows* answer) {
    const bool fits = window.begin_page(page, answer);
    for (std::size_t i = 0; fits && i < answer->rows.size(); ++i) {
      const auto& row = answer->rows[i];
      if (!window.take_row(row)) continue;
      window.hold(row.id, 10);
      taken.push_back(row.id);
    }
    window.end_page();
    return fits;
  }
  bool give(const store::Due& page) {
    const auto answer = rows.answer(page);
    return give(page, &answer);
  }
  // All pages until there is nothing due.
  std::size_t read_all() {
    std::size_t pages = 0;
    for (auto asked = ask(); !asked.empty(); asked = ask()) {
      std::vector<store::DueRows> answers;
      for (const auto& page : asked) answers.push_back(rows.answer(page));
      for (std::size_t i = 0; i < asked.size(); ++i, ++pages) give(asked[i], &answers[i]);
    }
    return pages;
  }
  bool each_once(std::size_t count) {
    std::ranges::sort(taken);
    return taken.size() == count && std::ranges::adjacent_find(taken) == taken.end();
  }
};

TEST(LaterWindow, AsksForMorePagesAtOnceAsLongAsTheyAreFull) {
  LaterStory story(30);
  auto pages = story.ask();
  ASSERT_EQ(pages.size(), 1u);
  EXPECT_TRUE(story.give(pages[0]));
  pages = story.ask();
  ASSERT_EQ(pages.size(), 2u);
  EXPECT_EQ(pages[0].skip, 0u);
  EXPECT_EQ(pages[1].skip, 4u);
  EXPECT_EQ(pages[1].after, row_id(3));
  EXPECT_TRUE(story.give(pages[0]));
  const auto more = story.ask();
  ASSERT_EQ(more.size(), 3u) << "of four, one is under way";
  EXPECT_EQ(more[0].after, row_id(7));
  EXPECT_EQ(more[0].skip, 4u) << "behind the one that is under way";
  EXPECT_TRUE(story.give(pages[1]));
  for (const auto& page : more) EXPECT_TRUE(story.give(page));
  story.read_all();
  EXPECT_TRUE(story.each_once(30));
  EXPECT_FALSE(story.window.next_due_ms());
}

TEST(LaterWindow, ReadsAgainWhatWasShiftedByRowsThatEnded) {
  LaterStory story(30);
  story.give(story.ask().at(0));
  const auto pages = story.ask();
  const auto first = story.rows.answer(pages.at(0));
  story.rows.erase(4);  // somebody else ended it: the second page begins one row too far
  const auto second = story.rows.answer(pages.at(1));
  EXPECT_TRUE(story.give(pages[0], &first));
  EXPECT_FALSE(story.give(pages[1], &second));
  story.read_all();
  EXPECT_TRUE(story.each_once(30));
}

TEST(LaterWindow, LosesRowsIfPagesAreNotChecked) {
  LaterStory story(30, {.rows_max = 100, .page_rows = 4, .check_pages = false});
  story.give(story.ask().at(0));
  const auto pages = story.ask();
  const auto first = story.rows.answer(pages.at(0));
  story.rows.erase(4);
  const auto second = story.rows.answer(pages.at(1));
  story.give(pages[0], &first);
  story.give(pages[1], &second);
  story.read_all();
  EXPECT_EQ(story.taken.size(), 29u);
}

TEST(LaterWindow, ReadsAgainWhatWasShiftedByRowsThatCame) {
  LaterStory story(30);
  story.give(story.ask().at(0));
  const auto pages = story.ask();
  const auto first = story.rows.answer(pages.at(0));
  story.rows.place(1000, kDue - 1);
  story.window.note_placed(kDue - 1);
  EXPECT_TRUE(story.give(pages[0], &first));
  EXPECT_FALSE(story.give(pages[1]));
  story.read_all();
  EXPECT_TRUE(story.each_once(31));
}

TEST(LaterWindow, GoesOnWhenAPageIsRefused) {
  LaterStory story(30);
  story.give(story.ask().at(0));
  const auto pages = story.ask();
  EXPECT_FALSE(story.give(pages.at(0), nullptr));
  EXPECT_TRUE(story.ask().empty()) << "the one under way comes first";
  EXPECT_FALSE(story.give(pages.at(1)));
  story.read_all();
  EXPECT_TRUE(story.each_once(30));
}

TEST(LaterWindow, IsBoundedInRowsAndGoesOnAsTheyEnd) {
  LaterStory story(100, {.rows_max = 10, .page_rows = 4});
  story.read_all();
  EXPECT_LE(story.window.size(), 10u + 3);
  while (story.window.size() > 0) {
    const auto one = story.taken[story.taken.size() - story.window.size()];
    story.rows.erase(one.entry.seq * 256 + one.index);
    story.window.end(one);
    story.read_all();
    ASSERT_LE(story.window.size(), 10u + 3);
  }
  EXPECT_TRUE(story.each_once(100));
}

TEST(LaterWindow, IsBoundedInBytes) {
  LaterStory story(100, {.bytes_max = 35, .page_rows = 4});
  story.read_all();
  EXPECT_EQ(story.window.size(), 4u);
}

TEST(LaterWindow, DoesNotTakeARowThatEndedWhileItsPageWasUnderWay) {
  LaterStory story(3);
  const auto pages = story.ask();
  const auto answer = story.rows.answer(pages.at(0));
  story.window.hold(row_id(1), 10);  // named by a worker, say
  story.window.end(row_id(1));
  EXPECT_TRUE(story.give(pages[0], &answer));
  EXPECT_EQ(story.taken, (std::vector{row_id(0), row_id(2)}));
  EXPECT_FALSE(story.window.has_just_ended(row_id(1))) << "no page can have it any more";
}

TEST(LaterWindow, RemembersWhatEndedOnlyForPagesThatWereAskedForBefore) {
  LaterStory story(30);
  story.give(story.ask().at(0));
  const auto pages = story.ask();
  story.rows.erase(0);
  story.window.end(row_id(0));
  EXPECT_TRUE(story.give(pages.at(0)));
  EXPECT_TRUE(story.window.has_just_ended(row_id(0)));
  ASSERT_FALSE(story.ask().empty());
  EXPECT_TRUE(story.give(pages.at(1)));
  EXPECT_TRUE(story.window.reading());
  EXPECT_FALSE(story.window.has_just_ended(row_id(0)));
}

TEST(LaterWindow, ReadsAgainARowThatIsInDoubt) {
  LaterStory story(3);
  story.read_all();
  story.window.read_again(row_id(1), kDue);
  EXPECT_FALSE(story.window.holds(row_id(1)));
  story.read_all();
  EXPECT_EQ(story.taken.size(), 4u);
  EXPECT_TRUE(story.window.holds(row_id(1)));
}

TEST(LaterWindow, HasRoomForBlockedRowsByTheirBytesToo) {
  LaterWindow window({.bytes_max = 8000});
  window.hold(row_id(1), 999);
  EXPECT_TRUE(window.has_room_for_blocked());
  window.hold(row_id(2), 1);
  EXPECT_FALSE(window.has_room_for_blocked()) << "or the holder of their key could not be read";
  window.skip_row(5, 7);
  EXPECT_TRUE(window.has_skipped(7));
  EXPECT_FALSE(window.has_skipped(8));
  EXPECT_FALSE(window.next_due_ms());
  window.end(row_id(2));
  EXPECT_FALSE(window.next_due_ms()) << "still more than a sixteenth";
  window.end(row_id(1));
  EXPECT_EQ(window.next_due_ms(), 5);
  EXPECT_FALSE(window.has_skipped(7)) << "it is read again, and what follows it";
}

}  // namespace
}  // namespace fanfare::broker
