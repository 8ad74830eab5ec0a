// chaos_publisher ENDPOINT TYPE LOG [name=value…]: one publisher of a run; load.h has the rest.
// SIGTERM: sends no more, and ends when all is answered.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "client/client.h"
#include "tests/chaos/load.h"

namespace {

using namespace fanfare;
using namespace std::chrono_literals;

std::int64_t now_ns() {
  return std::chrono::steady_clock::now().time_since_epoch().count();
}

// Tags of events that several publishers send; above all others.
constexpr chaos::Tag kFirstSharedTag = 1'000'000'000'000;

// Lines gather during a turn and are written before the loop waits. What a killed publisher had not
// written is unknown, not forgotten: each event's first line is written before it is sent.
class Log {
 public:
  explicit Log(const char* file)
      : fd_(open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) {}
  bool fine() const { return fd_ >= 0; }
  void add(const std::string& line) { lines_ += line; }
  void write_all() {
    if (lines_.empty()) return;
    if (write(fd_, lines_.data(), lines_.size()) != static_cast<ssize_t>(lines_.size())) {
      std::_Exit(4);
    }
    lines_.clear();
  }

 private:
  int fd_;
  std::string lines_;
};

using Clients = std::vector<std::unique_ptr<client::Client>>;

class Publisher {
 public:
  Publisher(Loop& loop, Clients& clients, Log& log, std::string type, chaos::Load load)
      : clients_(clients),
        log_(log),
        type_(std::move(type)),
        load_(std::move(load)),
        random_(load_.seed),
        total_(static_cast<std::uint64_t>(load_.rate * load_.seconds)),
        positions_(load_.ordering_keys),
        beat_(loop, [this] { send_due(); }) {
    for (const auto& [verb, share] : load_.mix) shares_.push_back(share);
    beat_.start_every(2ms);
  }
  bool done() const { return answered_ == total_; }
  void stop_sending() { total_ = std::min(total_, sent_); }

 private:
  void send_due() {
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - started_;
    const auto due = std::min(total_, static_cast<std::uint64_t>(elapsed.count() * load_.rate) + 1);
    const std::uint64_t first = sent_;
    std::vector<std::string> packed;
    for (; sent_ < due; ++sent_) packed.push_back(make(load_.first_tag + sent_));
    log_.write_all();
    for (std::uint64_t i = 0; i < packed.size(); ++i) {
      send(load_.first_tag + first + i, std::move(packed[i]));
    }
  }

  std::string make(std::uint64_t number) {
    std::discrete_distribution<std::size_t> pick(shares_.begin(), shares_.end());
    protocol::Event event;
    event.source = "/chaos";
    event.type = type_;
    event.content_type = "text/plain";
    chaos::Tag tag = number;
    std::size_t verb = pick(random_);
    std::string key = "-", deduplication = "-";
    if (load_.deduplication_keys > 0) {
      // One key is one event: the same for every publisher, byte for byte.
      const std::uint64_t which = random_() % load_.deduplication_keys;
      tag = kFirstSharedTag + which;
      verb = which % load_.mix.size();
      deduplication = fmt::format("d{}", which);
      event.options.idempotency_key = deduplication;
    }
    event.data = fmt::format("{} {}", tag, load_.mix[verb].first);
    if (event.data.size() < load_.data_bytes) {
      event.data += ' ';
      event.data.resize(load_.data_bytes, 'x');
    }
    if (load_.delay_ms > 0) event.options.delay = static_cast<std::int64_t>(load_.delay_ms);
    std::uint64_t position = 0;
    if (load_.ordering_keys > 0) {
      const std::size_t which = random_() % load_.ordering_keys;
      key = fmt::format("{}-{}", load_.first_tag, which);
      position = ++positions_[which];
      event.options.ordering_key = key;
    }
    const std::int64_t now = now_ns();
    // Fanfare reckons in whole milliseconds: what is accepted late in one is due early in another.
    const std::int64_t delay_ns = (static_cast<std::int64_t>(load_.delay_ms) - 1) * 1'000'000;
    log_.add(fmt::format("i {} {} {} {} {} {} {}\n", number, now, tag, key, position, deduplication,
                         delay_ns > 0 ? now + delay_ns : 0));
    return protocol::pack(event);
  }

  void send(chaos::Tag tag, std::string packed) {
    const auto added = clients_[tag % clients_.size()]->publish_packed(
        std::move(packed), [this, tag](const Result<client::Receipt>& receipt) {
          ++answered_;
          if (receipt) {
            return log_.add(fmt::format(
                "a {} {} {} {} {}\n", tag, now_ns(), protocol::to_string(receipt->id),
                receipt->functions ? receipt->functions->size() : 0, receipt->duplicate ? 1 : 0));
          }
          if (receipt.error().kind == ErrorKind::kReconnect) {
            return log_.add(fmt::format("u {} {}\n", tag, now_ns()));
          }
          log_.add(fmt::format("r {} {} {}\n", tag, now_ns(), receipt.error().message));
        });
    if (added) return;
    ++answered_;
    log_.add(fmt::format("r {} {} {}\n", tag, now_ns(), added.error().message));
  }

  Clients& clients_;
  Log& log_;
  const std::string type_;
  const chaos::Load load_;
  std::mt19937_64 random_;
  std::uint64_t total_;
  std::vector<double> shares_;
  std::vector<std::uint64_t> positions_;
  std::uint64_t sent_ = 0, answered_ = 0;
  const std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  Timer beat_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  auto load = chaos::load_from_words({argv + 4, argv + argc});
  if (!load) {
    fmt::print(stderr, "{}\n", load.error().message);
    return 2;
  }
  Log log(argv[3]);
  if (!log.fine()) return 3;

  Loop loop;
  ZmqContext zmq;
  client::ClientOptions options;
  options.broker = argv[1];
  options.connect_timeout = 60s;
  options.publish.timeout =
      std::chrono::duration_cast<Duration>(std::chrono::duration<double>(load->timeout_seconds));
  options.publish.answer_timeout = 1s;
  Clients clients;
  for (std::uint32_t i = 0; i < load->clients; ++i) {
    auto client = client::Client::open(loop, zmq, options);
    if (!client) return 3;
    clients.push_back(*std::move(client));
  }
  const auto patience = std::chrono::duration_cast<Duration>(
      std::chrono::duration<double>(load->seconds + load->timeout_seconds + 5));
  Publisher publisher(loop, clients, log, argv[2], *std::move(load));
  SignalWatch signals(loop, {SIGTERM}, [&](int) { publisher.stop_sending(); });
  const Loop::Hook hook = loop.before_wait([&] { log.write_all(); });
  const bool all = loop.run_until([&] { return publisher.done(); }, patience);
  log.write_all();
  clients.clear();
  return all ? 0 : 1;
}
