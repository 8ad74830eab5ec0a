// What instances read of and write to their functions' stores, in the worker's core.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "protocol/row_writes.h"
#include "worker/core_fixture.h"

namespace fanfare::worker {
namespace {

using ::testing::HasSubstr;

CoreOptions with_a_slot() {
  return {.name = "w1", .host = "boot", .pid = 7, .slots = 1};
}

// A worker whose only instance runs one delivery, or more.
struct Running : Worker {
  explicit Running(const std::string& manifest = "", std::uint64_t entries = 1)
      : Worker(with_a_slot()) {
    join({function("f", manifest)});
    deliver_entries(1, entries);
  }
  InstanceId instance() { return effects.forked.at(0); }
  void ask(const std::string& key, std::uint64_t number = 1) {
    core->on_rows_asked(instance(), {number, RowRequest::Kind::kGet, 0, key, ""}, now);
  }
  void finish_writing(const std::string& key, protocol::RowWrite::Kind kind,
                      std::size_t count = 1) {
    std::string packed;
    protocol::append_write(packed, {kind, key, "1", 0});
    finish(instance(), count, 10us,
           [&](ItemResult& result) { result.asked.push_back({Asked::Kind::kWriteRows, packed}); });
  }
};

const store::Rows kFound{{{"k", "value", 0}}, ""};

TEST(WorkerRows, AreReadFromTheFunctionsOwnStoreAndGivenToWhoAsked) {
  Running w;
  w.ask("k", 5);
  ASSERT_EQ(w.effects.reads.size(), 1u);
  const auto& call = std::get<store::GetRows>(w.effects.reads[0].second);
  EXPECT_EQ(call.function, "f");
  EXPECT_EQ(call.now_ms, to_ms(w.now.wall));
  EXPECT_THAT(call.keys, ::testing::ElementsAre("k"));
  w.core->on_rows(w.effects.reads[0].first, store::Answer{kFound}, w.now);
  ASSERT_EQ(w.effects.given_rows.size(), 1u);
  EXPECT_EQ(w.effects.given_rows[0].instance, w.instance());
  EXPECT_EQ(w.effects.given_rows[0].number, 5u);
  EXPECT_EQ(w.effects.given_rows[0].rows->rows, kFound.rows);
  EXPECT_EQ(w.core->counters().row_reads, 1u);
}

TEST(WorkerRows, AreAskedForAgainWhileRedisIsAway) {
  Running w;
  w.ask("k");
  const ReadId id = w.effects.reads[0].first;
  for (const Error& error : {reconnect("gone"), retry_later("full"), fatal("no password")}) {
    const std::size_t before = w.effects.reads.size();
    w.core->on_rows(id, error, w.now);
    EXPECT_TRUE(w.effects.given_rows.empty());
    w.pass(1s);
    ASSERT_EQ(w.effects.reads.size(), before + 1);
    EXPECT_EQ(w.effects.reads.back().first, id);
  }
  w.core->on_rows(id, store::Answer{kFound}, w.now);
  EXPECT_EQ(w.effects.given_rows.size(), 1u);
  w.core->on_rows(id, store::Answer{kFound}, w.now);
  EXPECT_EQ(w.effects.given_rows.size(), 1u) << "once";
}

TEST(WorkerRows, ThatCannotBeReadAreAnErrorOfTheHandler) {
  Running w;
  w.ask("");
  EXPECT_TRUE(w.effects.reads.empty());
  ASSERT_EQ(w.effects.given_rows.size(), 1u);
  EXPECT_EQ(w.effects.given_rows[0].rows.error().message, "a key is empty");
  w.ask("k", 2);
  w.core->on_rows(w.effects.reads[0].first, reject("WRONGTYPE"), w.now);
  ASSERT_EQ(w.effects.given_rows.size(), 2u);
  EXPECT_THAT(w.effects.given_rows[1].rows.error().message, HasSubstr("WRONGTYPE"));
  EXPECT_EQ(w.core->counters().row_reads_refused, 2u);
}

TEST(WorkerRows, ThatNobodyWaitsForAnyMoreGoNowhere) {
  Running w;
  w.ask("k");
  const ReadId id = w.effects.reads[0].first;
  w.core->on_rows(id, reconnect("gone"), w.now);
  w.die(w.instance());
  w.pass(1s);
  EXPECT_EQ(w.effects.reads.size(), 1u) << "not asked for again";
  w.core->on_rows(id, store::Answer{kFound}, w.now);
  EXPECT_TRUE(w.effects.given_rows.empty());
}

TEST(WorkerRows, AreWrittenByTheCommitOfTheResultWithinTheManifestsLimits) {
  Running w("[store]\nmax_rows = 7\nmax_bytes = 99\n");
  w.finish_writing("k", protocol::RowWrite::Kind::kPut);
  ASSERT_EQ(w.effects.commits.size(), 1u);
  const auto& item = w.effects.commits[0].second.groups[0].items[0];
  ASSERT_EQ(item.effects.size(), 1u);
  const auto& writes = std::get<store::RowWrites>(item.effects[0]);
  EXPECT_EQ(writes.limits.rows_max, 7u);
  EXPECT_EQ(writes.limits.bytes_max, 99u);
  EXPECT_EQ(writes.now_ms, to_ms(w.now.wall));
  w.answer_commits();
  const auto done = w.sent<protocol::Done>();
  ASSERT_EQ(done.size(), 1u);
  EXPECT_TRUE(done[0].outboxes.empty()) << "rows are no events";
  EXPECT_EQ(w.core->counters().attempts_ok, 1u);
  EXPECT_THAT(w.effects.reports, ::testing::ElementsAre("ok"));
}

TEST(WorkerRows, ThatAreRefusedFailTheirAttemptAndNoOther) {
  for (const auto verdict : {store::Verdict::kStoreFull, store::Verdict::kNotANumber}) {
    Running w;
    w.finish_writing("k", protocol::RowWrite::Kind::kIncrement);
    EXPECT_EQ(w.core->counters().attempts_failed + w.core->counters().attempts_ok, 0u)
        << "not known before they are written, or not";
    EXPECT_TRUE(w.effects.reports.empty());
    w.answer_commits(verdict);
    const auto rows = w.done_rows();
    ASSERT_EQ(rows.size(), 1u);
    EXPECT_EQ(rows[0].outcome, protocol::Outcome::kFunctionError);
    const bool full = verdict == store::Verdict::kStoreFull;
    EXPECT_EQ(rows[0].failure.type, full ? "StoreFull" : "NotANumber");
    EXPECT_THAT(rows[0].failure.message, HasSubstr("nothing was written"));
    EXPECT_TRUE(rows[0].failure.retryable);
    const auto ledger = protocol::unpack_ledger(rows[0].packed_row);
    ASSERT_TRUE(ledger);
    ASSERT_EQ(ledger->size(), 1u);
    EXPECT_EQ(ledger->at(0).outcome, protocol::Outcome::kFunctionError);
    EXPECT_EQ(ledger->at(0).error_type, rows[0].failure.type);
    EXPECT_EQ(ledger->at(0).number, 1u);
    EXPECT_EQ(w.core->counters().attempts_ok, 0u);
    EXPECT_EQ(w.core->counters().attempts_failed, 1u);
    EXPECT_THAT(w.effects.reports, ::testing::ElementsAre("function_error"));
    EXPECT_EQ(w.core->counters().row_writes_full, full ? 1u : 0u);
    EXPECT_EQ(w.core->held(), 0u);
  }
}

TEST(WorkerRows, OfAnInvocationAreCommittedBeforeItIsAnswered) {
  Worker w(with_a_slot());
  w.join();
  auto invoked = Worker::delivery(9);
  invoked.origin = protocol::Origin::kInvoke;
  w.deliver({invoked});
  std::string packed;
  protocol::append_write(packed, {protocol::RowWrite::Kind::kPut, "k", "v", 0});
  const auto writes = [&](ItemResult& result) {
    result.asked.push_back({Asked::Kind::kWriteRows, packed});
  };
  w.finish(w.effects.forked[0], 1, 1ms, writes);
  ASSERT_EQ(w.effects.commits.size(), 1u);
  const store::Commit call = w.effects.commits[0].second;
  EXPECT_TRUE(store::check(store::Call{call}));
  EXPECT_GT(call.result_ttl_ms, 0) << "its token stays, so that a repeat is known";
  EXPECT_TRUE(w.done_rows().empty());
  // The reply is lost: the same call again, byte for byte.
  w.core->on_commit_failed(w.effects.commits[0].first, reconnect("lost"), w.now);
  w.pass(1s);
  ASSERT_EQ(w.effects.commits.size(), 2u);
  w.effects.commits.erase(w.effects.commits.begin());
  w.answer_commits(store::Verdict::kDuplicate);
  auto rows = w.done_rows();
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(protocol::unpack_result(rows[0].record)->status, protocol::Status::kSucceeded);

  invoked.id.entry.ms = 10;
  w.deliver({invoked});
  w.finish(w.effects.forked[0], 1, 1ms, writes);
  w.answer_commits(store::Verdict::kStoreFull);
  rows = w.done_rows();
  ASSERT_EQ(rows.size(), 1u);
  const auto record = protocol::unpack_result(rows[0].record);
  ASSERT_TRUE(record);
  EXPECT_EQ(record->status, protocol::Status::kFailed);
  EXPECT_EQ(record->error_type, "StoreFull");
  EXPECT_TRUE(record->output.empty());
}

TEST(WorkerRows, CountAgainstWhatOneCommitMayWrite) {
  Running w("", 200);
  std::string packed;
  for (int i = 0; i < 2; ++i) {
    protocol::append_write(packed,
                           {protocol::RowWrite::Kind::kPut, "k" + std::to_string(i), "v", 0});
  }
  while (w.unfinished(w.instance()) > 0) {
    w.finish(w.instance(), 50, 10us, [&](ItemResult& result) {
      result.asked.push_back({Asked::Kind::kWriteRows, packed});
    });
  }
  w.pass(5ms);
  std::size_t items = 0, calls = 0;
  while (!w.effects.commits.empty()) {
    for (const auto& [id, call] : w.effects.commits) {
      std::size_t here = 0;
      for (const auto& group : call.groups) here += group.items.size();
      EXPECT_LE(3 * here, 256u);
      items += here;
      ++calls;
    }
    w.answer_commits();
    w.pass(5ms);
  }
  EXPECT_EQ(items, 200u);
  EXPECT_GE(calls, 3u) << "256 writes make 85 deliveries";
}

}  // namespace
}  // namespace fanfare::worker
