// load_publisher ENDPOINT TYPE RATE SECONDS LOG
//
// Publishes RATE events per second, whatever the answers do, and writes each answer to LOG at once,
// so that what was acknowledged is known even if it is killed. load_log.h has the format.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <string>

#include "client/client.h"

namespace {

using namespace fanfare;
using namespace std::chrono_literals;

void write_line(int fd, const std::string& line) {
  const std::string whole = line + '\n';
  if (write(fd, whole.data(), whole.size()) != static_cast<ssize_t>(whole.size())) std::_Exit(4);
}

void write_answer(int fd, const Result<client::Receipt>& receipt) {
  if (receipt) return write_line(fd, "acknowledged " + protocol::to_string(receipt->id));
  const Error& error = receipt.error();
  write_line(fd, error.kind == ErrorKind::kReconnect ? "unknown" : "refused " + error.message);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) return 2;
  const double rate = std::atof(argv[3]);
  const auto total = static_cast<std::uint64_t>(rate * std::atof(argv[4]));
  const int log = open(argv[5], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (log < 0) return 3;

  protocol::Event event;
  event.source = "/load";
  event.type = argv[2];
  event.data = std::string(100, 'x');
  const std::string packed = protocol::pack(event);

  Loop loop;
  ZmqContext zmq;
  client::ClientOptions options;
  options.broker = argv[1];
  options.publish.timeout = 15s;
  auto client = client::Client::open(loop, zmq, options);
  if (!client) return 3;

  std::uint64_t sent = 0, answered = 0;
  const auto started = std::chrono::steady_clock::now();
  Timer beat(loop, [&] {
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - started;
    const auto due = std::min(total, static_cast<std::uint64_t>(elapsed.count() * rate));
    if (due <= sent) return;
    write_line(log, fmt::format("sent {}", due - sent));
    for (; sent < due; ++sent) {
      const auto added =
          (*client)->publish_packed(packed, [&](const Result<client::Receipt>& receipt) {
            ++answered;
            write_answer(log, receipt);
          });
      if (added) continue;
      ++answered;
      write_line(log, "refused " + added.error().message);
    }
  });
  beat.start_every(5ms);
  const bool all = loop.run_until([&] { return answered == total; }, 60s);
  client->reset();
  return all ? 0 : 1;
}
