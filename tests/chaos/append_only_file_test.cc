#include "tests/chaos/append_only_file.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "protocol/event.h"
#include "store/row.h"

namespace fanfare::chaos {
namespace {

using Words = std::vector<std::string>;

std::string bytes_of(const std::vector<Words>& commands) {
  std::string bytes;
  for (const Words& words : commands) {
    bytes += fmt::format("*{}\r\n", words.size());
    for (const std::string& word : words) bytes += fmt::format("${}\r\n{}\r\n", word.size(), word);
  }
  return bytes;
}

History replay(const std::vector<Words>& commands) {
  History history;
  Replay replay(history);
  EXPECT_TRUE(read_commands(bytes_of(commands), [&](const std::vector<std::string_view>& words) {
    replay.on_command(words);
  }));
  return history;
}

std::string event(Tag tag) {
  protocol::Event event;
  event.source = "/tests";
  event.type = "probe";
  event.data = fmt::format("{} sleep 2", tag);
  return protocol::pack(event);
}

std::string result(std::string output, std::uint8_t token) {
  protocol::ResultRecord record;
  record.output = std::move(output);
  return std::string{0, 0, 0, static_cast<char>(token)} + protocol::pack(record);
}

TEST(AppendOnlyFile, IsReadUpToACommandThatIsCutOff) {
  const std::string bytes = bytes_of({{"SET", "a", "1"}, {"SET", "b", std::string("x\r\n*y", 5)}});
  for (std::size_t size = 0; size <= bytes.size(); ++size) {
    std::vector<std::string> last;
    EXPECT_TRUE(read_commands(
        std::string_view(bytes).substr(0, size),
        [&](const std::vector<std::string_view>& words) { last.emplace_back(words.back()); }));
    EXPECT_EQ(last.size(), size == bytes.size() ? 2u : size >= 27 ? 1u : 0u) << size;
  }
  EXPECT_FALSE(read_commands("nonsense", [](const auto&) {}));
}

TEST(AppendOnlyFile, TellsTheCourseOfADelivery) {
  const History history = replay({
      {"MULTI"},
      {"HINCRBY", "fanfare:{probe}:counts", "accepted", "1"},
      {"HINCRBY", "fanfare:{probe}:counts", "open", "1"},
      {"XADD", "fanfare:{probe}:journal:4", "17-0", "3", event(42)},
      {"EXEC"},
      {"MULTI"},
      {"HINCRBY", "fanfare:{probe}:counts", "open", "-1"},
      {"HINCRBY", "fanfare:{probe}:counts", "succeeded", "1"},
      {"HSET", "fanfare:{probe}:results:17-0", "3", result("42 99", 7)},
      {"XDEL", "fanfare:{probe}:journal:4", "17-0"},
      {"EXEC"},
  });
  ASSERT_EQ(history.changes.size(), 2u);
  EXPECT_EQ(history.changes[0].kind, Change::Kind::kAppended);
  EXPECT_EQ(history.changes[0].tag, 42u);
  EXPECT_EQ(history.changes[0].id, (protocol::EventId{{17, 0}, 3}));
  EXPECT_EQ(history.changes[1].kind, Change::Kind::kStored);
  EXPECT_EQ(history.changes[1].tag, 42u);
  EXPECT_EQ(history.changes[1].nonce, 99u);
  EXPECT_EQ(history.changes[1].token.value, 7u);
  EXPECT_LT(history.changes[0].step, history.changes[1].step);
  // Counts as they were after each step, not in the midst of it.
  ASSERT_EQ(history.counts.size(), 2u);
  EXPECT_EQ(history.counts[0].counts, (Counts{.accepted = 1, .open = 1}));
  EXPECT_EQ(history.counts[1].counts, (Counts{.accepted = 1, .succeeded = 1}));
}

TEST(AppendOnlyFile, KnowsThatADelayedEventIsAppendedToLater) {
  const std::string row = store::pack(store::LaterRow{{4096}, 0, 5, {}, event(42)});
  const History history = replay({
      {"MULTI"},
      {"HINCRBY", "fanfare:{probe}:counts", "accepted", "1"},
      {"HINCRBY", "fanfare:{probe}:counts", "later", "1"},
      {"ZADD", "fanfare:{probe}:later", "900", "17-0.3"},
      {"HSET", "fanfare:{probe}:later:rows", "17-0.3", row},
      {"EXEC"},
      {"HSET", "fanfare:{probe}:later:rows", "17-0.3", row},  // put off once more
  });
  ASSERT_EQ(history.changes.size(), 3u);
  EXPECT_EQ(history.changes[0].kind, Change::Kind::kAppended);
  EXPECT_EQ(history.changes[0].tag, 42u);
  EXPECT_EQ(history.changes[0].id, (protocol::EventId{{17, 0}, 3}));
  EXPECT_EQ(history.changes[1].kind, Change::Kind::kPostponed);
  EXPECT_EQ(history.changes[2].kind, Change::Kind::kPostponed);
}

TEST(AppendOnlyFile, TellsALetterThatIsRedrivenFromOneThatIsPurged) {
  const std::string row = store::pack(store::LaterRow{{4096}, 0, 5, {}, event(42)});
  const History history = replay({
      {"XADD", "fanfare:{probe}:dead", "20-0", "id", "17-0.3", "event", event(42)},
      {"XADD", "fanfare:{probe}:dead", "21-0", "id", "17-0.4", "event", event(43)},
      {"MULTI"},
      {"ZADD", "fanfare:{probe}:later", "900", "17-0.3"},
      {"HSET", "fanfare:{probe}:later:rows", "17-0.3", row},
      {"HDEL", "fanfare:{probe}:results:17-0", "3"},
      {"XDEL", "fanfare:{probe}:dead", "20-0"},
      {"EXEC"},
      {"XDEL", "fanfare:{probe}:dead", "21-0"},
  });
  ASSERT_EQ(history.changes.size(), 4u);
  EXPECT_EQ(history.changes[2].kind, Change::Kind::kRedriven);
  EXPECT_EQ(history.changes[2].id.index, 3);
  EXPECT_EQ(history.changes[3].kind, Change::Kind::kPurged);
  EXPECT_EQ(history.changes[3].id.index, 4);
}

TEST(AppendOnlyFile, KnowsWhatAnEventTellsOf) {
  protocol::Event told;
  told.source = "/functions/probe";
  told.type = "function.failed";
  told.subject = "17-0.3";
  const History history =
      replay({{"XADD", "fanfare:{told}:journal:4", "30-0", "0", protocol::pack(told)}});
  ASSERT_EQ(history.changes.size(), 1u);
  EXPECT_EQ(history.changes[0].about, (protocol::EventId{{17, 0}, 3}));
  EXPECT_TRUE(history.changes[0].failure);
}

TEST(AppendOnlyFile, FindsEventsThatLieBesideTheirEntry) {
  const History history = replay({
      {"SET", "fanfare:{probe}:journal:4:17-0:1", event(42), "PXAT", "1700000000000"},
      {"SET", "fanfare:{probe}:journal:4:18-0:1", event(43), "PXAT", "1700000000000"},
      {"MULTI"},
      {"RENAME", "fanfare:{probe}:journal:4:17-0:1", "fanfare:{probe}:journal:4:17-0"},
      {"PERSIST", "fanfare:{probe}:journal:4:17-0"},
      {"XADD", "fanfare:{probe}:journal:4", "17-0", "3", ""},
      {"EXEC"},
      {"UNLINK", "fanfare:{probe}:journal:4:17-0"},
  });
  ASSERT_EQ(history.changes.size(), 1u) << "what is only staged is not appended";
  EXPECT_EQ(history.changes[0].tag, 42u);
  EXPECT_EQ(history.changes[0].id, (protocol::EventId{{17, 0}, 3}));
}

TEST(AppendOnlyFile, FindsResultsThatLieBesideTheOthers) {
  std::string packed;
  for (const char index : {'\3', '\4'}) {
    const std::string one = result("42 7", 1);
    packed.append({index, 0, 0, 0, static_cast<char>(one.size())}).append(one);
  }
  const History history = replay({
      {"SET", "fanfare:{probe}:results:17-0:3-4:4097", packed, "PXAT", "1700000000000"},
      {"SET", "fanfare:{probe}:results:17-0:5-6:4097", packed, "PXAT", "1700000000000"},
      {"MULTI"},
      {"RENAME", "fanfare:{probe}:results:17-0:3-4:4097", "fanfare:{probe}:results:17-0:3-4"},
      {"PEXPIRE", "fanfare:{probe}:results:17-0:3-4", "60000"},
      {"HSET", "fanfare:{probe}:results:17-0", "3-4", "", "spans", ""},
      {"EXEC"},
  });
  ASSERT_EQ(history.changes.size(), 2u) << "what is only staged is not stored";
  EXPECT_EQ(history.changes[0].tag, 42u);
  EXPECT_EQ(history.changes[0].id, (protocol::EventId{{17, 0}, 3}));
  EXPECT_EQ(history.changes[1].id, (protocol::EventId{{17, 0}, 4}));
}

TEST(AppendOnlyFile, ForgetsWhatAStepTookBack) {
  const History history = replay({
      {"MULTI"},
      {"HINCRBY", "fanfare:{probe}:counts", "succeeded", "1"},
      {"HSET", "fanfare:{probe}:results:17-0", "0", result("1 1", 1), "1", result("2 2", 1)},
      {"HDEL", "fanfare:{probe}:results:17-0", "0"},
      {"XADD", "fanfare:{probe}:dead", "20-0", "id", "17-0.5", "event", event(5)},
      {"XDEL", "fanfare:{probe}:dead", "20-0"},
      {"HINCRBY", "fanfare:{probe}:counts", "succeeded", "-1"},
      {"EXEC"},
  });
  ASSERT_EQ(history.changes.size(), 1u);
  EXPECT_EQ(history.changes[0].id.index, 1);
  ASSERT_EQ(history.counts.size(), 1u);
  EXPECT_EQ(history.counts[0].counts, Counts{});
}

// What a library's function does with a retry of a delivery that has ended meanwhile.
TEST(AppendOnlyFile, ForgetsARowThatTheSameStepTookBackButNotOneOfAnEarlierStep) {
  const std::string row = store::pack(store::LaterRow{{4096}, 1, 5, {}, event(42)});
  const History history = replay({
      {"MULTI"},
      {"ZADD", "fanfare:{probe}:later", "900", "17-0.3"},
      {"HSET", "fanfare:{probe}:later:rows", "17-0.3", row},
      {"HDEL", "fanfare:{probe}:later:rows", "17-0.3"},
      {"ZREM", "fanfare:{probe}:later", "17-0.3"},
      {"EXEC"},
      {"HSET", "fanfare:{probe}:later:rows", "17-0.4", row},
      {"HDEL", "fanfare:{probe}:later:rows", "17-0.4"},
  });
  ASSERT_EQ(history.changes.size(), 1u);
  EXPECT_EQ(history.changes[0].kind, Change::Kind::kPostponed);
  EXPECT_EQ(history.changes[0].id.index, 4);
}

}  // namespace
}  // namespace fanfare::chaos
