#include "worker/channel.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>

#include "worker/board.h"

namespace fanfare::worker {
namespace {

using namespace std::chrono_literals;

Item item(std::string_view event, std::uint64_t sequence = 1) {
  return {.id = {.entry = {.ms = 5, .seq = sequence}, .index = 3},
          .attempt = 2,
          .timeout = 30s,
          .packed_event = event};
}

// Of a batch that fits.
std::string frame_of(const BatchHeader& header, std::span<const Item> items) {
  auto batch = encode_batch(header, items);
  EXPECT_TRUE(batch);
  EXPECT_FALSE(batch->memfd);
  return batch->frame;
}

TEST(Channel, CarriesABatchAsItWas) {
  const std::array items{item("one", 1), item("twenty-two bytes of it", 2), item("", 3)};
  const BatchHeader header{.number = 9, .sheet = 1, .items = 3};
  const std::string frame = frame_of(header, items);
  ReceivedBatch batch;
  ASSERT_TRUE(decode_batch(frame, batch));
  EXPECT_EQ(batch.header.number, 9u);
  EXPECT_EQ(batch.header.sheet, 1u);
  ASSERT_EQ(batch.items.size(), 3u);
  EXPECT_EQ(batch.items[1].packed_event, "twenty-two bytes of it");
  EXPECT_EQ(batch.items[1].header.id, items[1].id);
  EXPECT_EQ(batch.items[1].header.attempt, 2u);
  EXPECT_EQ(batch.items[1].header.timeout_ns, Duration(30s).count());
  EXPECT_EQ(batch.items[2].packed_event, "");
}

TEST(Channel, HearsThePeersLastWordsAlsoIfItLeftSomethingUnread) {
  auto ends = make_channel();
  ASSERT_TRUE(ends);
  ASSERT_TRUE(send_message(ends->first.get(), "never read", {}, {}));
  ASSERT_TRUE(send_message(ends->second.get(), "goodbye", {}, {}));
  ends->second.reset();
  std::string buffer(64, '\0');
  const auto words = receive_message(ends->first.get(), buffer, {.dont_wait = true});
  ASSERT_TRUE(words) << words.error().message;
  EXPECT_EQ(buffer.substr(0, words->size), "goodbye");
  const auto end = receive_message(ends->first.get(), buffer, {.dont_wait = true});
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().kind, ErrorKind::kReconnect);
}

TEST(Channel, FillsFramesUpToTheirLimit) {
  const std::string event(1000, 'e');
  const std::vector<Item> items(kBatchItemsMax + 50, item(event));
  const std::size_t count = items_per_frame(items);
  const std::string frame =
      frame_of({.items = static_cast<std::uint32_t>(count)}, std::span(items).first(count));
  EXPECT_LE(frame.size(), kFrameBytesMax);
  EXPECT_GT(frame.size(), kFrameBytesMax - 2000);
  const std::vector<Item> small(kBatchItemsMax + 50, item("e"));
  EXPECT_EQ(items_per_frame(small), kBatchItemsMax);
}

TEST(Channel, SendsLargeEventsAlone) {
  const std::string large(kInlineEventMax + 1, 'L');
  EXPECT_EQ(items_per_frame(std::array{item(large), item("small")}), 1u);
  EXPECT_EQ(items_per_frame(std::array{item("small"), item(large)}), 1u);
  const auto encoded = encode_batch({.items = 1}, std::array{item(large)});
  ASSERT_TRUE(encoded);
  EXPECT_EQ(*read_sealed_memfd(encoded->memfd.get(), large.size()), large);
  ReceivedBatch batch;
  ASSERT_TRUE(decode_batch(encoded->frame, batch));
  EXPECT_EQ(batch.items[0].header.flags, ItemHeader::kInMemfd);
  EXPECT_EQ(batch.items[0].header.size, large.size());
}

TEST(Channel, SendsTheEventsOfOneCallTogetherHoweverLargeTheyAre) {
  const std::string large(kInlineEventMax + 1, 'L');
  std::vector<Item> items{item(large, 1), item("small", 2), item(large, 3)};
  for (Item& one : items) one.together = true;
  ASSERT_EQ(items_per_frame(items), 3u);
  const auto encoded = encode_batch({.items = 3, .flags = BatchHeader::kTogether}, items);
  ASSERT_TRUE(encoded);
  EXPECT_EQ(encoded->frame.size(), sizeof(BatchHeader));
  ReceivedBatch batch;
  ASSERT_TRUE(decode_batch(encoded->frame, batch));
  EXPECT_EQ(batch.header.flags, BatchHeader::kTogether | BatchHeader::kItemsInMemfd);
  const auto bytes = read_sealed_memfd(encoded->memfd.get(), batch.header.memfd_size);
  ASSERT_TRUE(bytes);
  ASSERT_TRUE(decode_items(*bytes, batch));
  ASSERT_EQ(batch.items.size(), 3u);
  for (std::size_t i = 0; i < items.size(); ++i) {
    EXPECT_EQ(batch.items[i].packed_event, items[i].packed_event);
    EXPECT_EQ(batch.items[i].header.id, items[i].id);
  }
  batch.items.clear();
  EXPECT_FALSE(decode_items(std::string_view(*bytes).substr(0, bytes->size() - 8), batch));
}

TEST(Channel, RejectsBatchesThatAreCutOff) {
  const std::string frame = frame_of({.number = 1, .items = 1}, std::array{item("an event")});
  ReceivedBatch batch;
  for (std::size_t size = 0; size < frame.size(); ++size) {
    EXPECT_FALSE(decode_batch(std::string_view(frame).substr(0, size), batch)) << size;
  }
}

TEST(Channel, PassesDescriptorsAlong) {
  auto ends = make_channel();
  ASSERT_TRUE(ends);
  const auto memfd = make_sealed_memfd("test", std::array<std::string_view, 2>{"hello ", "there"});
  ASSERT_TRUE(memfd);
  ASSERT_TRUE(send_message(ends->first.get(), "x", std::array{memfd->get()}, {}));
  std::array<char, 16> buffer;
  auto received = receive_message(ends->second.get(), buffer, {.dont_wait = true});
  ASSERT_TRUE(received);
  EXPECT_EQ(received->size, 1u);
  ASSERT_EQ(received->fds.size(), 1u);
  EXPECT_EQ(::fcntl(received->fds[0].get(), F_GETFD), FD_CLOEXEC);
  const auto text = read_sealed_memfd(received->fds[0].get(), 11);
  ASSERT_TRUE(text);
  EXPECT_EQ(*text, "hello there");
}

TEST(Channel, TellsEmptyFromGone) {
  auto ends = make_channel();
  ASSERT_TRUE(ends);
  std::array<char, 16> buffer;
  const auto empty = receive_message(ends->first.get(), buffer, {.dont_wait = true});
  ASSERT_FALSE(empty);
  EXPECT_EQ(empty.error().kind, ErrorKind::kRetryLater);
  ends->second.reset();
  const auto gone = receive_message(ends->first.get(), buffer, {.dont_wait = true});
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().kind, ErrorKind::kReconnect);
  const auto unsendable = send_message(ends->first.get(), "x", {}, {});
  ASSERT_FALSE(unsendable);
  EXPECT_EQ(unsendable.error().kind, ErrorKind::kReconnect);
}

TEST(Channel, SaysWhenItIsFull) {
  auto ends = make_channel();
  ASSERT_TRUE(ends);
  const std::string frame(kFrameBytesMax, 'f');
  Result<void> sent;
  for (int i = 0; i < 100 && sent; ++i) {
    sent = send_message(ends->first.get(), frame, {}, {.dont_wait = true});
  }
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().kind, ErrorKind::kRetryLater);
}

TEST(Channel, RejectsMemfdsThatCouldStillChange) {
  const Fd open(::memfd_create("open", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(::write(open.get(), "abc", 3), 3);
  EXPECT_FALSE(read_sealed_memfd(open.get(), 3));
  const auto sealed = make_sealed_memfd("sealed", std::array<std::string_view, 1>{"abc"});
  ASSERT_TRUE(sealed);
  EXPECT_TRUE(read_sealed_memfd(sealed->get(), 3));
  EXPECT_FALSE(read_sealed_memfd(sealed->get(), 4));
  const Fd no_memfd(::open("/dev/zero", O_RDONLY | O_CLOEXEC));
  EXPECT_FALSE(read_sealed_memfd(no_memfd.get(), 3));
}

}  // namespace
}  // namespace fanfare::worker
