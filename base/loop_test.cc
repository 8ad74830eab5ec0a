#include "base/loop_asio.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/fd.h"

namespace fanfare {
namespace {

using namespace std::chrono_literals;

struct Pipe {
  Pipe() { EXPECT_EQ(pipe(ends), 0); }
  ~Pipe() {
    close(ends[0]);
    close(ends[1]);
  }
  int ends[2];
  int reading() const { return ends[0]; }
  int writing() const { return ends[1]; }
  void put(const std::string& text) const {
    EXPECT_EQ(write(writing(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
};

TEST(Loop, RunsPostedWorkInOrder) {
  Loop loop;
  std::string order;
  loop.post([&] { order += 'a'; });
  loop.post([&] {
    order += 'b';
    loop.post([&] {
      order += 'd';
      loop.stop();
    });
  });
  loop.post([&] { order += 'c'; });
  loop.run();
  EXPECT_EQ(order, "abcd");
}

TEST(Loop, CallsHooksOncePerTurnAfterAllThatWasReady) {
  Loop loop;
  Pipe first, second;
  std::string order;
  const FdWatch watch_first(loop, first.reading(), [&] {
    char byte = 0;
    EXPECT_EQ(read(first.reading(), &byte, 1), 1);
    order += byte;
  });
  const FdWatch watch_second(loop, second.reading(), [&] {
    char byte = 0;
    EXPECT_EQ(read(second.reading(), &byte, 1), 1);
    order += byte;
  });
  first.put("xx");
  second.put("xx");
  const auto hook = loop.before_wait([&] { order += '|'; });
  EXPECT_TRUE(loop.run_until([&] { return order.size() >= 6; }, 5s));
  // Each descriptor once a turn, both before the hook, though both have more to say.
  EXPECT_EQ(order, "xx|xx|");
}

TEST(Loop, CallsTheHooksThatWriteAfterThoseThatFlush) {
  Loop loop;
  std::string order;
  const auto write = loop.before_wait([&] { order += 'w'; }, Loop::HookOrder::kWrite);
  const auto flush = loop.before_wait([&] { order += 'f'; });
  EXPECT_TRUE(loop.run_until([&] { return !order.empty(); }, 5s));
  EXPECT_EQ(order, "fw");
}

TEST(Loop, RunsWhatAHookPostsWithoutWaitingForAnythingElse) {
  Loop loop;
  int hooks = 0;
  bool ran = false;
  const auto hook = loop.before_wait([&] {
    if (++hooks == 1) loop.post([&] { ran = true; });
  });
  EXPECT_TRUE(loop.run_until([&] { return ran; }, 5s));
  EXPECT_EQ(hooks, 2);
}

TEST(Loop, LetsHooksAndTimersRunThoughWorkKeepsPostingMoreWork) {
  Loop loop;
  int hooks = 0;
  bool rang = false;
  std::function<void()> again = [&] { loop.post(again); };
  loop.post(again);
  const auto hook = loop.before_wait([&] { ++hooks; });
  Timer timer(loop, [&] { rang = true; });
  timer.start_after(1ms);
  EXPECT_TRUE(loop.run_until([&] { return rang; }, 5s));
  EXPECT_GT(hooks, 0);
}

TEST(Loop, ForgetsAHookThatIsGone) {
  Loop loop;
  int calls = 0;
  auto hook = loop.before_wait([&] { ++calls; });
  EXPECT_TRUE(loop.run_until([&] { return calls == 1; }, 5s));
  hook = {};
  int turns = 0;
  const auto other = loop.before_wait([&] {
    ++turns;
    loop.post([] {});
  });
  EXPECT_TRUE(loop.run_until([&] { return turns == 3; }, 5s));
  EXPECT_EQ(calls, 1);
}

TEST(Loop, LetsAHookRemoveItself) {
  Loop loop;
  int calls = 0;
  Loop::Hook hook;
  hook = loop.before_wait([&] {
    ++calls;
    hook = {};
    loop.post([&] { loop.post([&] { loop.stop(); }); });
  });
  loop.run();
  EXPECT_EQ(calls, 1);
}

TEST(Loop, RunsWorkThatOtherThreadsPost) {
  Loop loop;
  int sum = 0;
  std::thread other([&] {
    for (int i = 1; i <= 1000; ++i) {
      loop.post_from_any_thread([&, i] {
        sum += i;
        if (i == 1000) loop.stop();
      });
    }
  });
  loop.run();
  other.join();
  EXPECT_EQ(sum, 500500);
}

TEST(Loop, StopsWhenAnotherThreadSaysSo) {
  Loop loop;
  std::thread other([&] { loop.stop(); });
  loop.run();
  other.join();
}

TEST(Loop, ReadsTheClockOncePerTurn) {
  Loop loop;
  TimePoint first, second, later;
  loop.post([&] {
    first = loop.now().steady;
    while (std::chrono::steady_clock::now() == first) {
    }
    second = loop.now().steady;
    loop.post([&] {
      later = loop.now().steady;
      loop.stop();
    });
  });
  loop.run();
  EXPECT_EQ(first, second);
  EXPECT_LT(second, later);
}

TEST(Loop, HooksSeeATimeThatIsNotBeforeWhatTheTurnReceived) {
  Loop loop;
  TimePoint received, seen;
  const auto hook = loop.before_wait([&] { seen = loop.now().steady; });
  loop.post([&] {
    const TimePoint first = loop.now().steady;
    while (std::chrono::steady_clock::now() == first) {
    }
    received = std::chrono::steady_clock::now();
    loop.stop();
  });
  loop.run();
  EXPECT_GE(seen, received);
}

TEST(Loop, GivesUpWhenTheTimeIsOver) {
  Loop loop;
  EXPECT_FALSE(loop.run_until([] { return false; }, 1ms));
}

TEST(Timer, RingsOnceAfterItsDelay) {
  Loop loop;
  int rings = 0;
  Timer timer(loop, [&] { ++rings; });
  EXPECT_FALSE(timer.running());
  timer.start_after(1ms);
  EXPECT_TRUE(timer.running());
  EXPECT_FALSE(loop.run_until([&] { return rings > 1; }, 20ms));
  EXPECT_EQ(rings, 1);
  EXPECT_FALSE(timer.running());
}

TEST(Timer, KeepsRingingUntilItIsStopped) {
  Loop loop;
  int rings = 0;
  Timer timer(loop, [&] {
    if (++rings == 3) timer.stop();
  });
  timer.start_every(1ms);
  EXPECT_TRUE(loop.run_until([&] { return rings == 3; }, 5s));
  EXPECT_FALSE(loop.run_until([&] { return rings > 3; }, 20ms));
  EXPECT_EQ(rings, 3);
}

TEST(Timer, SkipsBeatsThatTheLoopWasTooBusyFor) {
  Loop loop;
  int rings = 0;
  TimePoint blocked_until;
  Timer timer(loop, [&] {
    if (++rings > 1) return;
    blocked_until = std::chrono::steady_clock::now() + 50ms;
    while (std::chrono::steady_clock::now() < blocked_until) {
    }
  });
  timer.start_every(10ms);
  EXPECT_TRUE(loop.run_until([&] { return rings >= 2; }, 5s));
  EXPECT_EQ(rings, 2);  // not one for each of the five beats missed
}

TEST(Timer, DoesNotRingAfterItWasStoppedThoughItsTimeHadCome) {
  Loop loop;
  int rings = 0;
  Timer second(loop, [&] { ++rings; });
  Timer first(loop, [&] { second.stop(); });
  first.start_after(1ms);
  second.start_after(1ms);
  const TimePoint both_due = std::chrono::steady_clock::now() + 2ms;
  while (std::chrono::steady_clock::now() < both_due) {
  }
  EXPECT_FALSE(loop.run_until([&] { return rings > 0; }, 20ms));
}

TEST(Timer, StartsAnewWhenStartedAgain) {
  Loop loop;
  int rings = 0;
  Timer timer(loop, [&] { ++rings; });
  timer.start_after(1h);
  timer.start_after(1ms);
  EXPECT_TRUE(loop.run_until([&] { return rings == 1; }, 5s));
}

TEST(Timer, MayBeDestroyedByItsOwnCallback) {
  Loop loop;
  bool rang = false;
  std::unique_ptr<Timer> timer;
  timer = std::make_unique<Timer>(loop, [&] {
    timer.reset();
    rang = true;
  });
  timer->start_every(1ms);
  EXPECT_TRUE(loop.run_until([&] { return rang; }, 5s));
}

TEST(FdWatch, TellsAgainOfWhatWasLeftUnread) {
  Loop loop;
  Pipe pipe;
  pipe.put("abc");
  std::string got;
  const FdWatch watch(loop, pipe.reading(), [&] {
    char byte = 0;
    if (read(pipe.reading(), &byte, 1) == 1) got += byte;
  });
  EXPECT_TRUE(loop.run_until([&] { return got == "abc"; }, 5s));
}

TEST(FdWatch, TellsOfWritableOnlyWhileAsked) {
  Loop loop;
  Pipe pipe;
  int writable = 0;
  FdWatch watch(loop, pipe.writing(), [] {}, [&] { ++writable; });
  EXPECT_FALSE(loop.run_until([&] { return writable > 0; }, 10ms));
  watch.want_write(true);
  EXPECT_TRUE(loop.run_until([&] { return writable >= 3; }, 5s));
  watch.want_write(false);
  const int before = writable;
  EXPECT_FALSE(loop.run_until([&] { return writable > before; }, 10ms));
}

// Whoever has written once must not be woken for that at each later thing.
TEST(FdWatch, IsNoTurnForNothingOnceWritingIsNotWantedAnyMore) {
  Loop loop;
  std::array<int, 2> ends{};
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()), 0);
  const Fd own(ends[0]), other(ends[1]);
  int written = 0, got = 0, turns = 0;
  std::unique_ptr<FdWatch> watch;
  watch = std::make_unique<FdWatch>(
      loop, own.get(),
      [&] {
        char byte = 0;
        if (read(own.get(), &byte, 1) == 1) ++got;
      },
      [&] {
        ++written;
        watch->want_write(false);
      });
  watch->want_write(true);
  ASSERT_TRUE(loop.run_until([&] { return written == 1; }, 5s));
  Timer beat(loop, [&] { EXPECT_EQ(write(other.get(), "x", 1), 1); });
  beat.start_every(5ms);
  const Loop::Hook hook = loop.before_wait([&] { ++turns; });
  ASSERT_TRUE(loop.run_until([&] { return got == 20; }, 10s));
  EXPECT_EQ(written, 1);
  EXPECT_LE(turns, 20 + 10) << "one for each byte, which is written and read in it";
}

TEST(FdWatch, HoldsItsPeaceWhileReadingIsNotWanted) {
  Loop loop;
  Pipe pipe;
  int calls = 0;
  FdWatch watch(loop, pipe.reading(), [&] { ++calls; });
  watch.want_read(false);
  pipe.put("x");
  EXPECT_FALSE(loop.run_until([&] { return calls > 0; }, 10ms));
  watch.want_read(true);
  EXPECT_TRUE(loop.run_until([&] { return calls > 0; }, 5s));
}

TEST(FdWatch, LeavesTheDescriptorOpen) {
  Loop loop;
  Pipe pipe;
  {
    const FdWatch watch(loop, pipe.reading(), [] {});
  }
  pipe.put("x");
  char byte = 0;
  EXPECT_EQ(read(pipe.reading(), &byte, 1), 1);
}

TEST(FdWatch, MayBeDestroyedByItsOwnCallback) {
  Loop loop;
  Pipe pipe;
  pipe.put("x");
  bool called = false;
  std::unique_ptr<FdWatch> watch;
  watch = std::make_unique<FdWatch>(loop, pipe.reading(), [&] {
    watch.reset();
    called = true;
  });
  EXPECT_TRUE(loop.run_until([&] { return called; }, 5s));
  EXPECT_FALSE(loop.run_until([] { return false; }, 5ms));  // nothing dangles
}

TEST(FdWatch, MayBeDestroyedByAnotherOnesCallbackInTheSameTurn) {
  Loop loop;
  Pipe first, second;
  first.put("x");
  second.put("x");
  int calls = 0;
  std::unique_ptr<FdWatch> a, b;
  a = std::make_unique<FdWatch>(loop, first.reading(), [&] {
    ++calls;
    b.reset();
    a.reset();
  });
  b = std::make_unique<FdWatch>(loop, second.reading(), [&] {
    ++calls;
    a.reset();
    b.reset();
  });
  EXPECT_TRUE(loop.run_until([&] { return calls > 0; }, 5s));
  EXPECT_FALSE(loop.run_until([] { return false; }, 5ms));
  EXPECT_EQ(calls, 1);
}

// In one turn both are readable; whoever is called first lets the other go and watches a third one
// instead, of which there is nothing to tell.
TEST(FdWatch, IsNotCalledForWhatWasMeantForOneThatIsGone) {
  Loop loop;
  Pipe first, second, third;
  std::string order;
  std::unique_ptr<FdWatch> watch_first, watch_second, watch_third;
  const auto take_turns = [&](const Pipe& own, std::unique_ptr<FdWatch>& other, char name) {
    return [&loop, &order, &own, &other, &third, &watch_third, name] {
      char byte = 0;
      EXPECT_EQ(read(own.reading(), &byte, 1), 1);
      order += name;
      if (watch_third) return;
      other.reset();
      watch_third = std::make_unique<FdWatch>(loop, third.reading(), [&] {
        order += '3';
        loop.stop();
      });
    };
  };
  watch_first =
      std::make_unique<FdWatch>(loop, first.reading(), take_turns(first, watch_second, '1'));
  watch_second =
      std::make_unique<FdWatch>(loop, second.reading(), take_turns(second, watch_first, '2'));
  first.put("a");
  second.put("b");
  EXPECT_FALSE(loop.run_until([&] { return order.size() > 1; }, 20ms)) << order;
  third.put("c");
  loop.run();
  EXPECT_EQ(order, order.starts_with('1') ? "13" : "23");
}

// Waits, with nothing to wait for. Long against what a busy machine keeps a thread waiting.
void wait_in_vain(Loop& loop) {
  EXPECT_FALSE(loop.run_until([] { return false; }, 200ms));
}

// Whether it rests, as after something that it has looked for in vain; one wait less from now on.
bool rests(Loop& loop) {
  return !loop.impl().spin.begin(std::chrono::steady_clock::now());
}

TEST(Loop, LooksForWhatItExpectsBeforeItSleepsAndOnlyOnce) {
  Loop loop;
  wait_in_vain(loop);
  EXPECT_FALSE(rests(loop)) << "nobody has said that something comes";
  loop.post([&] { loop.expect_soon(); });
  wait_in_vain(loop);
  EXPECT_TRUE(rests(loop));
  wait_in_vain(loop);
  EXPECT_FALSE(rests(loop)) << "that was for one turn";
}

TEST(Loop, FindsWhatComesWhileItLooks) {
  Loop loop;
  const auto look_in_vain = [&loop] {
    loop.post([&] { loop.expect_soon(); });
    wait_in_vain(loop);
    EXPECT_TRUE(rests(loop));
  };
  look_in_vain();
  Pipe pipe;
  bool came = false;
  const FdWatch watch(loop, pipe.reading(), [&] {
    char byte = 0;
    EXPECT_EQ(read(pipe.reading(), &byte, 1), 1);
    came = true;
  });
  loop.post([&] {
    pipe.put("x");
    loop.expect_soon();
  });
  EXPECT_TRUE(loop.run_until([&] { return came; }, 30s));
  look_in_vain();
  EXPECT_FALSE(rests(loop)) << "for the first time since it has paid";
}

TEST(Loop, ThatExpectsSomethingInVainRunsAllElseAsEver) {
  Loop loop;
  std::string order;
  const auto hook = loop.before_wait([&] { loop.expect_soon(); });
  std::jthread remote;
  Timer timer(loop, [&] {
    order += 't';
    loop.post([&] { order += 'p'; });
    remote = std::jthread([&] { loop.post_from_any_thread([&] { order += 'r'; }); });
  });
  timer.start_after(2ms);
  const SignalWatch signals(loop, {SIGUSR1}, [&](int) { loop.stop(); });
  EXPECT_TRUE(loop.run_until([&] { return order == "tpr"; }, 30s)) << order;
  std::raise(SIGUSR1);
  loop.run();
}

TEST(SignalWatch, TurnsEverySignalIntoACall) {
  Loop loop;
  std::vector<int> got;
  const SignalWatch watch(loop, {SIGUSR1, SIGUSR2}, [&](int number) { got.push_back(number); });
  std::raise(SIGUSR1);
  EXPECT_TRUE(loop.run_until([&] { return got.size() == 1; }, 5s));
  std::raise(SIGUSR2);
  EXPECT_TRUE(loop.run_until([&] { return got.size() == 2; }, 5s));
  EXPECT_EQ(got, (std::vector<int>{SIGUSR1, SIGUSR2}));
}

}  // namespace
}  // namespace fanfare
