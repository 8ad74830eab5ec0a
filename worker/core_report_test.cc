// What the worker's log gets, and what it is spared.
#include <gtest/gtest.h>

#include "worker/core_fixture.h"

namespace fanfare::worker {
namespace {

using Reports = CoreOptions::Reports;

CoreOptions with(Reports reports, std::uint32_t per_second = 1000, std::uint32_t lines = 1000) {
  return {.name = "w1",
          .slots = 4,
          .reports = reports,
          .reports_per_second = per_second,
          .output_lines_per_second = lines};
}

void run_two(Worker& w) {
  w.join();
  w.deliver_entries(1, 2);
  w.finish(w.effects.forked[0]);
  w.fail(w.effects.forked[1]);
}

TEST(WorkerReports, EveryAttemptHasALineUnlessLessIsWanted) {
  Worker all(with(Reports::kAll)), failures(with(Reports::kFailures)), none(with(Reports::kNone));
  for (Worker* w : {&all, &failures, &none}) run_two(*w);
  EXPECT_EQ(all.effects.reports, (std::vector<std::string>{"ok", "function_error"}));
  EXPECT_EQ(failures.effects.reports, (std::vector<std::string>{"function_error"}));
  EXPECT_TRUE(none.effects.reports.empty());
}

TEST(WorkerReports, MoreThanTheBudgetAreLeftOutAndCountedOutLoud) {
  Worker w(with(Reports::kAll, 100));
  w.join();
  std::uint64_t entry = 0;
  const auto run = [&](std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      ++entry;
      w.deliver_entries(entry, entry);
      w.finish(w.effects.forked.back(), 1, 1us);
    }
  };
  run(250);
  EXPECT_EQ(w.effects.reports.size(), 100u);
  EXPECT_EQ(w.core->counters().reports_left_out, 150u);
  w.pass(1s);
  ASSERT_EQ(w.effects.left_out.size(), 1u);
  EXPECT_EQ(w.effects.left_out[0].reports, 150u);
  EXPECT_EQ(w.effects.left_out[0].output_lines, 0u);

  run(50);
  EXPECT_EQ(w.effects.reports.size(), 150u) << "a second has earned new ones";
  w.pass(1s);
  EXPECT_EQ(w.effects.left_out.size(), 1u) << "nothing new to say";
}

TEST(WorkerReports, ASmallBudgetIsEarnedToo) {
  TimePoint now = TimePoint{} + 1h;
  LineBudget budget(1, now);
  EXPECT_TRUE(budget.take(now));
  std::size_t taken = 0;
  for (int i = 0; i < 1000; ++i) taken += budget.take(now += 10ms);  // ten seconds
  EXPECT_EQ(taken, 10u);
  EXPECT_EQ(budget.take_left_out(), 990u);
  EXPECT_EQ(budget.take_left_out(), 0u);
}

TEST(WorkerOutput, LinesOfAResultNameTheirDelivery) {
  Worker w(with(Reports::kNone));
  w.join();
  w.deliver_entries(7, 7);
  w.finish(w.effects.forked[0], 1, 1ms,
           [](ItemResult& r) { r.printed = "one\r\n\ntwo, without an end"; });
  EXPECT_EQ(w.effects.lines,
            (std::vector<std::string>{"7-0.0: one", "7-0.0: ", "7-0.0: two, without an end"}));
}

TEST(WorkerOutput, OfALongAttemptIsHeardWhileItRuns) {
  Worker w;
  w.join();
  w.deliver_entries(7, 7);
  const InstanceId id = w.effects.forked[0];
  const std::uint64_t batch = w.effects.batches[id].front().number;
  w.effects.now_running[id] = {batch, 0, w.now.steady};
  w.effects.printed[id] = {.running = {batch, 0, w.now.steady}, .text = "half way\n"};
  w.pass(200ms);
  EXPECT_TRUE(w.effects.lines.empty());
  w.pass(50ms);
  EXPECT_EQ(w.effects.lines, (std::vector<std::string>{"7-0.0: half way"}));
}

TEST(WorkerOutput, OfACrashIsHeardToTheEnd) {
  Worker w;
  w.join();
  w.deliver_entries(7, 7);
  const InstanceId id = w.effects.forked[0];
  Core::End end{
      .ending = {.code = CLD_KILLED, .status = SIGSEGV},
      .running = InstanceHandle::Running{w.effects.batches[id].front().number, 0, w.now.steady},
      .log_tail = "all of it",
      .printed = "last words"};
  w.core->on_instance_ended(id, end, w.now);
  EXPECT_EQ(w.effects.lines, (std::vector<std::string>{"7-0.0: last words"}));
  EXPECT_EQ(w.effects.reports, (std::vector<std::string>{"crashed"}));
}

TEST(WorkerOutput, AFloodIsCutAndTheRestCounted) {
  Worker w(with(Reports::kNone, 1000, 100));
  w.join();
  w.deliver_entries(1, 1);
  w.finish(w.effects.forked[0], 1, 1ms, [](ItemResult& r) {
    for (int i = 0; i < 500; ++i) r.printed += "much alike\n";
    r.printed_cut = 12345;
  });
  EXPECT_EQ(w.effects.lines.size(), 100u);
  w.pass(1s);
  ASSERT_EQ(w.effects.left_out.size(), 1u);
  EXPECT_EQ(w.effects.left_out[0].output_lines, 400u);
  EXPECT_EQ(w.effects.left_out[0].output_bytes, 12345u);
}

TEST(WorkerOutput, AnEndlessLineIsBrokenAndZeroLinesMeanNone) {
  Worker w(with(Reports::kNone));
  w.join();
  w.deliver_entries(1, 1);
  const auto print = [](ItemResult& r) { r.printed = std::string(10'000, 'x'); };
  w.finish(w.effects.forked[0], 1, 1ms, print);
  EXPECT_EQ(w.effects.lines.size(), 3u);

  Worker silent(with(Reports::kNone, 1000, 0));
  silent.join();
  silent.deliver_entries(1, 1);
  silent.finish(silent.effects.forked[0], 1, 1ms, print);
  EXPECT_TRUE(silent.effects.lines.empty());
  silent.pass(2s);
  EXPECT_TRUE(silent.effects.left_out.empty());
}

}  // namespace
}  // namespace fanfare::worker
