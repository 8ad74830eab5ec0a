// The whole worker with real zygotes and instances and a real Redis; the broker is played by the
// test, over a real socket. Everything runs in one loop, so nothing is waited for longer than it
// takes.
#include "worker/shell.h"

#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>

#include "base/loop_asio.h"
#include "base/sha256.h"
#include "base/zmq_socket.h"
#include "protocol/event.h"
#include "protocol/package.h"
#include "store/keys.h"
#include "store/redis_store.h"
#include "tests/support/file_limit.h"
#include "tests/support/redis_server.h"
#include "tests/support/temp_dir.h"

namespace fanfare::worker {
namespace {

using namespace std::chrono_literals;
using protocol::Outcome;

constexpr Duration kPatience = 20s;

class ShellTest : public ::testing::Test {
 protected:
  ShellTest() {
    listen();
    config_.name = "w1";
    config_.broker = endpoint_;
    config_.redis = "unix://" + redis_.socket_path();
    config_.cache_dir = dir_.file("cache");
    config_.instance = std::string{FANFARE_BIN_DIR} + "/fanfare-instance";
    config_.slots = 2;
    config_.grace = 5s;
  }
  ~ShellTest() override { shell_.reset(); }

  void listen() {
    broker_ = std::make_unique<ZmqSocket>(
        loop_, context_, ZmqOptions{.kind = ZmqKind::kRouter},
        ZmqSocket::Handlers{.on_message = [this](const PeerId& peer, std::string_view frame) {
          peer_ = peer;
          on_message(frame);
        }});
    ASSERT_TRUE(broker_->bind(endpoint_));
  }
  void on_message(std::string_view frame) {
    auto message = protocol::decode(frame);
    ASSERT_TRUE(message) << message.error().message;
    if (auto* hello = std::get_if<protocol::Hello>(&*message)) {
      hellos_.push_back(*hello);
      if (welcomes_) {
        send(protocol::Welcome{
            .session = ++session_, .epoch = 1, .heartbeat_ms = 100, .functions = specs_});
      }
    } else if (auto* done = std::get_if<protocol::Done>(&*message)) {
      last_done_ = std::max(last_done_, done->number);
      for (auto& row : done->all_rows()) rows_.push_back(std::move(row));
    } else if (std::get_if<protocol::Heartbeat>(&*message)) {
      ++heartbeats_;
      send(protocol::HeartbeatAck{.session = session_, .done_number = last_done_});
    } else if (std::get_if<protocol::Bye>(&*message)) {
      ++byes_;
    } else if (std::get_if<protocol::Credit>(&*message)) {
      ++credits_;
    }
  }
  void send(const protocol::Message& message) {
    const auto sent = broker_->send(peer_, protocol::encode(message));
    ASSERT_TRUE(sent) << sent.error().message;
  }

  // Deploys a function built for tests ("noop", "crash", …), as `fanfare functions deploy` does.
  void deploy(const std::string& folder, const std::string& manifest = "") {
    const std::string name = folder.substr(folder.rfind('/') + 1);
    const auto package = protocol::pack_directory(std::string{FANFARE_BIN_DIR} + "/../" + folder);
    ASSERT_TRUE(package) << package.error().message;
    const std::string digest = sha256_hex(*package);
    redis_.command({"HSET", std::string{store::kPackagesKey}, digest, *package});
    specs_.push_back({.name = name, .manifest_toml = manifest, .digest = digest, .generation = 1});
  }
  void start() {
    auto shell = Shell::start(loop_, config_);
    ASSERT_TRUE(shell) << shell.error().message;
    shell_ = *std::move(shell);
  }
  void wait_for(const std::function<bool()>& done) { ASSERT_TRUE(runs_until(done)); }
  // A worker that has stopped ends the loop; the broker reads on.
  bool runs_until(const std::function<bool()>& done) {
    const TimePoint give_up = read_clocks().steady + kPatience;
    while (read_clocks().steady < give_up) {
      if (loop_.run_until(done, kPatience)) return true;
    }
    return false;
  }
  void join() {
    start();
    wait_for([this] { return shell_->core().joined(); });
  }

  // Puts an event into the function's journal, as the broker does, and returns its delivery.
  protocol::Delivery journal(const std::string& function, const std::string& data) {
    if (!store_) {
      store_ = std::make_unique<store::RedisStore>(loop_, redis_.options());
      call(store::Begin{});
    }
    protocol::Delivery delivery;
    delivery.id = {{++entry_, 0}, 0};
    delivery.token = protocol::make_token(1, 1);
    delivery.accepted_ms = to_ms(loop_.now().wall);
    delivery.packed_event = protocol::pack({.source = "/test", .type = "test", .data = data});
    store::Append append{.epoch = 1, .entry = delivery.id.entry, .streams = {}, .guards = {}};
    append.streams.push_back({function, delivery.lane, {{0, delivery.packed_event}}});
    call(append);
    return delivery;
  }
  void call(store::Call what) {
    bool answered = false;
    store_->call(std::move(what), [&](Result<store::Answer> answer) {
      EXPECT_TRUE(answer) << answer.error().message;
      answered = true;
    });
    wait_for([&] { return answered; });
  }
  void deliver(const std::string& function, const std::vector<std::string>& events) {
    protocol::Deliver message{function, {}};
    for (const auto& data : events) message.deliveries.push_back(journal(function, data));
    send(message);
  }
  // Runs until so many deliveries have been reported in all; returns the last one.
  protocol::Done::Row wait_for_rows(std::size_t count) {
    EXPECT_TRUE(loop_.run_until([&] { return rows_.size() >= count; }, kPatience));
    return rows_.empty() ? protocol::Done::Row{} : rows_.back();
  }
  protocol::ResultRecord stored(const std::string& function, const protocol::EventId& id) {
    const std::string value =
        redis_.command({"HGET", store::results_key(function, id.entry), std::to_string(id.index)});
    const auto record = protocol::unpack_result(std::string_view{value}.substr(4));
    EXPECT_TRUE(record) << value;
    return record ? *record : protocol::ResultRecord{};
  }

  test::TempDir dir_;
  test::RedisServer redis_{{.append_fsync = "no"}};
  Loop loop_;
  ZmqContext context_;
  std::string endpoint_ = "ipc://" + dir_.file("broker.ipc");
  std::unique_ptr<ZmqSocket> broker_;
  std::unique_ptr<store::RedisStore> store_;
  Config config_ = [] {
    Config config;
    const ConfigSpec spec = config_spec(config);
    EXPECT_TRUE(load_config_text(spec, {}, ""));
    config.run_as.clear();
    return config;
  }();
  std::unique_ptr<Shell> shell_;

  PeerId peer_;
  std::vector<protocol::FunctionSpec> specs_;
  bool welcomes_ = true;
  std::uint64_t session_ = 0, last_done_ = 0, entry_ = 1'700'000'000'000;
  std::vector<protocol::Hello> hellos_;
  std::vector<protocol::Done::Row> rows_;
  std::size_t heartbeats_ = 0, byes_ = 0, credits_ = 0;
};

TEST_F(ShellTest, RunsAnEventAndCommitsItsResultToRedis) {
  deploy("builtin/noop");
  join();
  deliver("noop", {"hello"});
  const auto row = wait_for_rows(1);
  EXPECT_EQ(row.outcome, Outcome::kOk);
  const auto record = stored("noop", row.id);
  EXPECT_EQ(record.status, protocol::Status::kSucceeded);
  EXPECT_EQ(record.output.size(), 64u);
  const auto ledger = protocol::unpack_ledger(record.ledger);
  ASSERT_TRUE(ledger);
  EXPECT_EQ(ledger->at(0).worker, "w1");
  EXPECT_GT(ledger->at(0).instance, 1);
  EXPECT_TRUE(ledger->at(0).cold_start);
  EXPECT_EQ(redis_.command({"XLEN", store::journal_key("noop", {})}), "0");
}

TEST_F(ShellTest, WithoutAWayToRedisTakesNoWorkFromABrokerThatRelaysNothing) {
  config_.redis = kByBroker;
  deploy("builtin/noop");
  join();
  wait_for([this] { return heartbeats_ >= 2; });
  EXPECT_TRUE(hellos_.at(0).relayed);
  EXPECT_TRUE(shell_->core().lacks_relay());
  EXPECT_EQ(credits_, 0u);
}

TEST_F(ShellTest, RunsThousandsInBatches) {
  deploy("builtin/noop");
  join();
  deliver("noop", {"first"});
  wait_for_rows(1);
  // Class memory: nothing to journal for each of them first.
  for (int message = 0; message < 8; ++message) {
    protocol::Deliver deliver{"noop", {}};
    for (std::uint8_t i = 0; i < 250; ++i) {
      protocol::Delivery one;
      one.id = {{1'800'000'000'000ull + static_cast<std::uint64_t>(message), 0}, i};
      one.slot = i;
      one.entry_size = 250;
      one.origin = protocol::Origin::kMemory;
      one.token = protocol::make_token(1, 2);
      one.packed_event = protocol::pack({.source = "/test", .type = "test", .data = "x"});
      deliver.deliveries.push_back(std::move(one));
    }
    send(deliver);
  }
  wait_for_rows(2001);
  for (const auto& row : rows_) EXPECT_EQ(row.outcome, Outcome::kOk);
  EXPECT_EQ(redis_.command({"HLEN", store::results_key("noop", {1'800'000'000'007ull, 0})}), "250");
}

TEST_F(ShellTest, HasMoreInstancesThanTheUsualLimitOfOpenFilesAllows) {
  const test::FileLimit low(128);
  deploy("functions-testing/sleepy", "timeout = \"60s\"");
  config_.slots = 40;
  join();
  deliver("sleepy", std::vector<std::string>(config_.slots, "10000"));
  wait_for([this] { return shell_->core().counters().instances_started == config_.slots; });
}

TEST_F(ShellTest, LooksForWhatComesOnceItHasAnsweredAnInvocation) {
  deploy("functions-testing/calls");
  join();
  send(protocol::Local{.functions = {"calls"}, .event_bytes_max = 1000});
  // Nothing comes while the caller naps, so that the look is in vain. But for a heartbeat, now and
  // then: such a time does not count.
  bool looked = false;
  for (std::uint64_t times = 1; times <= 10 && !looked; ++times) {
    deliver("calls", {"call calls echo hi\nnap 100"});
    wait_for([&] { return shell_->core().counters().invokes_local == times; });
    wait_for_rows(times);
    looked = !loop_.impl().spin.begin(loop_.now().steady);
  }
  EXPECT_TRUE(looked);
}

TEST_F(ShellTest, ACrashEndsOnlyItsOwnAttempt) {
  deploy("functions-testing/crash");
  join();
  deliver("crash", {"fine", "segfault", "exit 3", "throw", "fine"});
  wait_for_rows(5);
  std::map<std::uint64_t, protocol::Done::Row> by_entry;
  for (const auto& row : rows_) by_entry[row.id.entry.ms - entry_ + 5] = row;
  EXPECT_EQ(by_entry[1].outcome, Outcome::kOk);
  EXPECT_EQ(by_entry[2].outcome, Outcome::kCrashed);
  EXPECT_EQ(by_entry[2].failure.type, "SIGSEGV");
  EXPECT_EQ(by_entry[2].log_tail, "about to segfault\n");
  EXPECT_EQ(by_entry[3].outcome, Outcome::kCrashed);
  EXPECT_EQ(by_entry[3].failure.type, "Exited");
  EXPECT_EQ(by_entry[4].outcome, Outcome::kFunctionError);
  EXPECT_EQ(by_entry[4].failure.message, "thrown on purpose");
  EXPECT_EQ(by_entry[5].outcome, Outcome::kOk);
}

TEST_F(ShellTest, AFunctionThatDoesNotStartSaysWhy) {
  deploy("functions-testing/throws-in-init");
  join();
  deliver("throws-in-init", {"x"});
  const auto row = wait_for_rows(1);
  EXPECT_EQ(row.outcome, Outcome::kInitFailed);
  EXPECT_EQ(row.failure.message, "the model is not there");
}

TEST_F(ShellTest, AnAttemptThatIgnoresItsTimeoutIsKilledAndTheNextOneRuns) {
  deploy("functions-testing/sleepy", "timeout = \"100ms\"");
  config_.slots = 1;
  join();
  deliver("sleepy", {"forever", "1"});
  wait_for_rows(2);
  EXPECT_EQ(rows_[0].outcome, Outcome::kTimeout);
  EXPECT_EQ(rows_[1].outcome, Outcome::kOk);
}

TEST_F(ShellTest, APackageThatIsNotThereOrHasOtherBytesIsSaid) {
  specs_.push_back(
      {.name = "ghost", .manifest_toml = "", .digest = std::string(64, 'a'), .generation = 1});
  specs_.push_back(
      {.name = "forged", .manifest_toml = "", .digest = std::string(64, 'b'), .generation = 1});
  redis_.command(
      {"HSET", std::string{store::kPackagesKey}, std::string(64, 'b'), "something else"});
  join();
  deliver("ghost", {"x"});
  auto row = wait_for_rows(1);
  EXPECT_EQ(row.outcome, Outcome::kInitFailed);
  EXPECT_NE(row.failure.message.find("is not in Redis"), std::string::npos) << row.failure.message;
  deliver("forged", {"x"});
  row = wait_for_rows(2);
  EXPECT_EQ(row.outcome, Outcome::kInitFailed);
  EXPECT_FALSE(std::filesystem::exists(config_.cache_dir + "/functions/" + std::string(64, 'b')));
}

TEST_F(ShellTest, KeepsWorkingWhileRedisIsAwayAndCommitsWhenItIsBack) {
  deploy("builtin/noop");
  join();
  deliver("noop", {"first"});
  wait_for_rows(1);
  const auto second = journal("noop", "second");
  redis_.pause();
  send(protocol::Deliver{"noop", {second}});
  wait_for([&] { return shell_->core().counters().attempts_ok == 2; });
  EXPECT_EQ(rows_.size(), 1u);
  redis_.resume();
  EXPECT_EQ(wait_for_rows(2).outcome, Outcome::kOk);
  EXPECT_EQ(stored("noop", second.id).status, protocol::Status::kSucceeded);
}

TEST_F(ShellTest, ReportsToABrokerThatComesBackWhatEndedMeanwhile) {
  deploy("functions-testing/sleepy");
  join();
  deliver("sleepy", {"200"});
  wait_for([&] { return shell_->core().held() == 1; });
  broker_.reset();
  wait_for([&] { return !shell_->core().joined() && shell_->core().held() == 0; });
  EXPECT_TRUE(rows_.empty());
  listen();
  EXPECT_EQ(wait_for_rows(1).outcome, Outcome::kOk);
  ASSERT_EQ(hellos_.size(), 2u);
  ASSERT_EQ(hellos_[1].held.size(), 1u);
  EXPECT_EQ(hellos_[1].held[0].function, "sleepy");
}

TEST_F(ShellTest, SigtermFinishesWhatRunsHandsBackTheRestAndSaysGoodbye) {
  deploy("functions-testing/sleepy");
  config_.slots = 1;
  join();
  deliver("sleepy", {"300", "300", "300"});
  wait_for([&] { return shell_->core().instances() == 1; });
  shell_->on_signal(SIGTERM);
  wait_for([&] { return byes_ == 1; });
  ASSERT_EQ(rows_.size(), 3u);
  std::size_t ok = 0, drained = 0;
  for (const auto& row : rows_) {
    ok += row.outcome == Outcome::kOk;
    drained += row.outcome == Outcome::kDrained;
  }
  EXPECT_EQ(ok, 1u);
  EXPECT_EQ(drained, 2u);
}

TEST_F(ShellTest, ASecondSigtermEndsWhatRunsAtOnceAndStillReportsIt) {
  deploy("functions-testing/sleepy");
  join();
  deliver("sleepy", {"forever"});
  wait_for([&] { return shell_->core().instances() == 1; });
  shell_->on_signal(SIGTERM);
  shell_->on_signal(SIGTERM);
  wait_for([&] { return byes_ == 1; });
  ASSERT_EQ(rows_.size(), 1u);
  EXPECT_EQ(rows_[0].outcome, Outcome::kDrained);
}

TEST_F(ShellTest, ReplacesAFunctionWithoutLosingWhatRuns) {
  deploy("functions-testing/sleepy");
  join();
  deliver("sleepy", {"200"});
  wait_for([&] { return shell_->core().counters().instances_started == 1; });
  specs_[0].generation = 2;
  send(protocol::Functions{specs_});
  deliver("sleepy", {"1"});
  wait_for_rows(2);
  for (const auto& row : rows_) EXPECT_EQ(row.outcome, Outcome::kOk);
  EXPECT_EQ(shell_->core().counters().zygotes_started, 2u);
}

// As while a package is replaced: what lies there by now may speak otherwise than this worker.
TEST_F(ShellTest, RunsTheProgramThatItHasStartedWithWhateverTakesItsPlace) {
  const std::string mine = dir_.file("fanfare-instance"), other = dir_.file("other");
  std::filesystem::copy_file(config_.instance, mine);
  std::ofstream(other) << "#!/bin/sh\nexit 3\n";
  std::filesystem::permissions(other, std::filesystem::perms::owner_all);
  config_.instance = mine;
  deploy("functions-testing/sleepy");
  join();
  deliver("sleepy", {"1"});
  wait_for_rows(1);
  std::filesystem::rename(other, mine);
  specs_[0].generation = 2;
  send(protocol::Functions{specs_});
  deliver("sleepy", {"1"});
  wait_for_rows(2);
  for (const auto& row : rows_) EXPECT_EQ(row.outcome, Outcome::kOk) << row.failure.message;
  EXPECT_EQ(shell_->core().counters().zygotes_started, 2u);
}

TEST(WorkerConfig, TheSampleLoadsToTheDefaults) {
  Config defaults, sampled;
  ASSERT_TRUE(load_config_text(config_spec(defaults), {}, ""));
  const ConfigSpec spec = config_spec(sampled);
  ASSERT_TRUE(load_config_text(spec, {}, sample_config(spec)));
  EXPECT_EQ(defaults.grace, sampled.grace);
  EXPECT_EQ(defaults.broker, sampled.broker);
}

TEST(WorkerConfig, RefusesABrokerBeyondThisMachineWithoutKeys) {
  const auto works_for = [](const std::string& broker) {
    Config config;
    config.broker = broker;
    return broker_keys(config).has_value();
  };
  EXPECT_TRUE(works_for("ipc:///run/b.ipc"));
  EXPECT_TRUE(works_for("tcp://127.0.0.1:7400"));
  EXPECT_FALSE(works_for("tcp://10.0.0.1:7400"));
}

TEST(WorkerConfig, RefusesAUserThatDoesNotExist) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become somebody else";
  EXPECT_FALSE(find_user("nobody-has-this-name"));
  EXPECT_TRUE(find_user(""));
}

}  // namespace
}  // namespace fanfare::worker
