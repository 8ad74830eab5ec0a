// What the store does when the server, the connection or the library fails it.
#include "store/redis_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "store/keys.h"
#include "store/library.h"
#include "store/test_store.h"

namespace fanfare::store::test {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

class StoreOnLoop : public ::testing::Test {
 protected:
  void start(RedisStore::Limits limits = RedisStore::Limits()) {
    RedisOptions options = server.options();
    options.command_timeout = 300ms;
    store = std::make_unique<RedisStore>(
        loop, options,
        RedisStore::Hooks{[this] { ++ready; },
                          [this](const Error& error) { down.push_back(error); }},
        limits);
  }
  bool wait(const std::function<bool()>& done) { return loop.run_until(done, 10s); }
  bool wait_ready() {
    return wait([this] { return store->ready(); });
  }
  // Puts the answer of the call with this number into `answers`.
  void call(Call call) {
    const std::size_t number = answers.size();
    answers.emplace_back();
    store->call(std::move(call), [this, number](Result<Answer> answer) {
      order.push_back(number);
      answers[number] = std::move(answer);
    });
  }
  bool wait_answers() {
    return wait([this] { return order.size() == answers.size(); });
  }
  template <typename T>
  const T* answer(std::size_t number) {
    return answers[number] && *answers[number] ? std::get_if<T>(&**answers[number]) : nullptr;
  }
  ErrorKind refusal(std::size_t number) { return answers[number]->error().kind; }
  std::string length() {
    return server.command({"XLEN", "fanfare:{" + std::string{kFunction} + "}:journal:4"});
  }
  void begin() {
    call(Begin{});
    ASSERT_TRUE(wait_answers());
    ASSERT_TRUE(answer<Begun>(0));
  }

  fanfare::test::RedisServer server;
  Loop loop;
  int ready = 0;
  std::vector<Error> down;
  std::vector<std::optional<Result<Answer>>> answers;
  std::vector<std::size_t> order;
  std::unique_ptr<RedisStore> store;
};

TEST_F(StoreOnLoop, LoadsTheLibraryWhereItIsMissing) {
  start();
  ASSERT_TRUE(wait_ready());
  EXPECT_EQ(server.command({"FCALL_RO", "fanfare2_digest", "0"}), library_digest());
  EXPECT_EQ(ready, 1);
}

TEST_F(StoreOnLoop, ReplacesALibraryOfAnotherVersionAndKeepsItsOwn) {
  std::string other = library_text();
  other.replace(other.find(library_digest()), 4, "beef");
  server.command({"FUNCTION", "LOAD", other});
  start();
  ASSERT_TRUE(wait_ready());
  EXPECT_EQ(server.command({"FCALL_RO", "fanfare2_digest", "0"}), library_digest());
  server.command({"CONFIG", "RESETSTAT"});
  store.reset();
  start();
  ASSERT_TRUE(wait_ready());
  EXPECT_THAT(server.command({"INFO", "commandstats"}), Not(HasSubstr("function|load")));
}

TEST_F(StoreOnLoop, LoadsTheLibraryAgainWhenItGoesMissing) {
  start();
  begin();
  server.command({"FUNCTION", "FLUSH"});
  call(append_of(entry(1), 2));
  call(append_of(entry(2), 2));
  call(commit_of({{entry(1), 2, {0, 1}}}));
  ASSERT_TRUE(wait_answers());
  EXPECT_TRUE(answer<Appended>(1) && answer<Appended>(2));
  EXPECT_EQ(answer<Committed>(3)->verdicts, std::vector(2, Verdict::kOk));
  EXPECT_EQ(order, (std::vector<std::size_t>{0, 1, 2, 3}));
}

TEST_F(StoreOnLoop, HoldsCallsUntilTheServerIsThere) {
  server.stop();
  start();
  call(Begin{});
  ASSERT_TRUE(wait([this] { return !down.empty(); }));
  EXPECT_EQ(down[0].kind, ErrorKind::kReconnect);
  server.start();
  ASSERT_TRUE(wait_answers());
  EXPECT_TRUE(answer<Begun>(0));
}

// The server has taken the calls, but its replies never arrive: the link gives up and connects
// anew.
TEST_F(StoreOnLoop, RepeatsWhatHasNoAnswerAndIsTakenOnce) {
  start();
  begin();
  server.pause();
  call(append_of(entry(1), 3));
  call(append_of(entry(2), 1));
  call(commit_of({{entry(1), 3, {0, 2}}}));
  ASSERT_TRUE(wait([this] { return !down.empty(); }));
  server.resume();
  ASSERT_TRUE(wait_answers());
  EXPECT_TRUE(answer<Appended>(1)->repeated) << "the first try had gone through";
  EXPECT_TRUE(answer<Appended>(2)->repeated);
  EXPECT_EQ(answer<Committed>(3)->verdicts, std::vector(2, Verdict::kDuplicate));
  EXPECT_EQ(length(), "2");
  EXPECT_EQ(order, (std::vector<std::size_t>{0, 1, 2, 3}));
  EXPECT_EQ(server.command({"HGET", "fanfare:{resize}:counts", "accepted"}), "4");
}

TEST_F(StoreOnLoop, CarriesCallsOverAKillOfTheServer) {
  start();
  begin();
  for (std::uint64_t i = 1; i <= 50; ++i) call(append_of(entry(i), 2));
  ASSERT_TRUE(wait([this] { return order.size() > 10; }));
  server.kill_hard();
  for (std::uint64_t i = 51; i <= 60; ++i) call(append_of(entry(i), 2));
  server.start();
  ASSERT_TRUE(wait_answers());
  for (std::size_t i = 1; i <= 60; ++i) EXPECT_TRUE(answer<Appended>(i)) << i;
  EXPECT_EQ(length(), "60");
  EXPECT_TRUE(std::ranges::is_sorted(order));
}

TEST_F(StoreOnLoop, TellsABrokerThatItHasBeenReplaced) {
  start();
  begin();
  call(Begin{});
  call(append_of(entry(1), 1, 1));
  ASSERT_TRUE(wait_answers());
  EXPECT_EQ(refusal(2), ErrorKind::kStale);
}

TEST_F(StoreOnLoop, NeverTakesARefusedAppendForOneItHasHad) {
  start();
  begin();
  server.command({"CONFIG", "SET", "maxmemory", "1mb"});
  call(append_of(entry(1), 1));
  call(append_of(entry(2), 1));
  ASSERT_TRUE(wait_answers());
  EXPECT_EQ(refusal(1), ErrorKind::kRetryLater);
  EXPECT_EQ(refusal(2), ErrorKind::kRetryLater);
  server.command({"CONFIG", "SET", "maxmemory", "0"});
  call(append_of(entry(2), 1));
  call(append_of(entry(1), 1));  // behind what has been taken by then
  call(append_of(entry(3), 1));
  ASSERT_TRUE(wait_answers());
  EXPECT_FALSE(answer<Appended>(3)->repeated);
  EXPECT_EQ(refusal(4), ErrorKind::kReject);
  EXPECT_FALSE(answer<Appended>(5)->repeated);
  EXPECT_EQ(length(), "2");
}

TEST_F(StoreOnLoop, SendsTheAppendsBehindARefusedOneOnceMore) {
  start();
  begin();
  server.command({"SET", "fanfare:{broken}:journal:4", "mine"});
  Append broken = append_of(entry(1), 1);
  broken.streams[0].function = "broken";
  call(broken);
  call(append_of(entry(2), 1));
  call(append_of(entry(3), 1));
  ASSERT_TRUE(wait_answers());
  EXPECT_EQ(refusal(1), ErrorKind::kReject);
  EXPECT_FALSE(answer<Appended>(2)->repeated);
  EXPECT_FALSE(answer<Appended>(3)->repeated);
  EXPECT_EQ(length(), "2");
}

TEST_F(StoreOnLoop, LeavesLargeEventsWhereTheFirstTryHasPutThem) {
  start();
  begin();
  server.pause();
  call(large(append_of(entry(1), 3)));
  ASSERT_TRUE(wait([this] { return !down.empty(); }));
  server.resume();
  ASSERT_TRUE(wait_answers());
  EXPECT_TRUE(answer<Appended>(1)->repeated) << "the first try had gone through";
  const std::string events = events_key(kFunction, {}, entry(1));
  EXPECT_EQ(server.command({"STRLEN", events}), "12303");
  EXPECT_EQ(server.command({"TTL", events}), "-1");
  EXPECT_NE(server.command({"TTL", staged_key(kFunction, {}, entry(1), 1)}), "-1");
}

TEST_F(StoreOnLoop, RemovesWhatItHasStagedForARefusedAppend) {
  start();
  begin();
  call(Begin{});
  call(large(append_of(entry(1), 3)));  // of an epoch that has passed
  ASSERT_TRUE(wait_answers());
  EXPECT_EQ(refusal(2), ErrorKind::kStale);
  EXPECT_TRUE(wait([this] {
    return server.command({"EXISTS", staged_key(kFunction, {}, entry(1), 1)}) == "0";
  }));
}

TEST_F(StoreOnLoop, BringsLargeEventsAgainAfterALostAnswer) {
  start();
  begin();
  server.pause();
  call(large(append_of(entry(1), 3)));
  ASSERT_TRUE(wait([this] { return !down.empty(); }));
  server.kill_hard();
  server.start();
  call(large(append_of(entry(2), 3)));
  ASSERT_TRUE(wait_answers());
  EXPECT_TRUE(answer<Appended>(1) && answer<Appended>(2));
  EXPECT_EQ(server.command({"STRLEN", events_key(kFunction, {}, entry(1))}), "12303");
  EXPECT_EQ(server.command({"STRLEN", events_key(kFunction, {}, entry(2))}), "12303");
}

TEST_F(StoreOnLoop, SaysWhyLargeEventsCannotBePut) {
  start();
  begin();
  server.command({"ACL", "SETUSER", "default", "-set"});
  call(large(append_of(entry(1), 3)));
  ASSERT_TRUE(wait_answers());
  EXPECT_EQ(refusal(1), ErrorKind::kFatal);
  EXPECT_THAT(answers[1]->error().message, HasSubstr("NOPERM"));
  server.command({"ACL", "SETUSER", "default", "+set"});
  call(large(append_of(entry(2), 3)));
  ASSERT_TRUE(wait_answers());
  EXPECT_FALSE(answer<Appended>(2)->repeated);
}

TEST_F(StoreOnLoop, CommitsLargeResultsWhereNothingMayBePut) {
  start();
  begin();
  call(append_of(entry(1), 4));
  call(large(commit_of({{entry(1), 4, {0, 1}}})));
  ASSERT_TRUE(wait_answers());
  EXPECT_EQ(server.command({"EXISTS", span_key(kFunction, entry(1), 0, 1)}), "1");
  server.command({"CONFIG", "SET", "maxmemory", "1"});
  call(large(commit_of({{entry(1), 4, {2, 3}}})));
  ASSERT_TRUE(wait_answers());
  ASSERT_TRUE(answer<Committed>(3));
  EXPECT_EQ(answer<Committed>(3)->verdicts, std::vector(2, Verdict::kOk));
  EXPECT_EQ(server.command({"EXISTS", span_key(kFunction, entry(1), 2, 3)}), "0");
  EXPECT_EQ(server.command({"HSTRLEN", results_key(kFunction, entry(1)), "2-3"}),
            std::to_string(2 * (5 + 4 + 2 + kBesideMin)));
}

TEST_F(StoreOnLoop, FetchesWhatLiesBesideTheEntriesOfAPage) {
  start();
  begin();
  call(large(append_of(entry(1), 3)));
  call(append_of(entry(2), 2));
  const std::size_t page = answers.size();
  call(Page{.function = std::string{kFunction}});
  ASSERT_TRUE(wait_answers());
  const auto* paged = answer<Paged>(page);
  ASSERT_TRUE(paged);
  ASSERT_EQ(paged->entries.size(), 2u);
  EXPECT_EQ(paged->entries[0].open.at(2).packed_event.size(), kBesideMin);
  EXPECT_EQ(paged->entries[1].open.at(1).packed_event, "e1");
  EXPECT_THAT(server.command({"INFO", "commandstats"}), HasSubstr("cmdstat_mget:calls=1,"));
}

// What is appended while a page is under way comes with it, however large it is.
TEST_F(StoreOnLoop, HasInAPageWhatIsAppendedBeforeItIsFetched) {
  start();
  begin();
  call(large(append_of(entry(1), 3)));
  ASSERT_TRUE(wait_answers());
  call(Page{.function = std::string{kFunction}});
  call(large(append_of(entry(2), 2)));
  ASSERT_TRUE(wait_answers());
  EXPECT_EQ(order, (std::vector<std::size_t>{0, 1, 3, 2}));
  ASSERT_TRUE(answer<Paged>(2));
  ASSERT_EQ(answer<Paged>(2)->entries.size(), 2u);
  EXPECT_EQ(answer<Paged>(2)->entries[1].open.size(), 2u);
  EXPECT_FALSE(answer<Paged>(2)->more);
}

TEST_F(StoreOnLoop, AsksForAPageAnewWhenItsConnectionIsLostBeforeItIsFetched) {
  start();
  begin();
  Append append = large(append_of(entry(1), 1));
  append.streams[0].items[0].packed_event = std::string(400'000, 'x');
  call(append);
  ASSERT_TRUE(wait_answers());
  // Redis hangs up on whoever is to be sent more: that is MGET's answer.
  server.command({"CONFIG", "SET", "client-output-buffer-limit", "normal 100000 0 0"});
  call(Page{.function = std::string{kFunction}});
  ASSERT_TRUE(wait([this] { return !down.empty(); }));
  server.command({"CONFIG", "SET", "client-output-buffer-limit", "normal 0 0 0"});
  ASSERT_TRUE(wait_answers());
  ASSERT_TRUE(answer<Paged>(2));
  EXPECT_EQ(answer<Paged>(2)->entries.at(0).open.at(0).packed_event.size(), 400'000u);
}

TEST_F(StoreOnLoop, TakesLargeResultsOnceWhenTheirAnswerIsLost) {
  start();
  begin();
  call(append_of(entry(1), 3));
  ASSERT_TRUE(wait_answers());
  server.pause();
  call(large(commit_of({{entry(1), 3, {0, 1, 2}}})));
  ASSERT_TRUE(wait([this] { return !down.empty(); }));
  server.resume();
  ASSERT_TRUE(wait_answers());
  for (const Verdict verdict : answer<Committed>(2)->verdicts) {
    EXPECT_TRUE(verdict == Verdict::kOk || verdict == Verdict::kDuplicate);
  }
  EXPECT_EQ(server.command({"HGET", counts_key(kFunction), "succeeded"}), "3");
  EXPECT_EQ(server.command({"STRLEN", span_key(kFunction, entry(1), 0, 2)}),
            std::to_string(3 * (5 + 4 + 2 + kBesideMin)));
}

TEST_F(StoreOnLoop, SaysWhyWhatLiesBesideCannotBeFetched) {
  start();
  begin();
  call(large(append_of(entry(1), 3)));
  server.command({"ACL", "SETUSER", "default", "-mget"});
  call(Page{.function = std::string{kFunction}});
  ASSERT_TRUE(wait_answers());
  EXPECT_EQ(refusal(2), ErrorKind::kFatal);
  EXPECT_THAT(answers[2]->error().message, HasSubstr("NOPERM"));
}

// `everysec` may come back with less than was answered; the store must not wait for it for ever.
TEST_F(StoreOnLoop, GoesOnWithAServerThatHasLostAnAppend) {
  start();
  begin();
  call(append_of(entry(1), 1));
  call(append_of(entry(2), 1));
  ASSERT_TRUE(wait_answers());
  server.command({"HSET", "fanfare:meta", "last_entry", to_string(entry(1))});
  call(append_of(entry(3), 1));
  call(append_of(entry(4), 1));
  ASSERT_TRUE(wait_answers());
  EXPECT_TRUE(answer<Appended>(3) && answer<Appended>(4));
}

TEST_F(StoreOnLoop, WaitsWhileAScriptHoldsTheServerUp) {
  server.command({"CONFIG", "SET", "busy-reply-threshold", "10"});
  start();
  begin();
  auto other = RedisSync::connect(server.options());
  // Meanwhile every call is answered BUSY.
  std::jthread busy([&] { (void)other->call({"EVAL", "while true do end", "0"}); });
  auto probe = RedisSync::connect(server.options());
  while (!(*probe->call({"PING"}))->is_error()) {
  }
  call(append_of(entry(1), 1));
  call(append_of(entry(2), 1));
  const auto refusals = [&] { return server.command({"INFO", "errorstats"}); };
  loop.run_until([&] { return false; }, 100ms);
  EXPECT_EQ(order.size(), 1u);
  (void)probe->call({"SCRIPT", "KILL"});
  busy.join();
  EXPECT_THAT(refusals(), HasSubstr("errorstat_BUSY"));
  ASSERT_TRUE(wait_answers());
  EXPECT_TRUE(answer<Appended>(1) && answer<Appended>(2));
  EXPECT_EQ(length(), "2");
}

TEST_F(StoreOnLoop, RefusesMoreThanItCanHold) {
  server.stop();
  start({.calls_max = 2, .bytes_max = 10'000});
  call(Begin{});
  call(append_of(entry(1), 1));
  call(append_of(entry(2), 1));
  EXPECT_TRUE(order.empty()) << "no callback inside call()";
  ASSERT_TRUE(wait([this] { return !order.empty(); }));
  EXPECT_EQ(order, std::vector<std::size_t>{2});
  EXPECT_EQ(refusal(2), ErrorKind::kRetryLater);
  EXPECT_EQ(store->outstanding(), 2u);
}

TEST_F(StoreOnLoop, RefusesByBytesButTakesOneLargeCallAlone) {
  server.stop();
  start({.calls_max = 100, .bytes_max = 10'000});
  Append large = append_of(entry(1), 1);
  large.streams[0].items[0].packed_event = std::string(100'000, 'x');
  call(large);
  call(Begin{});
  ASSERT_TRUE(wait([this] { return !order.empty(); }));
  EXPECT_EQ(order, std::vector<std::size_t>{1});
  server.start();
}

TEST_F(StoreOnLoop, RejectsWhatNoServerWouldTake) {
  start();
  call(Commit{.function = "resize", .result_ttl_ms = 0, .groups = {}});
  call(commit_of({{entry(1), 2, {0, 0}}}));
  call(commit_of({{entry(1), 1, {0}, 1, Origin::kInvoke}}));
  ASSERT_TRUE(wait_answers());
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(refusal(i), ErrorKind::kReject);
}

TEST_F(StoreOnLoop, SaysWhenAPersonMustAct) {
  server.command({"CONFIG", "SET", "requirepass", "secret"});
  start();
  ASSERT_TRUE(wait([this] { return !down.empty(); }));
  EXPECT_EQ(down[0].kind, ErrorKind::kFatal);
  EXPECT_THAT(down[0].message, HasSubstr("password"));
}

TEST_F(StoreOnLoop, DropsItsCallsSilentlyWhenItGoes) {
  start();
  begin();
  server.pause();
  call(append_of(entry(1), 1));
  store.reset();
  server.resume();
  loop.run_until([] { return false; }, 50ms);
  EXPECT_EQ(order.size(), 1u);
}

}  // namespace
}  // namespace fanfare::store::test
