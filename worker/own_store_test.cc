#include "worker/own_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "store/model_rows.h"
#include "worker/channel.h"
#include "worker/row_channel.h"

namespace fanfare::worker {
namespace {

using ::testing::HasSubstr;

constexpr std::int64_t kNow = 1'700'000'000'000;

// A function's store that an attempt looks at and writes to.
struct Attempt {
  store::ModelRows redis;
  OwnStore own{{.get = [this](std::string_view key) -> Result<store::Rows> {
                  if (away) return reject("away");
                  return redis.get({"f", kNow, {std::string{key}}});
                },
                .list = [this](std::string_view prefix, std::string_view after,
                               std::uint32_t rows_max) -> Result<store::Rows> {
                  return redis.list({"f", kNow, std::string{prefix}, std::string{after}, rows_max});
                }}};
  bool away = false;

  store::RowsWritten::Outcome commit() {
    const auto outcome = redis.write(own.packed(), kNow, {});
    own.forget();
    return outcome;
  }
  std::string listed(std::string_view prefix, std::uint32_t rows_max) {
    std::string seen, after;
    do {
      auto page = own.list(prefix, after, rows_max);
      if (!page) return page.error().message;
      EXPECT_LE(page->rows.size(), rows_max);
      for (const auto& row : page->rows) seen += row.key + "=" + row.value + " ";
      seen += "| ";
      after = page->next;
    } while (!after.empty());
    return seen;
  }
};

TEST(OwnStore, ReadsItsOwnWritesAndWritesNothingUntilTheCommit) {
  Attempt attempt;
  ASSERT_TRUE(attempt.own.put("a", "1", 0));
  EXPECT_EQ(attempt.own.get("a")->value_or("none"), "1");
  EXPECT_TRUE(attempt.redis.rows().empty());
  attempt.commit();
  EXPECT_EQ(attempt.redis.rows().at("a").value, "1");
  EXPECT_FALSE(attempt.own.written());
  ASSERT_TRUE(attempt.own.erase("a"));
  EXPECT_FALSE(*attempt.own.get("a"));
  attempt.commit();
  EXPECT_TRUE(attempt.redis.rows().empty());
}

TEST(OwnStore, AddsIncrementsToWhatIsThereWhenItCommits) {
  Attempt attempt;
  ASSERT_TRUE(attempt.own.increment("n", 2));
  ASSERT_TRUE(attempt.own.increment("n", 3));
  EXPECT_EQ(**attempt.own.get("n"), "5");

  std::string theirs;
  protocol::append_write(theirs, {protocol::RowWrite::Kind::kIncrement, "n", "100", 0});
  attempt.redis.write(theirs, kNow, {});
  EXPECT_EQ(**attempt.own.get("n"), "105");
  attempt.commit();
  EXPECT_EQ(attempt.redis.rows().at("n").value, "105");
}

TEST(OwnStore, FoldsWritesToOneKeyIntoOne) {
  Attempt attempt;
  ASSERT_TRUE(attempt.own.put("n", "7", kNow + 5));
  ASSERT_TRUE(attempt.own.increment("n", -2));
  ASSERT_TRUE(attempt.own.erase("m"));
  ASSERT_TRUE(attempt.own.increment("m", 4));
  const auto size = protocol::check_writes(attempt.own.packed());
  ASSERT_TRUE(size);
  EXPECT_EQ(size->writes, 2u);
  attempt.commit();
  EXPECT_EQ(attempt.redis.rows().at("n").value, "5");
  EXPECT_EQ(attempt.redis.rows().at("n").expires_ms, kNow + 5);
  EXPECT_EQ(attempt.redis.rows().at("m").value, "4");
}

TEST(OwnStore, ListsItsOwnWritesAmongTheOthersPageByPage) {
  Attempt attempt;
  for (const char* key : {"a/1", "a/3", "a/5", "b"}) ASSERT_TRUE(attempt.own.put(key, "old", 0));
  attempt.commit();
  ASSERT_TRUE(attempt.own.put("a/0", "new", 0));
  ASSERT_TRUE(attempt.own.put("a/3", "new", 0));
  ASSERT_TRUE(attempt.own.put("a/4", "new", 0));
  ASSERT_TRUE(attempt.own.put("a/9", "new", 0));
  ASSERT_TRUE(attempt.own.erase("a/5"));
  for (const std::uint32_t rows_max : {1u, 2u, 3u, 100u}) {
    std::string seen = attempt.listed("a/", rows_max);
    std::erase(seen, '|');
    std::string words;
    for (const char c : seen) {
      if (c != ' ' || !words.ends_with(' ')) words += c;
    }
    EXPECT_EQ(words, "a/0=new a/1=old a/3=new a/4=new a/9=new ") << rows_max;
  }
  EXPECT_THAT(attempt.own.list("a/", "b", 1).error().message, HasSubstr("another prefix"));
}

TEST(OwnStore, SaysWhatIsWrong) {
  Attempt attempt;
  EXPECT_EQ(attempt.own.put("", "v", 0).error().message, "a key is empty");
  EXPECT_EQ(attempt.own.get(std::string(513, 'k')).error().message,
            "a key has 513 bytes, the limit is 512");
  EXPECT_EQ(attempt.own.put("k", std::string(262'145, 'v'), 0).error().message,
            "the value of a row has 262145 bytes, the limit is 262144");
  ASSERT_TRUE(attempt.own.put("t", "text", 0));
  EXPECT_THAT(attempt.own.increment("t", 1).error().message, HasSubstr("no whole number"));
  attempt.commit();
  ASSERT_TRUE(attempt.own.increment("t", 1));
  EXPECT_THAT(attempt.own.get("t").error().message, HasSubstr("no whole number"));
  EXPECT_FALSE(attempt.own.increment("n", protocol::kRowNumberMax + 1));
  EXPECT_TRUE(attempt.own.increment("n", protocol::kRowNumberMax));
  EXPECT_FALSE(attempt.own.increment("n", 1));
  attempt.away = true;
  EXPECT_EQ(attempt.own.get("x").error().message, "away");
}

TEST(OwnStore, KeepsTheLimitsOfAnAttempt) {
  Attempt attempt;
  for (int i = 0; i < 256; ++i) ASSERT_TRUE(attempt.own.put(std::to_string(i), "v", 0));
  EXPECT_EQ(attempt.own.put("more", "v", 0).error().message, "an attempt may write 256 rows");
  EXPECT_TRUE(attempt.own.put("7", "again", 0));
  attempt.own.forget();
  const std::string large(262'000, 'v');
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(attempt.own.put(std::to_string(i), large, 0));
  EXPECT_THAT(attempt.own.put("more", large, 0).error().message, HasSubstr("1048576 bytes"));
  EXPECT_TRUE(attempt.own.put("3", "small", 0));
  EXPECT_TRUE(attempt.own.put("more", large, 0)) << "what was overwritten counts no more";
  EXPECT_TRUE(protocol::check_writes(attempt.own.packed()));
}

TEST(RowChannel, CarriesRequestsAndAnswers) {
  const RowRequest asked{7, RowRequest::Kind::kList, 12, "form/", "form/3"};
  const auto got = decode_row_request(encode(asked));
  ASSERT_TRUE(got);
  EXPECT_EQ(got->number, 7u);
  EXPECT_EQ(got->kind, RowRequest::Kind::kList);
  EXPECT_EQ(got->rows_max, 12u);
  EXPECT_EQ(got->key, "form/");
  EXPECT_EQ(got->after, "form/3");
  EXPECT_LE(
      encode({1, RowRequest::Kind::kList, 1, std::string(512, 'k'), std::string(512, 'k')}).size(),
      kInstanceMessageMax);
  const store::Rows rows{{{"a", std::string("\0x", 2), 5}, {"b", "", 0}}, "b"};
  const auto answer = decode_rows(encode_rows(rows));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->rows, rows.rows);
  EXPECT_EQ(answer->next, "b");
  EXPECT_EQ(decode_rows(encode_rows(reject("no"))).error().message, "no");
}

TEST(RowChannel, RefusesWhatIsCutOffOrStrange) {
  const std::string request = encode({7, RowRequest::Kind::kGet, 0, "key", ""});
  for (std::size_t size = 0; size < request.size(); ++size) {
    EXPECT_FALSE(decode_row_request(request.substr(0, size))) << size;
  }
  EXPECT_FALSE(decode_row_request(request + "x"));
  std::string unknown = request;
  unknown[16] = 9;
  EXPECT_FALSE(decode_row_request(unknown));
  const std::string answer = encode_rows(store::Rows{{{"a", "v", 5}}, ""});
  for (std::size_t size = 0; size < answer.size(); ++size) {
    EXPECT_FALSE(decode_rows(answer.substr(0, size))) << size;
  }
}

}  // namespace
}  // namespace fanfare::worker
