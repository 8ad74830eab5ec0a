// Functions' own rows in a real Redis: the same as in the model, and what holds at the limits.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>

#include "protocol/row_writes.h"
#include "store/keys.h"
#include "store/model_store.h"
#include "store/test_store.h"

namespace fanfare::store::test {
namespace {

using protocol::RowWrite;
using Outcome = RowsWritten::Outcome;

constexpr std::int64_t kNow = 1'700'000'000'000;

std::string put(std::string_view key, std::string_view value, std::int64_t expires_ms = 0) {
  std::string packed;
  protocol::append_write(packed, {RowWrite::Kind::kPut, key, value, expires_ms});
  return packed;
}
std::string erase(std::string_view key) {
  std::string packed;
  protocol::append_write(packed, {RowWrite::Kind::kErase, key, {}, 0});
  return packed;
}
std::string increment(std::string_view key, std::string_view by) {
  std::string packed;
  protocol::append_write(packed, {RowWrite::Kind::kIncrement, key, by, 0});
  return packed;
}
WriteRows writing(std::string packed, std::int64_t now_ms = kNow, RowLimits limits = {}) {
  return {.function = std::string{kFunction},
          .now_ms = now_ms,
          .limits = limits,
          .packed = std::move(packed)};
}

std::string in_words(const Result<Answer>& answer) {
  if (!answer) return fmt::format("refused: {}", to_string(answer.error().kind));
  if (const auto* written = std::get_if<RowsWritten>(&*answer)) {
    return fmt::format("outcome {}", static_cast<int>(written->outcome));
  }
  const auto& rows = std::get<Rows>(*answer);
  std::string text = "next '" + rows.next + "'";
  for (const StoredRow& row : rows.rows) {
    text += fmt::format(" | {} {} {}", row.key, row.value.substr(0, 40), row.expires_ms);
  }
  return text;
}

// What lies in Redis under one function, checked against the model: rows, order, expiries, bytes.
void expect_same(TestStore& redis, const ModelStore& model) {
  const auto* function = model.find(std::string{kFunction});
  ASSERT_TRUE(function);
  std::map<std::string, std::string> expected;
  std::string values, names, expiries;
  std::set<std::pair<std::int64_t, std::string>> by_expiry;
  for (const auto& [key, row] : function->store.rows()) {
    names += key + ",0,";
    if (row.expires_ms > 0) by_expiry.emplace(row.expires_ms, key);
  }
  for (const auto& [at, key] : by_expiry) expiries += fmt::format("{},{},", key, at);
  const auto all = redis.snapshot();
  const auto content = [&](const std::string& key) {
    const auto at = all.find(key);
    return at == all.end() ? std::string{"()"} : at->second;
  };
  EXPECT_EQ(content(store_names_key(kFunction)), "(" + names + ")");
  EXPECT_EQ(content(store_expiries_key(kFunction)), "(" + expiries + ")");
  EXPECT_EQ(redis.command({"HLEN", store_key(kFunction)}),
            std::to_string(function->store.rows().size()));
  EXPECT_EQ(redis.counts()["store_bytes"],
            function->store.bytes() == 0 ? "" : std::to_string(function->store.bytes()));
}

class RowCaller {
 public:
  explicit RowCaller(std::uint32_t seed) : random_(seed) {}

  Call next() {
    now_ms_ += static_cast<std::int64_t>(number(0, 3));
    switch (number(0, 9)) {
      case 0:
        return GetRows{std::string{kFunction}, now_ms_, {key(), key(), key()}};
      case 1: {
        const std::string prefix = number(0, 1) == 0 ? "" : key().substr(0, 1);
        const std::string after = number(0, 1) == 0 ? "" : prefix + "2";
        return ListRows{std::string{kFunction}, now_ms_, prefix, after,
                        static_cast<std::uint32_t>(number(1, 9))};
      }
      default:
        break;
    }
    std::string packed;
    for (std::size_t n = number(0, 4); n > 0; --n) packed += write();
    WriteRows call = writing(packed, now_ms_, {number(5, 40), number(60, 4000)});
    return call;
  }

 private:
  std::size_t number(std::size_t from, std::size_t to) {
    return std::uniform_int_distribution<std::size_t>(from, to)(random_);
  }
  std::string key() {
    return fmt::format("{}{}", static_cast<char>('a' + number(0, 4)), number(0, 9));
  }
  std::string write() {
    switch (number(0, 5)) {
      case 0:
        return erase(key());
      case 1:
      case 2:
        return increment(key(), fmt::format("{}", static_cast<int>(number(0, 9)) - 4));
      case 3:
        return put(key(), fmt::format("{}", number(0, 99)),
                   now_ms_ + static_cast<std::int64_t>(number(0, 30)));
      case 4:
        return put(key(), "9007199254740989");
      default:
        return put(key(), std::string(number(0, 60), 'v'));
    }
  }

  std::mt19937 random_;
  std::int64_t now_ms_ = kNow;
};

class RowsConformance : public ::testing::TestWithParam<std::uint32_t> {};

TEST_P(RowsConformance, OfTheModelWithRedis) {
  TestStore redis({.append_only = false});
  ModelStore model;
  RowCaller caller(GetParam());
  for (int step = 0; step < 1500; ++step) {
    const Call call = caller.next();
    ASSERT_EQ(in_words(redis.ask(call)), in_words(model.call(call)))
        << "seed " << GetParam() << ", step " << step;
    if (step % 20 != 19) continue;
    expect_same(redis, model);
    if (HasFailure()) FAIL() << "seed " << GetParam() << ", step " << step;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, RowsConformance, ::testing::Range(1u, 5u));

class RowsInRedis : public ::testing::Test {
 protected:
  Outcome write(std::string packed, std::int64_t now_ms = kNow, RowLimits limits = {}) {
    return redis.get<RowsWritten>(writing(std::move(packed), now_ms, limits)).outcome;
  }
  std::optional<StoredRow> get(const std::string& key, std::int64_t now_ms = kNow) {
    auto rows = redis.get<Rows>(GetRows{std::string{kFunction}, now_ms, {key}}).rows;
    if (rows.empty()) return std::nullopt;
    return rows[0];
  }
  TestStore redis{{.append_only = false}};
};

TEST_F(RowsInRedis, AreByteForByteWhatTheManualSays) {
  ASSERT_EQ(write(put("k", std::string("v\0w", 3), 0x0102)), Outcome::kWritten);
  EXPECT_EQ(redis.command({"HGET", "fanfare:{resize}:store", "k"}),
            std::string("\0\0\0\0\0\0\1\2v\0w", 11));
  EXPECT_EQ(redis.command({"ZSCORE", "fanfare:{resize}:store:keys", "k"}), "0");
  EXPECT_EQ(redis.command({"ZSCORE", "fanfare:{resize}:store:expiries", "k"}), "258");
  EXPECT_EQ(redis.command({"HGET", "fanfare:{resize}:counts", "store_bytes"}), "4");
}

TEST_F(RowsInRedis, AreGoneWhenTheyHaveExpiredWhetherOrNotTheyLieThere) {
  write(put("short", "v", kNow + 10) + put("long", "v"));
  EXPECT_TRUE(get("short", kNow + 9));
  EXPECT_FALSE(get("short", kNow + 10));
  const ListRows all{std::string{kFunction}, kNow + 10, "", "", 10};
  EXPECT_EQ(redis.get<Rows>(all).rows.size(), 1u);
  EXPECT_EQ(redis.command({"HLEN", store_key(kFunction)}), "2");
  write("", kNow + 10);  // any write takes some of them away
  EXPECT_EQ(redis.command({"HLEN", store_key(kFunction)}), "1");
  EXPECT_EQ(redis.counts()["store_bytes"], "5");
}

TEST_F(RowsInRedis, AreTakenAwayAFewAtATime) {
  std::string packed;
  for (int i = 0; i < 100; ++i) packed += put("k" + std::to_string(i), "v", kNow + 1);
  write(packed);
  write("", kNow + 1);
  EXPECT_EQ(redis.command({"HLEN", store_key(kFunction)}), "68");
}

TEST_F(RowsInRedis, AreRefusedBeyondTheLimitsAsAWhole) {
  const RowLimits limits{.rows_max = 2, .bytes_max = 20};
  EXPECT_EQ(write(put("a", "1") + put("b", "1") + put("c", "1"), kNow, limits), Outcome::kFull);
  EXPECT_FALSE(get("a"));
  EXPECT_EQ(write(put("a", "1") + put("b", "1"), kNow, limits), Outcome::kWritten);
  EXPECT_EQ(write(put("c", "1"), kNow, limits), Outcome::kFull);
  EXPECT_EQ(write(erase("a") + put("c", "1"), kNow, limits), Outcome::kWritten);
  EXPECT_EQ(write(put("b", std::string(20, 'x')), kNow, limits), Outcome::kFull);
  // Over the limits already, since they were lowered: what makes it no larger is taken.
  EXPECT_EQ(write(put("b", "2"), kNow, {.rows_max = 1, .bytes_max = 1}), Outcome::kWritten);
  EXPECT_EQ(write(put("b", "22"), kNow, {.rows_max = 1, .bytes_max = 1}), Outcome::kFull);
  EXPECT_EQ(write(erase("b"), kNow, {.rows_max = 0, .bytes_max = 0}), Outcome::kWritten);
}

TEST_F(RowsInRedis, AreNumbersIfTheyAreToBeIncremented) {
  EXPECT_EQ(write(increment("n", "5")), Outcome::kWritten);
  EXPECT_EQ(write(increment("n", "-7")), Outcome::kWritten);
  EXPECT_EQ(get("n")->value, "-2");
  write(put("n", "9007199254740990", kNow + 50));
  EXPECT_EQ(write(increment("n", "1")), Outcome::kWritten);
  EXPECT_EQ(get("n")->value, "9007199254740991");
  EXPECT_EQ(get("n")->expires_ms, kNow + 50) << "an increment leaves the expiry alone";
  EXPECT_EQ(write(increment("n", "1")), Outcome::kNotANumber);
  EXPECT_EQ(write(increment("n", "1"), kNow + 50), Outcome::kWritten);
  EXPECT_EQ(get("n")->value, "1") << "an expired row counts as none";
  EXPECT_EQ(get("n")->expires_ms, 0);
  write(put("t", "text"));
  EXPECT_EQ(write(put("u", "1") + increment("t", "1")), Outcome::kNotANumber);
  EXPECT_FALSE(get("u")) << "all of an attempt's writes or none";
}

// Commits entry by entry, each delivery with its own writes.
TEST_F(RowsInRedis, AreWrittenWithTheResultOfTheDeliveryThatIsOkAndNoOther) {
  redis.get<Begun>(Begin{});
  redis.get<Appended>(append_of(entry(1), 3));
  redis.get<Appended>(append_of(entry(2), 1));
  const auto with_rows = [](Commit commit, std::vector<std::string> packed, RowLimits limits = {}) {
    std::size_t next = 0;
    for (auto& group : commit.groups) {
      for (auto& item : group.items) item.effects = {RowWrites{kNow, limits, packed[next++]}};
    }
    return commit;
  };
  // Of three one meets text, one meets the limit, one goes through.
  write(put("text", "t"));
  const Commit mixed = with_rows(commit_of({{entry(1), 3, {0, 1, 2}}}),
                                 {increment("text", "1"), increment("n", "1") + put("own/1", "1"),
                                  put("a", "1") + put("b", "1")},
                                 {.rows_max = 3, .bytes_max = 1000});
  using enum Verdict;
  EXPECT_THAT(redis.get<Committed>(mixed).verdicts,
              ::testing::ElementsAre(kNotANumber, kOk, kStoreFull));
  EXPECT_EQ(get("n")->value, "1");
  EXPECT_FALSE(get("a"));
  // Said again, with room for the one that had none: the one that was ok is not written twice.
  const Commit again = with_rows(
      commit_of({{entry(1), 3, {0, 1, 2}}}),
      {put("text", "0"), increment("n", "1") + put("own/1", "1"), put("a", "1") + put("b", "1")});
  EXPECT_THAT(redis.get<Committed>(again).verdicts, ::testing::ElementsAre(kOk, kDuplicate, kOk));
  EXPECT_EQ(get("n")->value, "1");
  EXPECT_TRUE(get("a"));
  // Another attempt than the one that ended it writes nothing.
  EXPECT_THAT(
      redis.get<Committed>(with_rows(commit_of({{entry(2), 1, {0}, 1}}), {increment("n", "1")}))
          .verdicts,
      ::testing::ElementsAre(kOk));
  EXPECT_THAT(
      redis.get<Committed>(with_rows(commit_of({{entry(2), 1, {0}, 2}}), {increment("n", "1")}))
          .verdicts,
      ::testing::ElementsAre(kFenced));
  EXPECT_EQ(get("n")->value, "2");
  redis.expect_counts_add_up();
}

// A worker sends fewer, but a call may hold as many as its deliveries may write together: more
// than Lua hands to one command.
TEST_F(RowsInRedis, OfManyDeliveriesAreWrittenInOneCommit) {
  constexpr std::size_t kDeliveries = 40, kWrites = protocol::kRowWritesMax;
  const auto commit = [&](std::uint64_t number, const auto& write) {
    redis.get<Appended>(append_of(entry(number), kDeliveries));
    Ends ends{entry(number), kDeliveries, {}};
    for (std::uint8_t i = 0; i < kDeliveries; ++i) ends.indexes.push_back(i);
    Commit call = commit_of({ends});
    for (auto& item : call.groups[0].items) {
      std::string packed;
      for (std::size_t i = 0; i < kWrites; ++i) {
        packed += write(fmt::format("{}/{}", item.index, i));
      }
      item.effects = {RowWrites{kNow, {}, std::move(packed)}};
    }
    EXPECT_THAT(redis.get<Committed>(call).verdicts, ::testing::Each(Verdict::kOk));
  };
  redis.get<Begun>(Begin{});
  commit(1, [](const std::string& key) { return put(key, "1", kNow + 1000); });
  const std::string all = std::to_string(kDeliveries * kWrites);
  EXPECT_EQ(redis.command({"HLEN", store_key(kFunction)}), all);
  EXPECT_EQ(redis.command({"ZCARD", store_names_key(kFunction)}), all);
  EXPECT_EQ(redis.command({"ZCARD", store_expiries_key(kFunction)}), all);
  commit(2, [](const std::string& key) { return erase(key); });
  for (const std::string& key :
       {store_key(kFunction), store_names_key(kFunction), store_expiries_key(kFunction)}) {
    EXPECT_EQ(redis.command({"EXISTS", key}), "0") << key;
  }
}

TEST_F(RowsInRedis, AreNeverWrittenByAFailure) {
  Bury bury = bury_of({{entry(1), 1, {0}}});
  bury.items[0].effects = {RowWrites{kNow, {}, put("a", "1")}};
  EXPECT_EQ(redis.refusal(bury), ErrorKind::kReject);
}

TEST_F(RowsInRedis, AreListedInOrderPageByPage) {
  for (const char* key : {"b/2", "a", "b/10", "b/1", "c", "b"}) write(put(key, key));
  std::string seen;
  ListRows call{std::string{kFunction}, kNow, "b/", "", 2};
  for (int page = 0; page < 9; ++page) {
    const Rows rows = redis.get<Rows>(call);
    for (const StoredRow& row : rows.rows) seen += row.key + " ";
    seen += "| ";
    if (rows.next.empty()) break;
    call.after = rows.next;
  }
  EXPECT_EQ(seen, "b/1 b/10 | b/2 | ");
  call.after = "a";
  EXPECT_EQ(redis.refusal(call), ErrorKind::kReject) << "the cursor of another list";
}

TEST_F(RowsInRedis, AreListedWithinBoundsWhateverTheirSize) {
  for (int i = 0; i < 8; ++i) write(put("k" + std::to_string(i), std::string(200'000, 'v')));
  const Rows rows = redis.get<Rows>(ListRows{std::string{kFunction}, kNow, "", "", 1000});
  EXPECT_EQ(rows.rows.size(), 2u);
  EXPECT_EQ(rows.next, "k1");
}

TEST_F(RowsInRedis, CanBeErasedWhenRedisIsFull) {
  write(put("k", std::string(1000, 'v')));
  redis.command({"CONFIG", "SET", "maxmemory", "1"});
  EXPECT_EQ(redis.refusal(writing(put("more", "v"))), ErrorKind::kRetryLater);
  EXPECT_EQ(write(erase("k")), Outcome::kWritten);
  redis.command({"CONFIG", "SET", "maxmemory", "0"});
  EXPECT_FALSE(get("k"));
}

TEST_F(RowsInRedis, RefuseAKeyOfTheWrongTypeAsAWhole) {
  redis.command({"SET", store_expiries_key(kFunction), "not a set"});
  EXPECT_EQ(redis.refusal(writing(put("k", "v"))), ErrorKind::kReject);
  EXPECT_FALSE(get("k"));
}

}  // namespace
}  // namespace fanfare::store::test
