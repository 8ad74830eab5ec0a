// A worker's handle against an instance that is played by the test: also one that plays foul.

#include "worker/instance_handle.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <stdexcept>

#include "worker/ending.h"

namespace fanfare::worker {
namespace {

using namespace std::chrono_literals;
using protocol::Outcome;

class InstanceHandleTest : public ::testing::Test {
 protected:
  InstanceHandle handle_{1, 100'000, Equipment::make().value()};
  Fd end_ = handle_.take_instance_end();
  Board board_ = std::move(Board::attach(handle_.board_memfd())).value();

  void send(std::size_t items) {
    const std::vector<Item> batch(items, Item{.timeout = 30s, .packed_event = "event"});
    const auto sent = handle_.send(batch);
    ASSERT_TRUE(sent);
    ASSERT_EQ(sent->items, items);
  }
  // What the instance got next.
  BatchHeader receive() {
    std::array<char, kFrameBytesMax> buffer;
    const auto received = receive_message(end_.get(), buffer, {.dont_wait = true});
    ReceivedBatch batch;
    EXPECT_TRUE(received && decode_batch({buffer.data(), received->size}, batch));
    return batch.header;
  }
  void finish(std::size_t sheet, const ResultHeader& header, const ResultTexts& texts = {}) {
    board_.begin_item(sheet, 1);
    board_.finish_item(sheet, header, texts);
  }
  Result<void> take() { return handle_.take_results(results_); }
  const ItemResult& first() const {
    if (results_.empty()) throw std::out_of_range("there is no result");
    return results_[0];
  }
  ItemResults results_;
};

TEST_F(InstanceHandleTest, SendsTwoBatchesAndNoMore) {
  send(1);
  EXPECT_TRUE(handle_.has_room());
  send(2);
  EXPECT_FALSE(handle_.has_room());
  const Item item{.packed_event = "one too many"};
  const auto refused = handle_.send(std::array{item});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kRetryLater);
  EXPECT_EQ(receive().sheet, 0u);
  EXPECT_EQ(receive().sheet, 1u);
}

TEST_F(InstanceHandleTest, TakesResultsInTheOrderOfTheirBatches) {
  send(1);
  send(1);
  board_.begin_batch(0, 1, 1);
  finish(0, {.data_size = 1}, {.data = "a"});
  board_.begin_batch(1, 2, 1);
  finish(1, {.data_size = 1}, {.data = "b"});
  ASSERT_TRUE(take());
  send(1);  // batch 3, on the first sheet again
  board_.begin_batch(0, 3, 1);
  finish(0, {.data_size = 1}, {.data = "c"});
  ASSERT_TRUE(take());
  ASSERT_EQ(results_.size(), 3u);
  EXPECT_EQ(results_[0].output + results_[1].output + results_[2].output, "abc");
  EXPECT_EQ(results_[2].batch, 3u);
}

TEST_F(InstanceHandleTest, TakesBackWhatHasNotBegunAndThenHasRoom) {
  send(3);
  send(2);
  board_.begin_batch(0, 1, 3);
  finish(0, {.item = 0});
  board_.begin_item(0, 5);
  using Kept = InstanceHandle::Kept;
  EXPECT_EQ(handle_.recall(), (std::vector<Kept>{{1, 2}, {2, 0}}));
  EXPECT_EQ(handle_.recall(), std::vector<Kept>{});
  EXPECT_EQ(handle_.unfinished_batches(), 1u);
  ASSERT_EQ(handle_.running()->item, 1u);
  board_.finish_item(0, {.item = 1}, {});
  ASSERT_TRUE(take());
  EXPECT_EQ(results_.size(), 2u);
  EXPECT_EQ(handle_.unfinished_batches(), 0u);
  EXPECT_FALSE(board_.begin_item(0, 6));
  EXPECT_FALSE(board_.begin_batch(1, 2, 2));
}

TEST_F(InstanceHandleTest, KnowsWhichItemRuns) {
  EXPECT_FALSE(handle_.running());
  send(2);
  EXPECT_FALSE(handle_.running());
  board_.begin_batch(0, 1, 2);
  finish(0, {});
  board_.begin_item(0, 77);
  const auto running = handle_.running();
  ASSERT_TRUE(running);
  EXPECT_EQ(running->batch, 1u);
  EXPECT_EQ(running->item, 1u);
  EXPECT_EQ(running->started_at, TimePoint(Duration(77)));
}

class InstanceOutputTest : public InstanceHandleTest {
 protected:
  void print(std::string_view text) {
    ASSERT_EQ(::write(handle_.log().memfd(), text.data(), text.size()),
              static_cast<ssize_t>(text.size()));
  }
};

TEST_F(InstanceOutputTest, IsHandedOutLineByLineWhileAnItemRunsAndOnlyOnce) {
  send(1);
  board_.begin_batch(0, 1, 1);
  board_.begin_item(0, 1);
  EXPECT_FALSE(handle_.take_output()) << "nothing was printed";
  print("one\ntwo\nthr");
  auto output = handle_.take_output();
  ASSERT_TRUE(output);
  EXPECT_EQ(output->text, "one\ntwo\n");
  EXPECT_EQ(output->running.item, 0u);
  EXPECT_FALSE(handle_.take_output()) << "half a line waits for its end";
  print("ee\nfour");
  EXPECT_EQ(handle_.take_output()->text, "three\n");
  board_.finish_item(0, {.log = {0, handle_.log().size()}}, {});
  ASSERT_TRUE(take());
  EXPECT_EQ(first().printed, "four") << "the rest comes with the result";
  EXPECT_EQ(first().log_tail, "one\ntwo\nthree\nfour");
}

TEST_F(InstanceOutputTest, OfItemsWhoseResultsWaitComesWithThoseResults) {
  send(2);
  board_.begin_batch(0, 1, 2);
  board_.begin_item(0, 1);
  print("first\n");
  board_.finish_item(0, {.log = {0, 6}}, {});
  board_.begin_item(0, 2);
  print("second\n");
  EXPECT_FALSE(handle_.take_output()) << "a part of it is the first item's";
  ASSERT_TRUE(take());
  EXPECT_EQ(first().printed, "first\n");
  const auto output = handle_.take_output();
  ASSERT_TRUE(output);
  EXPECT_EQ(output->text, "second\n");
  EXPECT_EQ(output->running.item, 1u);
}

TEST_F(InstanceOutputTest, OfAFloodIsItsEndAndSaysHowMuchIsMissing) {
  send(1);
  board_.begin_batch(0, 1, 1);
  board_.begin_item(0, 1);
  std::string flood;
  while (flood.size() < 200'000) flood += "a line of a flood\n";
  print(flood);
  const auto output = handle_.take_output();
  ASSERT_TRUE(output);
  EXPECT_LE(output->text.size(), InstanceHandle::kPrintedMax);
  EXPECT_EQ(output->cut + output->text.size(), flood.size());
  EXPECT_TRUE(flood.ends_with(output->text));
}

TEST_F(InstanceOutputTest, LastWordsAreWhatNobodyHasHeard) {
  send(1);
  board_.begin_batch(0, 1, 1);
  board_.begin_item(0, 1);
  print("heard\n");
  ASSERT_TRUE(handle_.take_output());
  print("last words");
  EXPECT_EQ(handle_.last_output().text, "last words");
  EXPECT_EQ(handle_.last_output().text, "");
}

TEST_F(InstanceOutputTest, AnInstanceThatClaimsMoreThanItPrintedHarmsOnlyItself) {
  send(1);
  board_.begin_batch(0, 1, 1);
  board_.begin_item(0, 1);
  print("little\n");
  board_.finish_item(0, {.log = {0, UINT64_MAX}}, {});
  ASSERT_TRUE(take());
  EXPECT_EQ(first().printed, "little\n");
  EXPECT_EQ(first().printed_cut, 0u);
}

TEST_F(InstanceHandleTest, RejectsMoreResultsThanItems) {
  send(1);
  board_.begin_batch(0, 1, 2);
  finish(0, {.item = 0});
  finish(0, {.item = 1});
  EXPECT_FALSE(take());
}

TEST_F(InstanceHandleTest, RejectsResultsOutOfOrder) {
  send(2);
  board_.begin_batch(0, 1, 2);
  finish(0, {.item = 1});
  EXPECT_FALSE(take());
}

TEST_F(InstanceHandleTest, RejectsOutcomesThatAreNotTheInstancesToSay) {
  send(1);
  board_.begin_batch(0, 1, 1);
  finish(0, {.outcome = Outcome::kWorkerLost});
  EXPECT_FALSE(take());
}

TEST_F(InstanceHandleTest, RejectsAResultOverTheLimit) {
  send(1);
  board_.begin_batch(0, 1, 1);
  finish(0, {.flags = ResultHeader::kInMemfd, .data_size = 100'001});
  EXPECT_FALSE(take());
}

TEST_F(InstanceHandleTest, RejectsALargeResultThatWasNeverSent) {
  send(1);
  board_.begin_batch(0, 1, 1);
  finish(0, {.flags = ResultHeader::kInMemfd, .data_size = 70'000});
  EXPECT_FALSE(take());
}

TEST_F(InstanceHandleTest, RejectsALargeResultThatCouldStillChange) {
  send(1);
  const Fd open(::memfd_create("open", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(::ftruncate(open.get(), 70'000), 0);
  const Doorbell bell{.kind = Doorbell::Kind::kResult, .item = 0, .batch = 1};
  ASSERT_TRUE(send_message(end_.get(), {reinterpret_cast<const char*>(&bell), sizeof bell},
                           std::array{open.get()}, {}));
  board_.begin_batch(0, 1, 1);
  finish(0, {.flags = ResultHeader::kInMemfd, .data_size = 70'000});
  EXPECT_FALSE(take());
}

TEST_F(InstanceHandleTest, RejectsStrangeMessages) {
  ASSERT_TRUE(send_message(end_.get(), "what is this", {}, {}));
  const auto taken = take();
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().kind, ErrorKind::kReject);
}

TEST_F(InstanceHandleTest, GivesGoodResultsBeforeItComplains) {
  send(2);
  board_.begin_batch(0, 1, 2);
  finish(0, {.item = 0, .data_size = 4}, {.data = "good"});
  finish(0, {.item = 7});
  EXPECT_FALSE(take());
  ASSERT_EQ(results_.size(), 1u);
  EXPECT_EQ(results_[0].output, "good");
}

TEST_F(InstanceHandleTest, MakesTextsOfFailuresPrintable) {
  send(1);
  board_.begin_batch(0, 1, 1);
  const std::string message = "caf\xc3\xa9 \xff \x1b[31m \xed\xa0\x80 ok\n";
  finish(0,
         {.outcome = Outcome::kFunctionError,
          .type_size = 4,
          .message_size = static_cast<std::uint16_t>(message.size())},
         {.type = "Type", .message = message});
  ASSERT_TRUE(take());
  EXPECT_EQ(first().failure.message, "caf\xc3\xa9 ? ?[31m ??? ok\n");
}

TEST_F(InstanceHandleTest, ReadsTheLogOnlyWithinWhatIsThere) {
  send(1);
  ASSERT_EQ(::write(handle_.log().memfd(), "printed", 7), 7);
  board_.begin_batch(0, 1, 1);
  finish(0, {.log = {.from = 0, .to = ~0ull}});
  ASSERT_TRUE(take());
  EXPECT_EQ(first().log_tail, "printed");
}

TEST_F(InstanceHandleTest, SaysThatItsInstanceIsGone) {
  send(1);
  end_.reset();
  const auto taken = take();
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().kind, ErrorKind::kReconnect);
}

TEST_F(InstanceHandleTest, EndsAlsoIfSomebodyElseHasReapedIt) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(3);
  Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  handle_.forked(child, std::move(pidfd));
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  const auto ending = handle_.reap();
  ASSERT_TRUE(ending);
  EXPECT_EQ(name_ending(*ending, StopReason::kNone, {}).failure.type, "Ended");
  EXPECT_FALSE(handle_.reap()) << "once";
}

TEST_F(InstanceHandleTest, HasNothingToReapBeforeItIsForked) {
  EXPECT_EQ(handle_.pid(), 0);
  EXPECT_FALSE(handle_.reap());
  handle_.kill_group(SIGKILL);  // must not reach anybody: pid 0 would be this group
}

}  // namespace
}  // namespace fanfare::worker
