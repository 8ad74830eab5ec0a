#include "base/frame_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace fanfare {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::size_t kFrameMax = 4 << 20;

std::string framed(std::string_view bytes) {
  const auto size = static_cast<std::uint32_t>(bytes.size());
  return std::string(reinterpret_cast<const char*>(&size), sizeof size).append(bytes);
}

// A stream on one end of a pair of sockets; the test holds the other end.
class FrameStreamTest : public testing::Test {
 protected:
  FrameStreamTest() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()), 0);
    other_ = Fd(ends[1]);
    stream_ = std::make_unique<FrameStream>(
        loop_, Fd(ends[0]), kFrameMax, buffers_,
        FrameStream::Handlers{
            .on_greeted = [this] { ++greeted_; },
            .on_frame = [this](std::string_view frame) { got_.emplace_back(frame); },
            .on_writable = [this] { ++writable_; },
            .on_end = [this](FrameStream::End how) { end_ = how; }});
  }

  void write(std::string_view bytes) {
    ASSERT_EQ(::send(other_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  void greet() { write(framed(FrameStream::kGreeting)); }
  // What the stream has sent and nobody has read.
  std::string read() {
    std::string all;
    std::string some(1 << 20, '\0');
    ssize_t got = 0;
    while ((got = ::recv(other_.get(), some.data(), some.size(), 0)) > 0) {
      all.append(some, 0, static_cast<std::size_t>(got));
    }
    return all;
  }
  bool until(const std::function<bool()>& done) { return loop_.run_until(done, 10s); }

  Loop loop_;
  FrameBuffers buffers_;
  Fd other_;
  std::unique_ptr<FrameStream> stream_;
  std::vector<std::string> got_;
  int greeted_ = 0, writable_ = 0;
  std::optional<FrameStream::End> end_;
};

TEST_F(FrameStreamTest, GreetsAndSendsFramesWithTheirSize) {
  EXPECT_TRUE(stream_->send("hello"));
  EXPECT_TRUE(stream_->send(""));
  EXPECT_EQ(read(), framed(FrameStream::kGreeting) + framed("hello") + framed(""));
}

TEST_F(FrameStreamTest, TellsOfTheGreetingAndThenOfFramesInTheirOrder) {
  greet();
  write(framed("one") + framed("") + framed("three"));
  ASSERT_TRUE(until([&] { return got_.size() == 3; }));
  EXPECT_EQ(greeted_, 1);
  EXPECT_TRUE(stream_->greeted());
  EXPECT_THAT(got_, ElementsAre("one", "", "three"));
}

TEST_F(FrameStreamTest, PutsFramesTogetherThatComeAByteAtATime) {
  const std::string bytes = framed(FrameStream::kGreeting) + framed("one") + framed("second");
  for (const char byte : bytes) {
    write({&byte, 1});
    loop_.run_until([] { return true; }, 1ms);
  }
  ASSERT_TRUE(until([&] { return got_.size() == 2; }));
  EXPECT_THAT(got_, ElementsAre("one", "second"));
}

TEST_F(FrameStreamTest, TakesAFrameOfTheLimitAndSmallOnesAroundIt) {
  greet();
  const std::string large(kFrameMax, 'x');
  const std::string bytes = framed("before") + framed(large) + framed("after");
  std::size_t at = 0;
  ASSERT_TRUE(until([&] {
    const ssize_t wrote = ::send(other_.get(), bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
    if (wrote > 0) at += static_cast<std::size_t>(wrote);
    return got_.size() == 3;
  }));
  EXPECT_THAT(got_, ElementsAre("before", large, "after"));
}

TEST_F(FrameStreamTest, TakesEmptyFramesWhereverAReadEnds) {
  greet();
  const std::string empty = framed("");
  write(framed("one") + empty.substr(0, 2));
  ASSERT_TRUE(until([&] { return got_.size() == 1; }));
  write(empty.substr(2));  // its head ends the read, and with it the frame
  ASSERT_TRUE(until([&] { return got_.size() == 2; }));
  write(empty + framed("four"));
  ASSERT_TRUE(until([&] { return got_.size() == 4; }));
  EXPECT_THAT(got_, ElementsAre("one", "", "", "four"));
}

// Sends in pieces, and turns the loop between them.
void send_slowly(Loop& loop, int socket, std::string_view bytes, std::size_t piece) {
  while (!bytes.empty()) {
    const ssize_t wrote =
        ::send(socket, bytes.data(), std::min(piece, bytes.size()), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (wrote > 0) bytes.remove_prefix(static_cast<std::size_t>(wrote));
    bool turned = false;
    loop.run_until([&] { return std::exchange(turned, true); }, 1ms);
  }
}

TEST_F(FrameStreamTest, TakesAShortFrameThatComesInPiecesAfterALongOne) {
  greet();
  const std::string large(700'000, 'x'), small(150'000, 'y');
  send_slowly(loop_, other_.get(), framed(large), 100'000);
  send_slowly(loop_, other_.get(), framed(small), 100'000);
  send_slowly(loop_, other_.get(), framed("third"), 3);
  ASSERT_TRUE(until([&] { return got_.size() == 3; }));
  EXPECT_THAT(got_, ElementsAre(large, small, "third"));
}

TEST_F(FrameStreamTest, StreamsThatShareTheirMemoryDoNotMixTheirFrames) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()), 0);
  const Fd far(ends[1]);
  std::vector<std::string> others;
  FrameStream second(loop_, Fd(ends[0]), kFrameMax, buffers_,
                     {.on_greeted = {},
                      .on_frame = [&](std::string_view frame) { others.emplace_back(frame); },
                      .on_writable = {},
                      .on_end = [](FrameStream::End) {}});
  greet();
  send_slowly(loop_, far.get(), framed(FrameStream::kGreeting), 100);
  std::vector<std::string> sent[2];
  for (int round = 0; round < 3; ++round) {
    for (char c : {'a', 'b'}) {
      sent[c - 'a'].emplace_back(static_cast<std::size_t>(300'000 + round),
                                 static_cast<char>(c + 2 * round));
    }
    const std::string first = framed(sent[0].back()), other = framed(sent[1].back());
    send_slowly(loop_, other_.get(), std::string_view(first).substr(0, 150'000), 150'000);
    send_slowly(loop_, far.get(), std::string_view(other).substr(0, 150'000), 150'000);
    send_slowly(loop_, other_.get(), std::string_view(first).substr(150'000), 150'000);
    send_slowly(loop_, far.get(), std::string_view(other).substr(150'000), 150'000);
  }
  ASSERT_TRUE(until([&] { return got_.size() == 3 && others.size() == 3; }));
  EXPECT_EQ(got_, sent[0]);
  EXPECT_EQ(others, sent[1]);
}

TEST_F(FrameStreamTest, GivesNothingOfAFrameThatItsPeerDidNotFinish) {
  greet();
  write(framed("whole") + framed(std::string(500'000, 'x')).substr(0, 100'000));
  ASSERT_TRUE(until([&] { return got_.size() == 1; }));
  other_.reset();
  ASSERT_TRUE(until([&] { return end_.has_value(); }));
  EXPECT_EQ(*end_, FrameStream::End::kClosed);
  EXPECT_THAT(got_, ElementsAre("whole"));
}

TEST_F(FrameStreamTest, EndsWithAFrameOverTheLimitBeforeItHasCome) {
  greet();
  const std::uint32_t size = kFrameMax + 1;
  write({reinterpret_cast<const char*>(&size), sizeof size});
  ASSERT_TRUE(until([&] { return end_.has_value(); }));
  EXPECT_EQ(*end_, FrameStream::End::kStranger);
}

TEST_F(FrameStreamTest, KeepsNothingOfALargeFrameOfOneWhoHasNotGreeted) {
  const std::uint32_t size = 1 << 20;  // below the limit of those who have
  write({reinterpret_cast<const char*>(&size), sizeof size});
  ASSERT_TRUE(until([&] { return end_.has_value(); }));
  EXPECT_EQ(*end_, FrameStream::End::kStranger);
}

TEST_F(FrameStreamTest, EndsWithWhoGreetsInAnotherWay) {
  write(framed("GET / HTTP/1.1"));
  ASSERT_TRUE(until([&] { return end_.has_value(); }));
  EXPECT_EQ(*end_, FrameStream::End::kStranger);
  EXPECT_EQ(greeted_, 0);
  EXPECT_THAT(got_, IsEmpty());
}

TEST_F(FrameStreamTest, GivesWhatHadComeBeforeThePeerEnded) {
  greet();
  write(framed("last words"));
  other_.reset();  // with the greeting unread: the kernel tells of a reset first
  ASSERT_TRUE(until([&] { return end_.has_value(); }));
  EXPECT_EQ(*end_, FrameStream::End::kClosed);
  EXPECT_THAT(got_, ElementsAre("last words"));
  const auto sent = stream_->send("nobody is there");
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().kind, ErrorKind::kStale);
}

TEST_F(FrameStreamTest, KeepsOneFrameOfAPeerThatDoesNotReadAndRefusesTheNext) {
  const std::string large(kFrameMax, 'x');
  EXPECT_TRUE(stream_->send(large));
  const auto refused = stream_->send("next");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kRetryLater);
  std::string all;
  ASSERT_TRUE(until([&] {
    all += read();
    return writable_ == 1;
  }));
  EXPECT_TRUE(stream_->send("next"));
  all += read();
  EXPECT_EQ(all, framed(FrameStream::kGreeting) + framed(large) + framed("next"));
}

TEST_F(FrameStreamTest, RefusesWhatIsOverTheLimit) {
  const auto sent = stream_->send(std::string(kFrameMax + 1, 'x'));
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().kind, ErrorKind::kReject);
  EXPECT_EQ(read(), framed(FrameStream::kGreeting));
}

TEST_F(FrameStreamTest, BringsWhatWasTakenToOneThatReads) {
  const std::string large(kFrameMax, 'x');
  EXPECT_TRUE(stream_->send(large));
  std::string all;
  std::thread reader([&] {
    const std::size_t wanted = framed(FrameStream::kGreeting).size() + framed(large).size();
    while (all.size() < wanted) all += read();
  });
  stream_->write_until(std::chrono::steady_clock::now() + 10s);
  reader.join();
  EXPECT_EQ(all, framed(FrameStream::kGreeting) + framed(large));
}

TEST_F(FrameStreamTest, WaitsForWhatWasTakenAsLongAsItIsToldAndNoLonger) {
  EXPECT_TRUE(stream_->send(std::string(kFrameMax, 'x')));
  const auto began = std::chrono::steady_clock::now();
  stream_->write_until(began + 30ms);
  EXPECT_GE(std::chrono::steady_clock::now() - began, 29ms);
}

// A turn takes a portion, so that one that sends without end does not keep the loop.
TEST_F(FrameStreamTest, LetsTheLoopGoOnWhileFramesComeWithoutEnd) {
  greet();
  int turns = 0;
  std::size_t most = 0, before = 0;
  const Loop::Hook hook = loop_.before_wait([&] {
    ++turns;
    most = std::max(most, got_.size() - std::exchange(before, got_.size()));
  });
  const std::string frame = framed(std::string(1000, 'x'));
  constexpr std::size_t kFrames = 20'000;
  std::thread writer([&] {
    for (std::size_t sent = 0; sent < kFrames * frame.size();) {
      const std::size_t at = sent % frame.size();
      const ssize_t wrote =
          ::send(other_.get(), frame.data() + at, frame.size() - at, MSG_NOSIGNAL);
      if (wrote > 0) sent += static_cast<std::size_t>(wrote);
    }
  });
  EXPECT_TRUE(until([&] { return got_.size() == kFrames; }));
  writer.join();
  EXPECT_GT(turns, 5);
  EXPECT_LE(most, 2 * 4 * FrameBuffers::kPortionBytes / frame.size());
}

}  // namespace
}  // namespace fanfare
