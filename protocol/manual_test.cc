// Runs the publisher printed in docs/protocol.md, as it stands there, against a broker played here.
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <fstream>
#include <iterator>

#include "base/loop.h"
#include "base/zmq_socket.h"
#include "protocol/event.h"
#include "protocol/messages.h"
#include "tests/support/temp_dir.h"

namespace fanfare::protocol {
namespace {

using namespace std::chrono_literals;

std::string python_of_the_manual() {
  std::ifstream file{FANFARE_SOURCE_DIR "/docs/protocol.md"};
  const std::string manual{std::istreambuf_iterator<char>{file}, {}};
  const std::size_t from = manual.find("```python\n") + 10;
  return manual.substr(from, manual.find("```", from) - from);
}

TEST(Manual, ItsPublisherRepeatsUntilItIsAnsweredAndPrintsWhatItLearns) {
  const test::TempDir dir;
  std::ofstream{dir.file("publish.py")} << python_of_the_manual();
  const std::string endpoint = "ipc://" + dir.file("broker.ipc");

  Loop loop;
  ZmqContext context;
  std::vector<Publish> batches;
  std::unique_ptr<ZmqSocket> router;
  const auto answer = [&](const PeerId& peer, std::string_view frame) {
    const auto message = decode(frame);
    ASSERT_TRUE(message) << message.error().message;
    batches.push_back(std::get<Publish>(*message));
    const auto send = [&](const Message& reply) { ASSERT_TRUE(router->send(peer, encode(reply))); };
    // First we cannot say anything yet; then comes a late answer to somebody else's question.
    if (batches.size() == 1) return send(Refused{1, Refusal::kUnavailable, "starting"});
    send(Published{99, {}, {}, {}});
    send(Published{
        1, {{PublishRun::Fate::kAccepted, {{5, 6}, 7}, 1, 0}}, {{"notify", "wordcount"}}, {}});
  };
  router = std::make_unique<ZmqSocket>(loop, context, ZmqOptions{.kind = ZmqKind::kRouter},
                                       ZmqSocket::Handlers{.on_message = answer});
  ASSERT_TRUE(router->bind(endpoint));

  const std::string command = "timeout 40 /usr/bin/python3 " + dir.file("publish.py");
  FILE* python = popen((command + " " + endpoint).c_str(), "r");
  ASSERT_NE(python, nullptr);
  std::string printed;
  bool ended = false;
  FdWatch output{loop, fileno(python), [&] {
                   std::array<char, 256> block{};
                   const ssize_t size = read(fileno(python), block.data(), block.size());
                   if (size > 0) printed.append(block.data(), static_cast<std::size_t>(size));
                   if (size == 0) output.want_read(false);
                   ended = size == 0;
                 }};
  EXPECT_TRUE(loop.run_until([&] { return ended; }, 50s));
  EXPECT_EQ(pclose(python), 0);
  EXPECT_EQ(printed, "5-6.7 ['notify', 'wordcount']\n");

  ASSERT_GE(batches.size(), 2u);  // a slow machine may have seen more repeats
  EXPECT_FALSE(batches[0].repeat);
  EXPECT_TRUE(batches[1].repeat);
  EXPECT_EQ(batches[0].packed_events, batches[1].packed_events);
  const auto event = unpack_event(batches[0].packed_events.at(0));
  ASSERT_TRUE(event) << event.error().message;
  EXPECT_EQ(event->type, "text.submitted");
  EXPECT_EQ(event->data, "\"to be\"");
}

}  // namespace
}  // namespace fanfare::protocol
